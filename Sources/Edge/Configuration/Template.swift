/// A text with variables that each request fills.
public struct Template: Hashable, Sendable {
  /// The parts in order; two literals never follow each other.
  public var parts: [TemplatePart]

  /// Creates a template of these parts; without parts it is the empty text.
  public init(_ parts: [TemplatePart] = []) {
    self.parts = parts
  }

  /// Creates a template of a text without variables.
  public init(literal text: String) {
    parts = text.isEmpty ? [] : [.literal(Array(text.utf8))]
  }

  /// The bytes of a template without variables, or nil.
  public var literal: [UInt8]? {
    switch parts.count {
    case 0: []
    case 1: if case .literal(let bytes) = parts[0] { bytes } else { nil }
    default: nil
    }
  }
}

/// One part of a template.
public enum TemplatePart: Hashable, Sendable {
  /// These bytes.
  case literal([UInt8])
  /// What the variable is in the request at hand; nothing where it has no value.
  case variable(Variable)
}

/// What a template can show of the request at hand.
public enum Variable: Hashable, Sendable {
  /// The client's address, behind trusted proxies.
  case clientAddress
  /// The client's port.
  case clientPort
  /// The identifier that Martlet gave the request.
  case requestID
  /// The method.
  case requestMethod
  /// The target as it was sent.
  case requestTarget
  /// The path, normalized.
  case requestPath
  /// The query, without `?`.
  case requestQuery
  /// The host, in lower case and without a port.
  case requestHost
  /// The scheme: `http` or `https`.
  case requestScheme
  /// The value of a request field; its name in lower case.
  case requestHeader(String)
  /// The value of a query parameter.
  case queryParameter(String)
  /// The value of a cookie.
  case cookie(String)
  /// The upstream's name.
  case upstreamName
  /// The member's address.
  case upstreamMember
  /// The server's name.
  case serverName
  /// The address of the listener.
  case listenerAddress
  /// What is known of the client's TLS.
  case tls(TLSVariable)
  /// What a PROXY header has said.
  case proxy(ProxyVariable)
  /// The status of the answer.
  case responseStatus
  /// The value of a field of the answer; its name in lower case.
  case responseHeader(String)
  /// The time as `2006-01-02T15:04:05Z`.
  case timeISO8601
  /// The time in seconds since 1970.
  case timeUnix
}
