import Configuration
import MartletBytes
import MartletLoop
import MartletSystem
import MartletTelemetry
import Synchronization

/// Writes what the loops log, on a thread of its own: a full disk or a slow pipe stops no loop.
final class LogWriter: Sendable {
  private struct State: ~Copyable {
    var files: [String: Int32] = [:]
    var lanes: [(name: String, lane: LogLane)] = []
    var lines = TextBuffer(capacity: 4096)
    var format = LogFormat(.text)
    var leastLevel = ErrorLogSettings.Level.notice
    var errorDestination = LogDestination.standardError
    var lostLines = 0
    /// The logs whose last write has failed.
    var failing: Set<String> = []
  }

  private let state = Mutex(State())
  private let signal: ThreadSignal
  private let failures = Atomic<UInt64>(0)

  /// Starts the thread.
  ///
  /// - Throws: ``SystemError`` when no thread or descriptor is to be had.
  init() throws(SystemError) {
    signal = try ThreadSignal()
    try Thread.start { [self] in
      while true {
        signal.wait()
        writeAll()
      }
    }
  }

  /// How many writes have failed.
  var failureCount: UInt64 { failures.load(ordering: .relaxed) }

  /// Lets the log of this name be written to `file`, from the next line on.
  func open(_ name: String, _ file: consuming Descriptor) {
    let number = file.release()
    let old = state.withLock { $0.files.updateValue(number, forKey: name) }
    if let old { _ = Descriptor(adopting: old) }
  }

  /// Writes what comes through `lane` to the log of this name.
  func attach(_ lane: LogLane, to name: String) {
    state.withLock { $0.lanes.append((name, lane)) }
  }

  /// Forgets a lane whose loop fills it no more; what is in it is written.
  func detach(_ lane: LogLane) {
    writeAll()
    state.withLock { $0.lanes.removeAll { $0.lane === lane } }
  }

  /// Writes what is there, on the calling thread, before the process ends.
  func finish() { writeAll() }

  /// Says that a lane has something to take.
  func wake() { signal.set() }

  // MARK: The error log

  /// Writes the error log as `settings` say from the next line on.
  func configure(_ settings: ErrorLogSettings) {
    state.withLock { state in
      state.leastLevel = settings.level
      state.errorDestination = settings.destination
    }
  }

  /// Adds a line to the error log; a line is dropped rather than waited for.
  func note(
    _ level: LogLine.Level,
    _ message: String,
    _ fields: [LogLine.Field] = []
  ) {
    let time = Timestamp(unixNanoseconds: UInt64(SystemClock.wallMicroseconds()) * 1000)
    state.withLock { state in
      guard level.matters(under: state.leastLevel) else { return }
      guard state.lines.count < Self.waitingBytes else {
        state.lostLines += 1
        return
      }
      if state.lostLines > 0 {
        let lost = LogLine(
          time,
          .warning,
          "lines of this log were dropped",
          [LogLine.Field("count", state.lostLines)]
        )
        state.format.append(lost, to: &state.lines)
        state.lostLines = 0
      }
      state.format.append(LogLine(time, level, message, fields), to: &state.lines)
    }
    signal.set()
  }

  private static let waitingBytes = 256 << 10

  // MARK: Writing

  private func writeAll() {
    let lanes = state.withLock { state in
      state.lanes.map { (name: $0.name, lane: $0.lane, file: state.files[$0.name]) }
    }
    for (name, lane, file) in lanes {
      let outcome = lane.take { buffer in
        Result { () throws(SystemError) in
          try write(buffer, to: file ?? Self.standard(name))
        }
      }
      if let outcome { tell(of: name, outcome) }
    }
    var lines = TextBuffer(capacity: 4096)
    let file = state.withLock { state in
      swap(&lines, &state.lines)
      return state.files[Self.errorLog] ?? Self.standard(state.errorDestination.name)
    }
    // What the error log cannot take has no other place.
    if !lines.isEmpty { do throws(SystemError) { try write(lines, to: file) } catch {} }
  }

  /// Says once that a log cannot be written, and once that it can be again.
  private func tell(of name: String, _ outcome: Result<Void, SystemError>) {
    switch outcome {
    case .success:
      guard state.withLock({ $0.failing.remove(name) }) != nil else { return }
      note(.notice, "a log is written again", [LogLine.Field("log", name)])
    case .failure(let error):
      guard state.withLock({ $0.failing.insert(name).inserted }) else { return }
      note(
        .error,
        "a log cannot be written",
        [LogLine.Field("log", name), LogLine.Field("error", "\(error)")]
      )
    }
  }

  /// The process's own output of this name.
  private static func standard(_ name: String) -> Int32 {
    name == LogDestination.standardOutput.name ? 1 : 2
  }

  /// Under this name the file of the error log is opened.
  static let errorLog = "error log"

  private func write(
    _ buffer: borrowing TextBuffer,
    to number: Int32
  ) throws(SystemError) {
    let bytes = buffer.bytes
    let file = Descriptor(adopting: number)
    var sent = 0
    while sent < bytes.count {
      do throws(SystemError) {
        sent += try file.write(bytes.extracting(sent...))
      } catch {
        // The disk is full or nobody reads: these lines are lost, the next ones are tried again.
        failures.add(1, ordering: .relaxed)
        _ = file.release()
        throw error
      }
    }
    _ = file.release()
  }
}

extension LogLine.Level {
  /// Whether a line of this level is written where `least` is the least grave one.
  fileprivate func matters(under least: ErrorLogSettings.Level) -> Bool {
    let own: ErrorLogSettings.Level =
      switch self {
      case .debug: .debug
      case .notice: .notice
      case .warning: .warning
      case .error: .error
      }
    return own >= least
  }
}
