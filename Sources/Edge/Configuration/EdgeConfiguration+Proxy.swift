public import Directives

extension EdgeConfiguration {
  /// The configuration of `martlet proxy --listen … --to …`: everything goes to these members.
  ///
  /// All settings are those of a configuration that is told nothing, so no access log is written;
  /// only the size of bodies has no limit, for nobody is there to raise it.
  ///
  /// - Parameters:
  ///   - listeners: Where clients are answered; at least one.
  ///   - members: The members, balanced in turn; at least one. ``Address/any(port:)`` means the
  ///     port on this machine.
  /// - Returns: One server with one route to one upstream.
  public static func proxy(listen listeners: [Address], to members: [Address]) -> Self {
    precondition(!listeners.isEmpty, "a proxy needs an address to listen on")
    precondition(!members.isEmpty, "a proxy needs a member")
    let upstream = UpstreamSettings(members: members)
    var limits = RequestLimits()
    limits.bodyBytes = nil
    let server = ServerSettings(
      listeners: listeners.map { ListenerSettings(address: $0) },
      routes: [RouteSettings(path: .prefix("/"), handler: .proxy(upstream: upstream.name))],
      limits: limits
    )
    return EdgeConfiguration(servers: [server], upstreams: [upstream])
  }
}

extension UpstreamSettings {
  /// The upstream that `proxy ADDRESS…` makes: named by its addresses, all else as by default.
  public init(members addresses: [Address]) {
    let members = addresses.map { address in
      if case .any(let port) = address {
        MemberSettings(address: .ip(.loopback, port: port))
      } else {
        MemberSettings(address: address)
      }
    }
    self.init(
      name: members.map(\.address.description).joined(separator: ","),
      members: members
    )
  }
}
