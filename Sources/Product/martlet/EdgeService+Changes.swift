import Admin
import Configuration
import Directives
import Edge
import Handover
import HealthChecks
import JSON
import JSONRPC
import Supervision

// What is changed at run time: upstreams and members.

extension EdgeService {
  /// Takes what the supervisor kept of earlier changes; the next generation is made with it.
  func take(_ state: RuntimeState) {
    guard let kept = RuntimeChanges(bytes: state.kept),
      let untilReload = TimedChanges(bytes: state.untilReload)
    else {
      Console.complain("martlet: what was kept of changes is not in form: it is not in force")
      return
    }
    changes.kept = kept
    changes.untilReload = untilReload.changes
    changesGeneration = untilReload.generation
  }

  /// What the supervisor is to keep.
  var runtimeState: RuntimeState {
    RuntimeState(
      kept: changes.kept.bytes,
      untilReload: TimedChanges(changesGeneration, changes.untilReload).bytes
    )
  }

  /// What a new configuration is served with: changes that held until a reload are over when
  /// `generation` is not the one that they were made in.
  func changes(in generation: UInt64) -> ChangeSet {
    var changes = changes
    if generation != changesGeneration { changes.untilReload = RuntimeChanges() }
    return changes
  }

  // MARK: Methods

  /// Performs a method that changes something.
  func change(
    _ method: String,
    _ arguments: RPCArguments,
    of server: EdgeServer
  ) async throws(RPCError) -> JSONValue {
    guard let configuration = base else {
      throw ControlFault.unavailable.error("nothing is served yet")
    }
    changesGeneration = server.generation.number
    var next = changes
    if method == "config.discard" {
      next = ChangeSet()
      try await assume(configuration, of: server)
      changes = next
      return .object(["message": .text("the configuration is in force as it was read")])
    }
    let isKept = arguments.flag("keep")
    let effective: EdgeConfiguration
    let change = try Self.change(method, arguments)
    do throws(ChangeError) {
      effective = try next.make(change, keeping: isKept, on: configuration)
    } catch {
      throw ControlFault(error.kind).error(error.message)
    }
    try await assume(effective, of: server)
    changes = next
    let duration =
      isKept ? "kept over reloads" : "until the next reload, for good with --keep"
    return .object([
      "message": .text("\(Self.sentence(change)): \(duration)"), "kept": .flag(isKept),
    ])
  }

  private func assume(
    _ configuration: EdgeConfiguration,
    of server: EdgeServer
  ) async throws(RPCError) {
    do {
      try await server.assume(configuration)
      health?.follow(server.generation.upstreams)
    } catch {
      throw RPCError(RPCError.internalError, "nothing was changed: \(error)")
    }
  }

  /// What a call asks for.
  private static func change(
    _ method: String,
    _ arguments: RPCArguments
  ) throws(RPCError) -> RuntimeChange {
    let name = arguments.text("upstream") ?? ""
    switch method {
    case "upstream.add": return .addUpstream(name, lines: arguments.text("lines") ?? "")
    case "upstream.remove": return .removeUpstream(name)
    case "upstream.enable": return .setUpstream(name, .ready)
    case "upstream.drain": return .setUpstream(name, .draining)
    case "upstream.disable": return .setUpstream(name, .disabled)
    case "member.add": return .addMember(upstream: name, line: arguments.text("member") ?? "")
    default: break
    }
    let address = try address(arguments)
    switch method {
    case "member.remove": return .removeMember(upstream: name, address)
    case "member.weigh":
      return .weigh(upstream: name, address, arguments.number("weight") ?? 1)
    case "member.enable": return .setMember(upstream: name, address, .ready)
    case "member.drain": return .setMember(upstream: name, address, .draining)
    case "member.disable": return .setMember(upstream: name, address, .disabled)
    default: throw RPCError(RPCError.methodNotFound, "an edge process has no method `\(method)`")
    }
  }

  private static func address(_ arguments: RPCArguments) throws(RPCError) -> Address {
    do throws(ChangeError) {
      return try MemberSettings.reading(arguments.text("member") ?? "").address
    } catch {
      throw ControlFault(error.kind).error(error.message)
    }
  }

  private static func sentence(_ change: RuntimeChange) -> String {
    switch change {
    case .addUpstream(let name, _): "upstream `\(name)` was added"
    case .removeUpstream(let name): "upstream `\(name)` was removed"
    case .setUpstream(let name, let mode): "upstream `\(name)` is \(mode.rawValue)"
    case .addMember(let name, let line): "member `\(line)` was added to `\(name)`"
    case .removeMember(let name, let address): "member `\(address)` was removed from `\(name)`"
    case .weigh(let name, let address, let weight):
      "member `\(address)` of `\(name)` has the weight \(weight)"
    case .setMember(let name, let address, let mode):
      "member `\(address)` of `\(name)` is \(mode.rawValue)"
    }
  }

  // MARK: Views

  /// The upstreams as `status` tells them.
  func upstreams(of server: EdgeServer) throws(RPCError) -> [JSONValue] {
    let limits = JSONLimits(byteCount: HandoverLimits.messageBytes, valueCount: 1_000_000)
    do throws(JSONError) {
      return try JSONValue(parsing: server.status(), limits: limits)["upstreams"]?.list ?? []
    } catch {
      throw RPCError(RPCError.internalError, "the state is not in form: \(error)")
    }
  }

  /// The upstream that a call names.
  func upstream(_ name: String, of server: EdgeServer) throws(RPCError) -> JSONValue {
    if let found = try upstreams(of: server).first(where: { $0["name"]?.text == name }) {
      return found
    }
    do throws(ChangeError) {
      _ = try base?.applying(changes.layers).existing(name)
    } catch {
      throw ControlFault(error.kind).error(error.message)
    }
    throw ControlFault.noUpstream.error("there is no upstream named `\(name)`")
  }

  /// The members of the upstream that a call names, or of all.
  func members(_ arguments: RPCArguments, of server: EdgeServer) throws(RPCError) -> JSONValue {
    let upstreams: [JSONValue]
    if let name = arguments.text("upstream") {
      upstreams = [try upstream(name, of: server)]
    } else {
      upstreams = try self.upstreams(of: server)
    }
    return .object(["members": .list(memberRows(of: upstreams))])
  }

  /// The member that a call names.
  func member(_ arguments: RPCArguments, of server: EdgeServer) throws(RPCError) -> JSONValue {
    let name = arguments.text("upstream") ?? ""
    let rows = memberRows(of: [try upstream(name, of: server)])
    let address = try Self.address(arguments).description
    if let found = rows.first(where: { $0["address"]?.text == address }) { return found }
    let names = rows.compactMap { $0["address"]?.text }
    let near = nearestName(to: address, among: names).map { "did you mean `\($0)`?" }
    throw ControlFault.noMember.error(
      "`\(address)` is no member of `\(name)`: \(near ?? "`martlet member list \(name)` tells them")"
    )
  }
}

extension ControlFault {
  /// The fault of a change that is refused.
  init(_ kind: ChangeError.Kind) {
    switch kind {
    case .noUpstream: self = .noUpstream
    case .noMember: self = .noMember
    case .exists: self = .exists
    case .inUse: self = .inUse
    case .wrongText: self = .wrongText
    case .tooMany: self = .tooMany
    }
  }
}
