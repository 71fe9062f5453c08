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
  /// The list of what it has revoked is named where a server with a name of its own has it without TLS: whoever
  /// looks at a certificate may not have to look at another one for that. A name that a client says is not
  /// taken for it, who would lead others astray.
  public var authorityService: AuthorityServiceSettings? {
    guard let (server, prefix, said) = authorityRoute else { return nil }
    var settings = said
    guard settings.revocations == nil,
      let name = server.names.first(where: { !$0.certificateName.contains("*") })
    else { return settings }
    let ports = zip(servers, tellsRevocations).filter(\.1).flatMap { other, _ in
      other.listeners.filter { !$0.isTLS }.compactMap(\.address.port)
    }
    if let port = ports.contains(80) ? 80 : ports.first {
      let place = port == 80 ? "\(name)" : "\(name):\(port)"
      settings.revocations = "http://\(place)\(prefix)/crl"
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

  /// The route that tells it in these servers; nil: there is no authority.
  public var revocationsRoute: RouteSettings? {
    authorityRoute.map { _, prefix, _ in
      RouteSettings(path: .exact("\(prefix)/crl"), handler: .revocations(prefix: prefix))
    }
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
