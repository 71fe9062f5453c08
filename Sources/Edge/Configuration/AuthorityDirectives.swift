import Directives

private let authorityOptions: [WordOption<AuthorityServiceSettings>] = [
  .value("http_port", \.httpPort, .count(within: 1...65_535)),
  .value("tls_port", \.tlsPort, .count(within: 1...65_535)),
]

/// The directive of routes that gives certificates to others.
let authorityDirective = Directive<RouteDraft>(
  "acme",
  form: authorityOptions.map(\.form).joined(separator: " "),
  bounds: "http_port 1 to 65535, tls_port 1 to 65535",
  words: authorityOptions.map(\.name),
  defaultText: "http_port 80 tls_port 443",
  "Gives certificates of the authority of this machine to others by ACME: for private names whose server "
    + "answers over HTTP, at `http_port`, or over TLS, at `tls_port`, what it is asked. The directory is at "
    + "`directory` behind the path of the route.",
  example: "acme",
  read: { statement, draft, reading in
    guard reading.isOnlyHandler(statement, &draft) else { return }
    var settings = AuthorityServiceSettings()
    reading.options(of: statement, from: 0, authorityOptions, into: &settings, example: "acme")
    draft.handler = .authority(settings)
  },
  show: { draft, _ in
    guard case .authority(let settings)? = draft.handler else { return nil }
    return .object([
      JSONValue.Member("http_port", .number(settings.httpPort)),
      JSONValue.Member("tls_port", .number(settings.tlsPort)),
    ])
  }
)
