public import Directives

/// A `route` of a `tcp` block: which connections it takes, by what their clients say first, and where
/// their bytes go.
public struct StreamRoute: Hashable, Sendable {
  /// What a client can be seen to speak.
  public enum Language: String, Hashable, Sendable, CaseIterable {
    /// TLS, of whatever is inside.
    case tls
    /// HTTP/1 in clear.
    case http1
    /// HTTP/2 in clear.
    case http2
    /// SSH.
    case ssh
    /// PostgreSQL, also where it asks for TLS first.
    case postgresql
    /// Redis.
    case redis
    /// A client that says nothing for as long as is waited, as where the server begins.
    case nothing
  }

  /// The hosts that a client may ask for by TLS; none means any connection.
  public var serverNames: [HostPattern]
  /// The protocols of which a client must offer one by ALPN; none means any connection.
  public var protocols: [String]
  /// What a client may speak; none means anything.
  public var languages: [Language]
  /// Where a client may come from; none means anywhere.
  public var clients: [Network]
  /// The hosts that a PROXY header may name; none means any connection.
  public var authorities: [HostPattern]
  /// The name of the upstream; nil closes the connection.
  public var upstream: String?

  /// Creates a route that takes every connection and closes it.
  public init(
    serverNames: [HostPattern] = [],
    protocols: [String] = [],
    languages: [Language] = [],
    clients: [Network] = [],
    authorities: [HostPattern] = [],
    upstream: String? = nil
  ) {
    self.serverNames = serverNames
    self.protocols = protocols
    self.languages = languages
    self.clients = clients
    self.authorities = authorities
    self.upstream = upstream
  }

  /// Whether it asks what the client says first.
  public var readsClient: Bool {
    !serverNames.isEmpty || !protocols.isEmpty || !languages.isEmpty
  }
}
