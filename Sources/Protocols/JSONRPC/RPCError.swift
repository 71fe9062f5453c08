public import JSON

/// Why a call failed, as its caller is told.
///
/// - Source: JSON-RPC 2.0, section 5.1.
public struct RPCError: Error, Hashable, Sendable {
  /// The number; those from -32768 to -32000 are reserved by the specification.
  public var code: Int
  /// One sentence.
  public var message: String
  /// More about it, for programs.
  public var details: JSONValue?

  /// Creates an error.
  public init(_ code: Int, _ message: String, details: JSONValue? = nil) {
    self.code = code
    self.message = message
    self.details = details
  }

  /// What was sent is not JSON.
  public static let parseError = -32700
  /// What was sent is JSON, but no call.
  public static let invalidRequest = -32600
  /// There is no such method.
  public static let methodNotFound = -32601
  /// The arguments are not those of the method.
  public static let invalidParameters = -32602
  /// The one who was called failed for a reason of its own.
  public static let internalError = -32603

  /// The error object of a response.
  public var json: JSONValue {
    var members = [
      JSONValue.Member("code", .number(code)), JSONValue.Member("message", .text(message)),
    ]
    if let details { members.append(JSONValue.Member("data", details)) }
    return .object(members)
  }

  /// Reads the error object of a response; nil when it is none.
  public init?(_ json: JSONValue) {
    guard let code = json["code"]?.number, let message = json["message"]?.text else { return nil }
    self.init(code, message, details: json["data"])
  }
}
