import Foundation
import MartletSystem

/// A supervisor of its own, in a directory of its own, with a fake edge.
final class Instance {
  let folder: String
  let program: String
  private let process = Process()
  private let output = Pipe()
  private(set) var lines: [String] = []

  static var testProgram: String {
    URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
      .appendingPathComponent("TestProgram").path
  }

  /// Prepares an instance; with a binary of its own if it is to be exchanged.
  init(_ configuration: String, ownBinary: Bool = false) throws {
    folder = "/tmp/martlet-test-\(UUID().uuidString.prefix(13))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    program = ownBinary ? folder + "/program" : Self.testProgram
    if ownBinary { try FileManager.default.copyItem(atPath: Self.testProgram, toPath: program) }
    try configure(configuration)
  }

  deinit {
    if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    try? FileManager.default.removeItem(atPath: folder)
  }

  var state: String { folder + "/state" }
  var number: Int32 { process.processIdentifier }

  func configure(_ text: String) throws {
    try text.write(toFile: folder + "/configuration", atomically: true, encoding: .utf8)
  }

  /// Starts it, and waits for its first line.
  @discardableResult
  func start(as user: String? = nil) throws -> String {
    let arguments = ["supervise", state, folder + "/configuration"]
    process.executableURL = URL(fileURLWithPath: user == nil ? program : "/usr/bin/setpriv")
    process.arguments =
      user.map { ["--reuid=\($0)", "--regid=65534", "--clear-groups", program] + arguments }
      ?? arguments
    process.standardOutput = output
    process.standardError = output
    try process.run()
    return line()
  }

  /// The next line it says.
  func line() -> String {
    var bytes: [UInt8] = []
    while let byte = try? output.fileHandleForReading.read(upToCount: 1)?.first, byte != 0x0A {
      bytes.append(byte)
    }
    lines.append(String(decoding: bytes, as: UTF8.self))
    return lines[lines.count - 1]
  }

  /// Reads lines until one has this text; nil at the end.
  func line(with text: String) -> String? {
    while true {
      let line = line()
      if line.contains(text) { return line }
      if line.isEmpty { return nil }
    }
  }

  func send(_ signal: ProcessSignal) throws { try Processes.send(signal, to: number) }

  /// Waits for its end.
  func end() -> Int32 {
    process.waitUntilExit()
    return process.terminationStatus
  }

  /// What a command answers, and its code.
  func ask(_ command: String) throws -> (code: Int32, text: String) {
    try Self.run("ask", state, command)
  }

  /// What a client is answered.
  func call(_ port: String, _ line: String = "hi") throws -> String {
    try Self.run("call", port, line).text
  }

  static func run(_ arguments: String...) throws -> (code: Int32, text: String) {
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(fileURLWithPath: testProgram)
    process.arguments = arguments
    process.standardOutput = output
    try process.run()
    let bytes = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    let text = String(decoding: bytes, as: UTF8.self)
    return (process.terminationStatus, String(text.dropLast(text.hasSuffix("\n") ? 1 : 0)))
  }
}

/// A client that runs until it is told to end.
final class RunningClient {
  private let process = Process()
  private let output = Pipe()

  /// Starts a client and waits for its first line.
  init(_ arguments: String..., first: String) throws {
    process.executableURL = URL(fileURLWithPath: Instance.testProgram)
    process.arguments = arguments
    process.standardOutput = output
    try process.run()
    let line = line()
    guard line == first else { throw Unexpected(line: line) }
  }

  struct Unexpected: Error { var line: String }

  deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

  func line() -> String {
    var bytes: [UInt8] = []
    while let byte = try? output.fileHandleForReading.read(upToCount: 1)?.first, byte != 0x0A {
      bytes.append(byte)
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Sends a signal and returns the line that follows.
  func line(after signal: ProcessSignal) throws -> String {
    try Processes.send(signal, to: process.processIdentifier)
    return line()
  }
}

/// A port that was free a moment ago.
func freePort() throws -> String {
  let socket = try Descriptor.stream(for: .ipv4(0x7F00_0001, port: 0))
  try socket.bind(to: .ipv4(0x7F00_0001, port: 0))
  return "\(try socket.localAddress().port ?? 0)"
}
