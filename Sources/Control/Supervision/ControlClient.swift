public import JSON
import JSONRPC
import MartletLoop
import MartletNet
import MartletProcess
import MartletSystem
import Synchronization

/// Asks a running supervisor for something.
public struct ControlClient: Sendable {
  /// The most that is read of an answer: 16 MiB.
  public static let answerBytes = 16 << 20

  private let state: StateDirectory

  /// Creates a client of the instance with this state directory.
  public init(_ state: StateDirectory) { self.state = state }

  /// Sends a command as one line, which every version understands, and waits for its answer.
  ///
  /// - Returns: The text of the answer.
  /// - Throws: ``CommandFailure`` of the command itself, or when no supervisor answers.
  public func ask(_ command: String) throws(CommandFailure) -> String {
    try outcome(of: try exchange(command, isLast: command == "stop")).get()
  }

  /// Calls a method and waits for its result.
  ///
  /// - Throws: ``CommandFailure`` with what the method throws, or when no supervisor answers.
  public func call(
    _ method: String,
    _ arguments: JSONValue = .object([])
  ) throws(CommandFailure) -> JSONValue {
    let call = RPCCall(id: .number(1), method, arguments)
    let answer = try exchange(call.json.compact, isLast: method == "stop")
    let response: RPCResponse?
    do throws(JSONError) {
      let limits = JSONLimits(byteCount: Self.answerBytes, valueCount: 1_000_000)
      response = RPCResponse(try JSONValue(parsing: answer.utf8, limits: limits))
    } catch {
      return try earlier(method, answer)
    }
    switch response?.outcome {
    case .success(let result)?: return result
    case .failure(let error)?: throw CommandFailure(error)
    case nil: throw CommandFailure(.failure, "the answer is not in form")
    }
  }

  /// What an answer in the form of earlier versions means.
  ///
  /// An upgrade to such a version gives one too. A supervisor of such a version did not understand the
  /// call: what it can do is asked for in its words.
  private func earlier(_ method: String, _ answer: String) throws(CommandFailure) -> JSONValue {
    let known = ["status", "reload", "reopen", "upgrade", "stop"]
    let isUnknown = answer.isEmpty || answer.hasPrefix("\(ExitStatus.usage.rawValue) `{")
    guard isUnknown else {
      return .object(["message": .text(try outcome(of: answer).get())])
    }
    guard known.contains(method) else {
      throw CommandFailure(
        .failure,
        "the Martlet that runs is of an earlier version, which cannot do this: `martlet upgrade` "
          + "puts this one in its place"
      )
    }
    return .object(["message": .text(try ask(method))])
  }

  private func exchange(
    _ line: String,
    isLast: Bool
  ) throws(CommandFailure) -> String {
    try state.check()
    let outcome = Mutex<Result<String, CommandFailure>>(.failure(notRunning("it did not answer")))
    do throws(SystemError) {
      let loop = try EventLoop()
      loop.run(until: {
        loop.checkIsolated()
        let result = await exchange(line, isLast: isLast, on: loop)
        outcome.withLock { $0 = result }
      })
    } catch {
      throw CommandFailure(.failure, "cannot ask: \(error)")
    }
    return try outcome.withLock(\.self).get()
  }

  private func exchange(
    _ line: String,
    isLast: Bool,
    on loop: EventLoop
  ) async -> Result<String, CommandFailure> {
    do throws(StreamError) {
      let address = SocketAddress.unix(state.controlSocket)
      let soon = loop.deadline(after: Timeout(.seconds(5)))
      let stream = try await Stream.connect(to: address, on: loop, by: soon)
      try await stream.write(Array("\(line)\n".utf8), by: soon)
      // One line is all there is to answer.
      let isCall = line.first == "{"
      var bytes: [UInt8] = []
      while !isCall || bytes.last != 0x0A {
        let part = try await stream.read(.body, by: .never)
        if part.isEmpty { break }
        for index in 0..<part.count { bytes.append(part.bytes[index]) }
        guard bytes.count <= Self.answerBytes else {
          return .failure(CommandFailure(.failure, "the answer is too long"))
        }
      }
      if isLast { await processEnds(stream, on: loop) }
      return .success(String(decoding: bytes, as: UTF8.self))
    } catch {
      guard case .failed(let error) = error else {
        return .failure(notRunning("it did not answer"))
      }
      if error.isAboutRights {
        return .failure(CommandFailure(.noRight, "may not speak to \(state.controlSocket)"))
      }
      return .failure(notRunning("\(error)"))
    }
  }

  /// Waits until the supervisor's process has ended, so that its lock and its ports are free.
  private func processEnds(_ stream: Stream, on loop: EventLoop) async {
    do {
      let borrowed = Descriptor(adopting: stream.descriptor)
      let credentials = Result { try borrowed.peerCredentials() }
      _ = borrowed.release()
      let watcher = try Processes.watch(try credentials.get().process)
      try loop.watch(watcher.number)
      defer { loop.forget(watcher.number) }
      let deadline = loop.deadline(after: Timeout(.seconds(5)))
      try await loop.readable(watcher.number, by: deadline)
    } catch {
      // It has ended already.
    }
  }

  private func outcome(of answer: String) -> Result<String, CommandFailure> {
    let parts = answer.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, let code = Int32(parts[0]), let status = ExitStatus(rawValue: code)
    else { return .failure(CommandFailure(.failure, "the answer is not in form: \(answer)")) }
    let text = String(parts[1])
    return status == .success ? .success(text) : .failure(CommandFailure(status, text))
  }

  private func notRunning(_ reason: String) -> CommandFailure {
    CommandFailure(
      .notRunning,
      "no Martlet runs with the state directory \(state.path) (\(reason)): start one with "
        + "`martlet run`, or name its directory with --state-directory"
    )
  }
}
