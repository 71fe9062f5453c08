/// One row of the table of variables.
public struct VariableReference: Sendable {
  /// Its name, with `NAME` for a part to choose.
  public var name: String
  /// What it is.
  public var sentence: String
  /// Whether there must be an answer before it has a value.
  public var needsResponse: Bool

  let make: @Sendable (String) -> Variable?

  fileprivate init(
    _ name: String,
    _ variable: Variable,
    needsResponse: Bool = false,
    _ sentence: String
  ) {
    self.name = name
    self.sentence = sentence
    self.needsResponse = needsResponse
    make = { $0 == name ? variable : nil }
  }

  fileprivate init(
    prefix: String,
    needsResponse: Bool = false,
    _ make: @escaping @Sendable (String) -> Variable,
    _ sentence: String
  ) {
    name = "\(prefix)NAME"
    self.sentence = sentence
    self.needsResponse = needsResponse
    self.make = { name in
      name.count > prefix.count && name.hasPrefix(prefix)
        ? make(String(name.dropFirst(prefix.count))) : nil
    }
  }
}

extension Variable {
  /// Every variable there is.
  public static let references: [VariableReference] =
    [
      VariableReference(
        "client.address",
        .clientAddress,
        "The client's address, behind trusted proxies."
      ),
      VariableReference("client.port", .clientPort, "The client's port."),
      VariableReference("request.id", .requestID, "The identifier that Martlet gave the request."),
      VariableReference("request.method", .requestMethod, "The method."),
      VariableReference("request.target", .requestTarget, "The target as it was sent."),
      VariableReference("request.path", .requestPath, "The path, normalized."),
      VariableReference("request.query", .requestQuery, "The query, without `?`."),
      VariableReference(
        "request.host",
        .requestHost,
        "The host, in lower case and without a port."
      ),
      VariableReference("request.scheme", .requestScheme, "The scheme: `http` or `https`."),
      VariableReference(
        prefix: "request.header.",
        { .requestHeader($0.lowercased()) },
        "The value of a request field."
      ),
      VariableReference(
        prefix: "request.query.",
        { .queryParameter($0) },
        "The value of a query parameter."
      ),
      VariableReference(prefix: "request.cookie.", { .cookie($0) }, "The value of a cookie."),
      VariableReference("upstream.name", .upstreamName, "The upstream's name."),
      VariableReference("upstream.member", .upstreamMember, "The member's address."),
      VariableReference("server.name", .serverName, "The server's name."),
      VariableReference("listener.address", .listenerAddress, "The address of the listener."),
    ]
    + TLSVariable.allCases.map { part in
      VariableReference("tls.\(part.rawValue)", .tls(part), part.sentence)
    }
    + ProxyVariable.allCases.map { part in
      VariableReference("proxy.\(part.rawValue)", .proxy(part), part.sentence)
    } + responseReferences

  private static let responseReferences: [VariableReference] = [
    VariableReference(
      "response.status",
      .responseStatus,
      needsResponse: true,
      "The status of the answer."
    ),
    VariableReference(
      prefix: "response.header.",
      needsResponse: true,
      { .responseHeader($0.lowercased()) },
      "The value of a field of the answer."
    ),
    VariableReference("time.iso8601", .timeISO8601, "The time as `2006-01-02T15:04:05Z`."),
    VariableReference("time.unix", .timeUnix, "The time in seconds since 1970."),
  ]

  /// The name in a configuration, without braces.
  public var name: String {
    switch self {
    case .requestHeader(let name): return "request.header.\(name)"
    case .cookie(let name): return "request.cookie.\(name)"
    case .queryParameter(let name): return "request.query.\(name)"
    case .responseHeader(let name): return "response.header.\(name)"
    default: break
    }
    return Self.references.first { $0.make($0.name) == self }?.name ?? ""
  }
}

extension Template: CustomStringConvertible {
  /// The text with its variables in braces.
  public var description: String {
    parts.map { part in
      switch part {
      case .literal(let bytes): String(decoding: bytes, as: UTF8.self)
      case .variable(let variable): "{\(variable.name)}"
      }
    }.joined()
  }
}
