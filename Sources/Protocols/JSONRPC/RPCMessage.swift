public import JSON

/// One call.
///
/// - Source: JSON-RPC 2.0, section 4.
public struct RPCCall: Hashable, Sendable {
  /// By what the caller knows the answer: a text, a number or null; nil: it wants none.
  public var id: JSONValue?
  /// The name of the method.
  public var method: String
  /// The arguments: a list, an object, or nil.
  public var parameters: JSONValue?

  /// Creates a call.
  public init(id: JSONValue?, _ method: String, _ parameters: JSONValue? = nil) {
    self.id = id
    self.method = method
    self.parameters = parameters
  }

  /// Whether nobody waits for an answer.
  public var isNotification: Bool { id == nil }

  /// The call as an object.
  public var json: JSONValue {
    var members = [
      JSONValue.Member("jsonrpc", .text("2.0")), JSONValue.Member("method", .text(method)),
    ]
    if let parameters { members.append(JSONValue.Member("params", parameters)) }
    if let id { members.append(JSONValue.Member("id", id)) }
    return .object(members)
  }
}

/// A call, or why something in the place of one is none.
public enum RPCItem: Hashable, Sendable {
  /// A call.
  case call(RPCCall)
  /// No call: the answer has this identifier, null where none could be read, and this error.
  case fault(id: JSONValue, RPCError)
}

/// Bounds of a message.
public struct RPCLimits: Hashable, Sendable {
  /// Those of its JSON.
  public var json: JSONLimits
  /// The most calls of a batch.
  public var batchCount: Int
  /// The longest name of a method, and the longest identifier that is a text, in bytes.
  public var nameBytes: Int

  /// Creates limits; if nothing else is said: 1 MiB, 32 levels, 100 calls, 256 bytes.
  public init(json: JSONLimits = JSONLimits(), batchCount: Int = 100, nameBytes: Int = 256) {
    self.json = json
    self.batchCount = batchCount
    self.nameBytes = nameBytes
  }
}

/// What was sent at once: a call, or a batch of them.
public struct RPCMessage: Hashable, Sendable {
  /// The calls and faults, in order.
  public var items: [RPCItem]
  /// Whether they stood in a list, so that the answers do too.
  public var isBatch: Bool

  /// Reads a message; what is wrong with it stands in its place among ``items``.
  ///
  /// - Source: JSON-RPC 2.0, sections 4 to 6.
  public init(_ bytes: some Collection<UInt8>, limits: RPCLimits = RPCLimits()) {
    isBatch = false
    let json: JSONValue
    do throws(JSONError) {
      json = try JSONValue(parsing: bytes, limits: limits.json)
    } catch {
      items = [.fault(id: .null, RPCError(RPCError.parseError, "parse error: \(error)"))]
      return
    }
    guard case .list(let values) = json else {
      items = [Self.item(json, limits)]
      return
    }
    guard !values.isEmpty else {
      items = [Self.invalid("a batch holds a call")]
      return
    }
    guard values.count <= limits.batchCount else {
      items = [Self.invalid("a batch has at most \(limits.batchCount) calls")]
      return
    }
    isBatch = true
    items = values.map { Self.item($0, limits) }
  }

  private static func invalid(_ reason: String, id: JSONValue = .null) -> RPCItem {
    .fault(id: id, RPCError(RPCError.invalidRequest, "invalid request: \(reason)"))
  }

  private static func item(_ json: JSONValue, _ limits: RPCLimits) -> RPCItem {
    guard case .object = json else { return invalid("a call is an object") }
    let id = json["id"]
    switch id {
    case .text(let text) where text.utf8.count > limits.nameBytes:
      return invalid("an `id` has at most \(limits.nameBytes) bytes")
    case nil, .null, .number, .real, .text: break
    default: return invalid("`id` is a text, a number or null")
    }
    guard json["jsonrpc"] == .text("2.0") else {
      return invalid("`jsonrpc` is \"2.0\"", id: id ?? .null)
    }
    guard let method = json["method"]?.text else {
      return invalid("`method` is a text", id: id ?? .null)
    }
    guard method.utf8.count <= limits.nameBytes else {
      return invalid("`method` has at most \(limits.nameBytes) bytes", id: id ?? .null)
    }
    let parameters = json["params"]
    switch parameters {
    case nil, .list, .object: return .call(RPCCall(id: id, method, parameters))
    default: return invalid("`params` is a list or an object", id: id ?? .null)
    }
  }

  /// Lets each call be performed, one after the other, and puts the answers together.
  ///
  /// - Returns: The answer; nil when nobody waits for one.
  public func answer(
    _ perform: (RPCCall) async throws(RPCError) -> JSONValue
  ) async -> JSONValue? {
    var answers: [JSONValue] = []
    for item in items {
      switch item {
      case .fault(let id, let error): answers.append(RPCResponse(id: id, .failure(error)).json)
      case .call(let call):
        let outcome: Result<JSONValue, RPCError>
        do throws(RPCError) {
          outcome = .success(try await perform(call))
        } catch {
          outcome = .failure(error)
        }
        if let id = call.id { answers.append(RPCResponse(id: id, outcome).json) }
      }
    }
    guard let first = answers.first else { return nil }
    return isBatch ? .list(answers) : first
  }
}

/// The answer to one call.
///
/// - Source: JSON-RPC 2.0, section 5.
public struct RPCResponse: Hashable, Sendable {
  /// The identifier of the call; null where it could not be read.
  public var id: JSONValue
  /// What came of the call.
  public var outcome: Result<JSONValue, RPCError>

  /// Creates an answer.
  public init(id: JSONValue, _ outcome: Result<JSONValue, RPCError>) {
    self.id = id
    self.outcome = outcome
  }

  /// The answer as an object.
  public var json: JSONValue {
    switch outcome {
    case .success(let result): .object(["jsonrpc": .text("2.0"), "result": result, "id": id])
    case .failure(let error): .object(["jsonrpc": .text("2.0"), "error": error.json, "id": id])
    }
  }

  /// Reads an answer; nil when it is none.
  public init?(_ json: JSONValue) {
    guard json["jsonrpc"] == .text("2.0"), let id = json["id"] else { return nil }
    switch (json["result"], json["error"].flatMap { RPCError($0) }) {
    case (let result?, nil): self.init(id: id, .success(result))
    case (nil, let error?): self.init(id: id, .failure(error))
    default: return nil
    }
  }
}
