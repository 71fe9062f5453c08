import Directives

// Where the authority of this machine is found by others.

extension EdgeConfiguration {
  /// The first route that says `acme`.
  private var authorityRoute: (server: ServerSettings, prefix: String, AuthorityServiceSettings)? {
    for server in servers {
      for route in server.routes {
        guard case .authority(let settings) = route.handler else { continue }
        return (server, route.path.authorityPrefix, settings)
      }
    }
    return nil
  }

  /// How the authority of this machine serves others; nil: it does not.
  ///
  /// The list of what it has revoked, and who tells what became of one certificate, are named where a server with a
  /// name of its own has them without TLS: whoever looks at a certificate may not have to look at another one for
  /// that. A name that a client says is not taken for it, who would lead others astray.
  public var authorityService: AuthorityServiceSettings? {
    guard let (server, prefix, said) = authorityRoute else { return nil }
    var settings = said
    guard settings.revocations == nil || settings.responder == nil,
      let name = server.names.first(where: { !$0.certificateName.contains("*") })
    else { return settings }
    let ports = zip(servers, tellsRevocations).filter(\.1).flatMap { other, _ in
      other.listeners.filter { !$0.isTLS }.compactMap(\.address.port)
    }
    if let port = ports.contains(80) ? 80 : ports.first {
      let place = port == 80 ? "\(name)" : "\(name):\(port)"
      settings.revocations = settings.revocations ?? "http://\(place)\(prefix)/crl"
      settings.responder = settings.responder ?? "http://\(place)\(prefix)/ocsp"
    }
    return settings
  }

  /// Which of the servers tell what the authority has revoked, in their order: those that are reached without TLS
  /// and have a name of the server of the authority, or none.
  public var tellsRevocations: [Bool] {
    guard let (server, _, _) = authorityRoute else { return servers.map { _ in false } }
    let names = Set(server.names)
    return servers.map { other in
      other.listeners.contains { !$0.isTLS }
        && (other.names.isEmpty || !names.isDisjoint(with: other.names))
    }
  }

  /// The routes that tell it in these servers; none: there is no authority.
  public var revocationsRoutes: [RouteSettings] {
    guard let (_, prefix, _) = authorityRoute else { return [] }
    let paths: [PathPattern] = [
      .exact("\(prefix)/crl"), .exact("\(prefix)/ocsp"), .prefix("\(prefix)/ocsp/"),
    ]
    return paths.map { RouteSettings(path: $0, handler: .revocations(prefix: prefix)) }
  }
}

extension PathPattern {
  /// What stands before the paths of an authority.
  public var authorityPrefix: String {
    var prefix = text[...]
    while prefix.hasSuffix("*") || prefix.hasSuffix("/") { prefix.removeLast() }
    return String(prefix)
  }
}
