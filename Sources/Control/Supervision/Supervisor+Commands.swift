import JSON
import JSONRPC
import MartletLoop
import MartletNet
import MartletProcess
import MartletSystem

// Signals and the control socket: who asks the supervisor for something.

extension Supervisor {
  private static let lineBytes = 256
  private static let connectionLimit = 32

  /// Does what signals ask for, for ever.
  func take(signalsFrom queue: SignalQueue) async {
    let supervisor = self
    while true {
      let signal: ProcessSignal
      do throws(WaitError) { signal = try await queue.next() } catch { return }
      switch signal {
      case .interrupt, .terminate: stop()
      case .hangUp: loop.spawn { await supervisor.tell { await supervisor.perform("reload", nil) } }
      case .user1: loop.spawn { await supervisor.tell { await supervisor.perform("reopen", nil) } }
      case .user2: loop.spawn { await supervisor.tell { await supervisor.perform("upgrade", nil) } }
      default: break
      }
    }
  }

  /// Says what came of a signal that failed; what succeeded has said so itself.
  private func tell(_ body: () async -> Result<String, CommandFailure>) async {
    if case .failure(let failure) = await body() { options.say(failure.message) }
  }

  /// Takes connections at the control socket, for ever.
  func take(commandsFrom listener: Listener) async {
    let supervisor = self
    while true {
      do throws(StreamError) {
        let accepted = try await listener.accept()
        guard sessionCount < Self.connectionLimit else { continue }
        // The loop has descriptors left, or it would not have accepted one.
        let stream = try Stream.adopting(accepted.descriptor, on: loop)
        sessionCount += 1
        loop.spawn { await supervisor.serve(stream) }
      } catch {
        // No descriptor is left; others will be closed.
        do throws(WaitError) { try await loop.sleep(for: .milliseconds(100)) } catch {}
      }
    }
  }

  /// Lets commands that are under way be answered.
  func endCommands() async {
    for _ in 0..<100 where commandCount > 0 {
      do throws(WaitError) { try await loop.sleep(for: .milliseconds(10)) } catch { return }
    }
  }

  /// Answers what comes on a connection: calls of JSON-RPC, each on a line of its own, or one command
  /// in the form of versions before these.
  private func serve(_ stream: Stream) async {
    defer { sessionCount -= 1 }
    guard let user = stream.peerUser else { return }
    let isAllowed = user == 0 || user == Processes.ownUser
    var lines = MessageLines(byteLimit: Self.limits.json.byteCount)
    do throws(SessionEnd) {
      while let line = try await line(from: stream, &lines) {
        commandCount += 1
        defer { commandCount -= 1 }
        guard line.first == UInt8(ascii: "{") || line.first == UInt8(ascii: "[") else {
          let text = String(decoding: line.prefix(Self.lineBytes), as: UTF8.self)
          let outcome = isAllowed ? await perform(text, stream) : .failure(Self.stranger)
          await answer(outcome, to: nil, on: stream)
          return
        }
        let message = RPCMessage(line, limits: Self.limits)
        guard isAllowed else {
          let error = Self.stranger.rpcError
          let refusal = await message.answer { _ throws(RPCError) in throw error }
          _ = await write(refusal, on: stream)
          return
        }
        guard await write(await answer(to: message, stream), on: stream) else { return }
      }
    } catch {
      guard error == .tooLong else { return }
      let problem = RPCError(RPCError.parseError, "parse error: a message has at most 1 MiB")
      _ = await write(RPCResponse(id: .null, .failure(problem)).json, on: stream)
    }
  }

  private enum SessionEnd: Error { case over, tooLong }

  private static let limits = RPCLimits()
  private static let stranger = CommandFailure(.noRight, "this is another user's Martlet")

  /// The next line: within a while, and once it has begun, soon.
  private func line(
    from stream: Stream,
    _ lines: inout MessageLines
  ) async throws(SessionEnd) -> [UInt8]? {
    var deadline = loop.deadline(after: lines.isWithinMessage ? Self.lineTime : Self.pauseTime)
    while true {
      do throws(MessageLines.Failure) {
        if let line = try lines.next() { return line }
      } catch {
        throw .tooLong
      }
      do throws(StreamError) {
        let wasWithin = lines.isWithinMessage
        let part = try await stream.read(.head, by: deadline)
        if part.isEmpty { return nil }
        lines.receive(part.bytes)
        if !wasWithin { deadline = loop.deadline(after: Self.lineTime) }
      } catch {
        throw .over
      }
    }
  }

  private static let lineTime = Timeout(.seconds(5))
  private static let pauseTime = Timeout(.seconds(60))

  /// Writes an answer, if there is one.
  ///
  /// - Returns: Whether it was written.
  private func write(_ json: JSONValue?, on stream: Stream) async -> Bool {
    guard let json else { return true }
    do throws(StreamError) {
      let bytes = Array((json.compact + "\n").utf8)
      try await stream.write(bytes, by: loop.deadline(after: Self.lineTime))
      return true
    } catch {
      options.say("an answer could not be given: \(error)")
      return false
    }
  }

  /// Writes what came of the only command of a connection: to the call of this identifier, or as code
  /// and text.
  func answer(
    _ outcome: Result<String, CommandFailure>,
    to id: String?,
    on stream: Stream
  ) async {
    if let id {
      let result = outcome.map { JSONValue.object(["message": .text($0)]) }.mapError(\.rpcError)
      let identifier: JSONValue
      do throws(JSONError) { identifier = try JSONValue(parsing: id.utf8) } catch {
        identifier = .null
      }
      _ = await write(RPCResponse(id: identifier, result).json, on: stream)
      stream.shutdownWrite()
      return
    }
    let text =
      switch outcome {
      case .success(let text): "\(ExitStatus.success.rawValue) \(text)"
      case .failure(let failure): "\(failure.status.rawValue) \(failure.message)"
      }
    do throws(StreamError) {
      try await stream.write(Array(text.utf8), by: loop.deadline(after: Self.lineTime))
      stream.shutdownWrite()
    } catch {
      options.say("an answer could not be given: \(error)")
    }
  }

  /// Does what a line asks for.
  private func perform(_ line: String, _ stream: Stream?) async -> Result<String, CommandFailure> {
    do throws(CommandFailure) {
      switch line {
      case "status": return .success(await status().text)
      case "status json": return .success(await status().json.compact)
      case "reload", "reopen", "upgrade", "stop":
        let place = stream.map { ReplyPlace(connection: $0.descriptor, id: nil) }
        return .success(try await perform(line, replyingTo: place))
      default: throw CommandFailure(.usage, "`\(line)` is no command")
      }
    } catch {
      return .failure(error)
    }
  }

  /// Changes what runs.
  ///
  /// - Throws: ``CommandFailure``.
  func perform(
    _ command: String,
    replyingTo place: ReplyPlace?
  ) async throws(CommandFailure) -> String {
    switch command {
    case "reload": return try await change(reload)
    case "reopen": return try await change { () throws(CommandFailure) in try reopenLogs() }
    case "upgrade":
      return try await change { () async throws(CommandFailure) in
        try await upgrade(replyingTo: place)
      }
    default:
      stop()
      return await stopped()
    }
  }

  /// Waits until every edge has ended.
  private func stopped() async -> String {
    while !edges.isEmpty {
      do throws(WaitError) { try await loop.sleep(for: .milliseconds(10)) } catch { break }
    }
    return "stopped"
  }
}

/// Where the answer to an upgrade goes: a connection, and the identifier of the call on it.
struct ReplyPlace {
  var connection: Int32
  /// Nil for a command that is a line.
  var id: JSONValue?
}

extension Stream {
  /// Takes over a socket.
  ///
  /// - Throws: ``StreamError/failed(_:)`` when the loop cannot watch it.
  static func adopting(
    _ descriptor: consuming Descriptor,
    on loop: EventLoop
  ) throws(StreamError) -> Stream {
    do throws(SystemError) {
      return try Stream(adopting: descriptor, on: loop)
    } catch {
      throw .failed(error)
    }
  }

  /// The user at the other end of a Unix socket.
  var peerUser: UInt32? {
    let borrowed = Descriptor(adopting: descriptor)
    let user: UInt32?
    do throws(SystemError) { user = try borrowed.peerCredentials().user } catch { user = nil }
    _ = borrowed.release()
    return user
  }
}
