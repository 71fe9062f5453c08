import Directives

private let authorityOptions: [WordOption<AuthorityServiceSettings>] = [
  .value("http_port", \.httpPort, .count(within: 1...65_535)),
  .value("tls_port", \.tlsPort, .count(within: 1...65_535)),
  .list("resolver", \.resolvers, .nameService),
  .value("crl", \.revocations, .given(.webURL)),
  .value("ocsp", \.responder, .given(.webURL)),
]

/// The directive of routes that gives certificates to others.
let authorityDirective = Directive<RouteDraft>(
  "acme",
  form: authorityOptions.map(\.form).joined(separator: " "),
  bounds: "http_port 1 to 65535, tls_port 1 to 65535",
  words: authorityOptions.map(\.name),
  defaultText: "http_port 80 tls_port 443, and the name services of the system",
  "Gives certificates of the authority of this machine to others by ACME: for private names whose server "
    + "answers over HTTP, at `http_port`, or over TLS, at `tls_port`, what it is asked, and for those, also with "
    + "`*`, that have a record which says so; `resolver` names the name services that are asked for it. The "
    + "directory is at `directory` behind the path of the route, the list of revoked certificates at `crl`, and "
    + "who is asked about one by OCSP at `ocsp`; certificates name these places, or those behind the words `crl` "
    + "and `ocsp`.",
  example: "acme resolver 10.0.0.53",
  read: { statement, draft, reading in
    guard reading.isOnlyHandler(statement, &draft) else { return }
    var settings = AuthorityServiceSettings()
    reading.options(of: statement, from: 0, authorityOptions, into: &settings, example: "acme")
    if settings.resolvers.count > AuthorityServiceSettings.resolverCount {
      reading.error(
        "at most \(AuthorityServiceSettings.resolverCount) name services are asked",
        mend: "remove some of them",
        at: statement.range
      )
    }
    draft.handler = .authority(settings)
  },
  show: { draft, _ in
    guard case .authority(let settings)? = draft.handler else { return nil }
    return .object([
      JSONValue.Member("http_port", .number(settings.httpPort)),
      JSONValue.Member("tls_port", .number(settings.tlsPort)),
      JSONValue.Member("resolvers", .list(settings.resolvers.map { .text($0.description) })),
      JSONValue.Member("crl", settings.revocations.map { .text($0) } ?? .null),
      JSONValue.Member("ocsp", settings.responder.map { .text($0) } ?? .null),
    ])
  }
)

extension ValueKind where Value == Address {
  /// The address of a name service, whose port is 53 unless it is said.
  fileprivate static var nameService: ValueKind {
    ValueKind(
      "IP[:PORT]",
      read: { text throws(ValueError) in
        if let host = IPAddress(text) { return .ip(host, port: 53) }
        let address = try Address(text)
        guard case .ip = address else {
          throw ValueError("`\(text)` is no address of a name service", mend: "10.0.0.53")
        }
        return address
      },
      write: { $0.description }
    )
  }
}

extension ValueKind where Value == String {
  /// The URL of something that everybody may read.
  fileprivate static var webURL: ValueKind {
    ValueKind(
      "URL",
      read: { text throws(ValueError) in
        guard let scheme = ["http://", "https://"].first(where: { text.hasPrefix($0) }) else {
          throw ValueError("`\(text)` does not begin with http://", mend: "http://\(text)")
        }
        guard text.utf8.count <= 1024, text.utf8.count > scheme.utf8.count,
          text.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
        else { throw ValueError("`\(text)` is no URL") }
        return text
      },
      write: { $0 }
    )
  }
}
