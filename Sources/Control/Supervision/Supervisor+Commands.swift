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
        guard commandCount < Self.connectionLimit else { continue }
        // The loop has descriptors left, or it would not have accepted one.
        let stream = try Stream.adopting(accepted.descriptor, on: loop)
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

  private func serve(_ stream: Stream) async {
    commandCount += 1
    defer { commandCount -= 1 }
    guard let user = stream.peerUser, let line = await line(from: stream) else { return }
    guard user == 0 || user == Processes.ownUser else {
      await answer(.failure(CommandFailure(.noRight, "this is another user's Martlet")), to: stream)
      return
    }
    await answer(await perform(line, stream.descriptor), to: stream)
  }

  private func line(from stream: Stream) async -> String? {
    let deadline = loop.deadline(after: Timeout(.seconds(5)))
    var bytes: [UInt8] = []
    while bytes.last != 0x0A {
      do throws(StreamError) {
        let part = try await stream.read(.head, by: deadline)
        guard !part.isEmpty, bytes.count + part.count <= Self.lineBytes else { return nil }
        for index in 0..<part.count { bytes.append(part.bytes[index]) }
      } catch {
        return nil
      }
    }
    return String(decoding: bytes.dropLast(), as: UTF8.self)
  }

  /// Writes the code and the text of an outcome.
  func answer(_ outcome: Result<String, CommandFailure>, to stream: Stream) async {
    let text =
      switch outcome {
      case .success(let text): "\(ExitStatus.success.rawValue) \(text)"
      case .failure(let failure): "\(failure.status.rawValue) \(failure.message)"
      }
    do throws(StreamError) {
      try await stream.write(Array(text.utf8), by: loop.deadline(after: Timeout(.seconds(5))))
      stream.shutdownWrite()
    } catch {
      options.say("an answer could not be given: \(error)")
    }
  }

  /// Does what a line asks for.
  private func perform(
    _ line: String,
    _ connection: Int32?
  ) async -> Result<String, CommandFailure> {
    do throws(CommandFailure) {
      switch line {
      case "status": return .success(await status().text)
      case "status json": return .success(await status().json)
      case "reload": return .success(try await change(reload))
      case "reopen":
        return .success(try await change { () throws(CommandFailure) in try reopenLogs() })
      case "upgrade":
        return .success(
          try await change { () async throws(CommandFailure) in
            try await upgrade(replyingTo: connection)
          }
        )
      case "stop":
        stop()
        return .success(await stopped())
      default:
        throw CommandFailure(.usage, "`\(line)` is no command")
      }
    } catch {
      return .failure(error)
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
