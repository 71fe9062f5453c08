import Foundation

/// A process of a test, with what it has written.
public final class Peer: Sendable {
  /// Where it listens; for a peer that does not, nowhere.
  public let endpoint: Endpoint
  /// Its name in messages.
  public let name: String

  private let process: Process
  private let written = NSCondition()
  private let text = Guarded<(lines: [String], isOver: Bool)>(([], false))

  /// The number of the process.
  public var identifier: Int32 { process.processIdentifier }

  /// Starts `arguments`, the first of which is found in the path; it ends with the thread that
  /// starts it.
  init(
    _ arguments: [String],
    in folder: URL,
    at endpoint: Endpoint = .unix(""),
    input: URL? = nil
  ) throws {
    name = URL(fileURLWithPath: arguments[0]).lastPathComponent
    self.endpoint = endpoint
    process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/setpriv")
    process.arguments = ["--pdeathsig", "KILL", "--"] + arguments
    process.currentDirectoryURL = folder
    process.standardInput = try input.map { try FileHandle(forReadingFrom: $0) } ?? .nullDevice
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let reading = output.fileHandleForReading
    Thread { [weak self] in
      var rest = Data()
      while true {
        var part = reading.availableData
        if part.isEmpty { break }
        // What was searched already is not searched again: a line may have megabytes.
        while let end = part.firstIndex(of: 10) {
          self?.take(String(decoding: rest + part[..<end], as: UTF8.self))
          rest = Data()
          part = part[(end + 1)...]
        }
        rest += part
      }
      if !rest.isEmpty { self?.take(String(decoding: rest, as: UTF8.self)) }
      self?.finish()
    }.start()
  }

  private func take(_ line: String) {
    text.withLock { $0.lines.append(line) }
    wake()
  }

  private func finish() {
    text.withLock { $0.isOver = true }
    wake()
  }

  private func wake() {
    written.lock()
    written.broadcast()
    written.unlock()
  }

  /// The lines it has written so far, to standard output and standard error.
  public var lines: [String] { text.withLock { $0.lines } }

  /// Whether it still runs.
  public var isRunning: Bool { process.isRunning }

  /// Waits for a line that has `part`.
  ///
  /// - Throws: ``PeerError`` when none comes.
  @discardableResult public func line(with part: String) throws -> String {
    let deadline = Date(timeIntervalSinceNow: Double(patience.components.seconds))
    written.lock()
    defer { written.unlock() }
    while true {
      let now = text.withLock { $0 }
      if let line = now.lines.first(where: { $0.contains(part) }) { return line }
      guard !now.isOver, written.wait(until: deadline) else {
        throw PeerError("\(name) did not write \"\(part)\" but: \(now.lines)")
      }
    }
  }

  /// Waits until somebody listens at ``endpoint``.
  ///
  /// - Throws: ``PeerError`` when the process has ended or nobody listens in time.
  func ready() throws {
    let deadline = ContinuousClock.now + patience
    while true {
      do {
        _ = try Wire(to: endpoint)
        return
      } catch Wire.Failure.refused {
        guard process.isRunning, ContinuousClock.now < deadline else {
          throw PeerError("\(name) does not listen at \(endpoint): \(lines)")
        }
        _ = poll(nil, 0, 5)
      }
    }
  }

  /// Waits until it ends by itself, and returns its status.
  ///
  /// - Throws: ``PeerError`` when it does not end within `limit`.
  public func status(within limit: Duration = patience) throws -> Int32 {
    let deadline = ContinuousClock.now + limit
    while process.isRunning {
      guard ContinuousClock.now < deadline else {
        throw PeerError("\(name) does not end: \(lines)")
      }
      _ = poll(nil, 0, 2)
    }
    written.lock()
    while !text.withLock({ $0.isOver }), written.wait(until: Date(timeIntervalSinceNow: 2)) {}
    written.unlock()
    return process.terminationStatus
  }

  /// Sends it a signal.
  public func signal(_ number: Int32) {
    if process.isRunning { kill(process.processIdentifier, number) }
  }

  /// Kills it and the processes that it has started, and waits until it is gone.
  public func end() {
    let children = children
    signal(SIGKILL)
    // A process is taken for one that runs as long as another one holds what it was given.
    for child in children { kill(child, SIGKILL) }
    process.waitUntilExit()
  }

  /// The processes that it has started and that still run, the oldest first.
  public var children: [Int32] {
    let number = identifier
    // Nothing can be read of a process that is gone, and then it has none.
    let text = try? String(
      contentsOfFile: "/proc/\(number)/task/\(number)/children",
      encoding: .utf8
    )
    return (text ?? "").split(separator: " ").compactMap { Int32($0) }
  }

  /// What it holds in memory now, and the most it ever held, in bytes; of Martlet the edge process.
  ///
  /// - Throws: ``PeerError`` when the process is gone.
  public func memory() throws -> (now: Int, most: Int) {
    try residentMemory(of: children.last ?? identifier)
  }
}

/// What a process holds in memory now, and the most it ever held, in bytes.
///
/// See `proc(5)`.
///
/// - Throws: ``PeerError`` when the process is gone.
public func residentMemory(of process: Int32) throws -> (now: Int, most: Int) {
  let text = try String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
  func field(_ name: String) throws -> Int {
    guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix(name + ":") }),
      let number = line.split(whereSeparator: { " \t".contains($0) }).dropFirst().first,
      let count = Int(number)
    else { throw PeerError("no \(name) of process \(process)") }
    return count << 10
  }
  return (try field("VmRSS"), try field("VmHWM"))
}
