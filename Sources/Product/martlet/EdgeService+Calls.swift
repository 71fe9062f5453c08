import Admin
import Configuration
import Directives
import Edge
import JSON
import JSONRPC
import Supervision

// The methods of the control socket that an edge process performs.

extension EdgeService {
  /// Performs a method; its arguments are an object.
  ///
  /// - Returns: The answer as an object with `result` or `error`.
  func perform(_ method: String, _ arguments: [UInt8]) async -> [UInt8] {
    let answer: JSONValue
    do throws(RPCError) {
      let parameters: JSONValue
      do throws(JSONError) {
        parameters = try JSONValue(parsing: arguments)
      } catch {
        throw RPCError(RPCError.invalidParameters, "the arguments are not in form")
      }
      // Whoever passed the call on may be of another version: the arguments are checked here too.
      let call = RPCCall(id: nil, method, parameters)
      let result = try await perform(method, try ControlMethods.table.arguments(of: call))
      answer = .object(["result": result])
    } catch {
      answer = .object(["error": error.json])
    }
    return Array(answer.compact.utf8)
  }

  private func perform(
    _ method: String,
    _ arguments: RPCArguments
  ) async throws(RPCError) -> JSONValue {
    guard let server else { throw ControlFault.unavailable.error("nothing is served yet") }
    switch method {
    case "metrics":
      return .object(["text": .text(String(decoding: server.metrics(), as: UTF8.self))])
    case "upstream.list": return .object(["upstreams": .list(try upstreams(of: server))])
    case "upstream.show": return try upstream(arguments.text("upstream") ?? "", of: server)
    case "member.list": return try members(arguments, of: server)
    case "member.show": return try member(arguments, of: server)
    case "config.changes":
      return .object(["kept": changes.kept.json, "until_reload": changes.untilReload.json])
    case _ where ControlMethods.changing.contains(method):
      return try await change(method, arguments, of: server)
    case "table.list": return .object(["tables": .list(server.tables().map(\.json))])
    case "table.read": return try Self.table(arguments, of: server).json
    case "table.clear":
      let table = try Self.table(arguments, of: server)
      guard table.canBeCleared, server.clearTable(table.name) else {
        throw ControlFault.notClearable.error(
          "`\(table.name)` counts what is under way: it cannot be cleared"
        )
      }
      return .object(["message": .text("`\(table.name)` was cleared")])
    case _ where method.hasPrefix("cache."):
      return try await performCaches(method, arguments, of: server)
    case _ where method.hasPrefix("certificate."):
      return try await performCertificates(method, arguments)
    case "connection.list": return try await connections(arguments, of: server)
    case "task.list": return await tasks(arguments, of: server)
    case "connection.close": return try await close(arguments, of: server)
    default: throw RPCError(RPCError.methodNotFound, "an edge process has no method `\(method)`")
    }
  }

  private static func table(
    _ arguments: RPCArguments,
    of server: EdgeServer
  ) throws(RPCError) -> TableView {
    let name = arguments.text("table") ?? ""
    if let table = server.table(name) { return table }
    let names = server.tables().map(\.name)
    let near = nearestName(to: name, among: names).map { ": did you mean `\($0)`?" }
    throw ControlFault.noTable.error("there is no table `\(name)`\(near ?? "")")
  }

  // MARK: Connections

  private func connections(
    _ arguments: RPCArguments,
    of server: EdgeServer
  ) async throws(RPCError) -> JSONValue {
    let after = try arguments.text("after").map { text throws(RPCError) in
      try Self.connection(text, named: "after")
    }
    let found = await server.connections(
      try Self.filter(arguments),
      after: after,
      limit: arguments.number("limit") ?? 100
    )
    return .object([
      "connections": .list(found.views.map(\.json)),
      "next": found.next.map { .text($0.description) } ?? .null,
    ])
  }

  private func close(
    _ arguments: RPCArguments,
    of server: EdgeServer
  ) async throws(RPCError) -> JSONValue {
    var filter = try Self.filter(arguments)
    if arguments["connections"] != nil {
      var ids: Set<ConnectionID> = []
      for text in arguments.texts("connections") {
        ids.insert(try Self.connection(text, named: "connections"))
      }
      filter.ids = ids
    }
    guard filter.saysSomething || arguments.flag("all") else {
      throw RPCError(
        RPCError.invalidParameters,
        "`connection.close`: say which connections; `all` means every one"
      )
    }
    let count = await server.closeConnections(filter, softly: arguments.flag("soft"))
    return .object(["closed": .number(count)])
  }

  private static func connection(
    _ text: String,
    named name: String
  ) throws(RPCError) -> ConnectionID {
    guard let id = ConnectionID(text) else {
      throw RPCError(RPCError.invalidParameters, "`\(name)`: `\(text)` names no connection")
    }
    return id
  }

  private static func filter(_ arguments: RPCArguments) throws(RPCError) -> ConnectionFilter {
    var filter = ConnectionFilter()
    filter.listener = arguments.text("listener")
    filter.upstream = arguments.text("upstream")
    filter.member = arguments.text("member")
    filter.olderThan = arguments.number("older_than").map { .seconds($0) }
    filter.isIdle = arguments.flag("idle")
    if let text = arguments.text("client") {
      guard let network = Network(text) else {
        throw RPCError(
          RPCError.invalidParameters,
          "`client`: `\(text)` is no address and no network: write 10.0.0.7 or 10.0.0.0/8"
        )
      }
      filter.clients = network
    }
    return filter
  }
}

extension TableView {
  /// The table as an object.
  fileprivate var json: JSONValue {
    .object([
      "table": .text(name), "kind": .text(kind), "keys": .number(keyCount),
      "capacity": capacity.map { .number($0) } ?? .null,
    ])
  }
}

extension ConnectionView {
  /// The connection as an object.
  fileprivate var json: JSONValue {
    let age = Double(self.age.components.seconds) + Double(self.age.components.attoseconds) / 1e18
    return .object([
      "connection": .text(id.description), "listener": .text(listener),
      "transport": .text(transport), "client": .text(client),
      "age_seconds": .real((age * 1000).rounded() / 1000), "requests": .number(requestCount),
      "idle": .flag(isIdle), "upstream": upstream.map { .text($0) } ?? .null,
      "member": member.map { .text($0) } ?? .null,
    ])
  }
}
