import Admin
import Handover
import JSON
import JSONRPC
import MartletLoop
import MartletNet
import MartletSystem

// Calls at the control socket: some are for the supervisor, most are passed on to the edge.

extension Supervisor {
  private static let answerTime = Timeout(.seconds(15))

  /// Performs the calls of a message.
  func answer(to message: RPCMessage, _ stream: Stream) async -> JSONValue? {
    await message.answer { call throws(RPCError) in
      try await perform(call, isAlone: !message.isBatch, on: stream)
    }
  }

  private func perform(
    _ call: RPCCall,
    isAlone: Bool,
    on stream: Stream
  ) async throws(RPCError) -> JSONValue {
    let arguments = try ControlMethods.table.arguments(of: call)
    switch call.method {
    case "config.write":
      do throws(CommandFailure) {
        return try await change { () async throws(CommandFailure) in
          try await writeChanges(isTrial: arguments.flag("dry_run"))
        }
      } catch {
        throw error.rpcError
      }
    case MethodTable.discovery:
      return ControlMethods.table.description(title: "Martlet", version: options.version)
    case "status":
      let status = await status()
      return arguments.flag("text") ? .object(["text": .text(status.text)]) : status.json
    case "upgrade" where !isAlone:
      throw RPCError(RPCError.invalidRequest, "`upgrade` cannot stand in a batch")
    case "reload", "reopen", "upgrade", "stop":
      let place = call.id.map { ReplyPlace(connection: stream.descriptor, id: $0) }
      do throws(CommandFailure) {
        return .object(["message": .text(try await perform(call.method, replyingTo: place))])
      } catch {
        throw error.rpcError
      }
    default: return try await passOn(call.method, arguments.json)
    }
  }

  /// Lets the edge that serves perform a method.
  func passOn(_ method: String, _ arguments: JSONValue) async throws(RPCError) -> JSONValue {
    let isChange = ControlMethods.changing.contains(method)
    if isChange { try await awaitChange() }
    if isChange { changeCount += 1 }
    defer { if isChange { changeCount -= 1 } }
    guard let edge = current else {
      throw ControlFault.unavailable.error("no edge process serves now: try again")
    }
    guard edge.level >= HandoverLimits.callLevel else {
      throw ControlFault.unavailable.error(
        "the edge process that serves is of an earlier version, which cannot do this: "
          + "`martlet upgrade`, then try again"
      )
    }
    guard let answer = Answer<EdgeAnswer>(on: loop) else {
      throw RPCError(RPCError.internalError, "no timer is left")
    }
    callNumber &+= 1
    let number = callNumber
    edge.calls[number] = answer
    defer { edge.calls[number] = nil }
    do throws(HandoverError) {
      let text = Array(arguments.compact.utf8)
      try edge.channel.post(.call(number: number, method: method, arguments: text))
    } catch {
      throw ControlFault.unavailable.error("the edge process cannot be asked (\(error)): try again")
    }
    guard let given = await answer.wait(by: loop.deadline(after: Self.answerTime)) else {
      throw ControlFault.unavailable.error(
        "the edge process has not answered yet: whether anything has changed is not known"
      )
    }
    guard !given.outcome.isEmpty else {
      throw ControlFault.unavailable.error("the edge process has ended meanwhile: try again")
    }
    let result = try Self.result(of: given.outcome)
    if let failure = given.keeping {
      throw ControlFault.notKept.error(
        "the change is in force, but it cannot be kept: \(failure); the next edge process will "
          + "have it, the next start of Martlet will not"
      )
    }
    return result
  }

  /// An upgrade hands over what is known when it begins: a change waits for its end.
  private func awaitChange() async throws(RPCError) {
    for _ in 0..<500 where isChanging {
      do throws(WaitError) { try await loop.sleep(for: .milliseconds(10)) } catch { break }
    }
    guard !isChanging else {
      throw ControlFault.unavailable.error("a reload or upgrade is under way: try again")
    }
  }

  /// Writes what was changed into the configuration, and puts that in force.
  private func writeChanges(isTrial: Bool) async throws(CommandFailure) -> JSONValue {
    let state = changes.state
    let written = try options.write(state, inForce.number, inForce.assignment.source, isTrial)
    var message = "nothing is different from the configuration"
    if !written.names.isEmpty, !isTrial {
      let names = written.names.joined(separator: ", ")
      // What is written is no longer a change.
      keep(RuntimeState())
      do throws(CommandFailure) {
        message = "\(names) was written; \(try await reload())"
      } catch {
        keep(state)
        throw CommandFailure(error.status, "\(names) was written, but: \(error.message)")
      }
    }
    return .object([
      "message": .text(message), "diff": .text(written.diff),
      "files": .list(written.names.map { .text($0) }),
    ])
  }

  /// Has this and the edge that serves know of these changes, for the next generation.
  private func keep(_ state: RuntimeState) {
    _ = note(state)
    guard let current, current.level >= HandoverLimits.callLevel else { return }
    current.tell(.changes(state))
  }

  private static func result(of outcome: [UInt8]) throws(RPCError) -> JSONValue {
    let limits = JSONLimits(byteCount: 16 << 20, valueCount: 1_000_000)
    let json: JSONValue
    do throws(JSONError) {
      json = try JSONValue(parsing: outcome, limits: limits)
    } catch {
      throw RPCError(RPCError.internalError, "the answer of the edge process is not in form")
    }
    if let error = json["error"].flatMap({ RPCError($0) }) { throw error }
    return json["result"] ?? .null
  }

  /// Takes what an edge says is different at run time.
  ///
  /// - Returns: Why it could not be kept, or nil.
  func note(_ state: RuntimeState) -> SystemError? {
    do throws(SystemError) {
      try changes.take(state)
      return nil
    } catch {
      options.say("what was changed cannot be kept: \(error)")
      return error
    }
  }
}

extension CommandFailure {
  /// The failure as the error of a call.
  var rpcError: RPCError {
    RPCError(
      ControlFault.failed.rawValue,
      message,
      details: .object(["status": .number(Int(status.rawValue))])
    )
  }

  /// The failure that the error of a call means.
  init(_ error: RPCError) {
    if let code = error.details?["status"]?.number,
      let status = ExitStatus(rawValue: Int32(clamping: code))
    {
      self.init(status, error.message)
    } else if error.code == RPCError.invalidParameters
      || error.code == ControlFault.wrongText.rawValue
    {
      self.init(.usage, error.message)
    } else {
      self.init(.failure, error.message)
    }
  }
}
