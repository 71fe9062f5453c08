import Configuration
import MartletLoop
import MartletSystem
import Prefaces
import Routing

/// The routes of a `tcp` block, compiled.
struct StreamRoutes: Sendable {
  /// How long the client's first bytes may take.
  let timeout: Timeout
  /// Whether what the client says first must be known.
  let readsClient: Bool
  private let routes: [Compiled]

  private struct Compiled: Sendable {
    let serverNames: HostTable?
    let authorities: HostTable?
    let protocols: [[UInt8]]
    let languages: [StreamRoute.Language]
    let clients: NetworkSet?
    let upstream: UpstreamPlan?
  }

  /// What is known of a connection.
  struct Known {
    /// What the client speaks; nil: it could not be told.
    var language: StreamRoute.Language?
    var hello: ClientHello?
    var peer: SocketAddress
    var preface: ConnectionPreface?
  }

  /// - Returns: nil when there are none.
  init?(_ settings: TCPSettings, upstreams: (String) -> UpstreamPlan?) {
    guard !settings.routes.isEmpty else { return nil }
    timeout = Timeout(settings.inspectTimeout)
    readsClient = settings.routes.contains { $0.readsClient }
    routes = settings.routes.map { route in
      Compiled(
        serverNames: Self.table(route.serverNames),
        authorities: Self.table(route.authorities),
        protocols: route.protocols.map { Array($0.utf8) },
        languages: route.languages,
        clients: route.clients.isEmpty ? nil : NetworkSet(route.clients),
        upstream: route.upstream.flatMap(upstreams)
      )
    }
  }

  private static func table(_ patterns: [HostPattern]) -> HostTable? {
    patterns.isEmpty ? nil : HostTable(patterns.map { ($0, 0) })
  }

  /// Where a connection goes.
  enum Target {
    /// To this upstream.
    case upstream(UpstreamPlan)
    /// Nowhere.
    case close
    /// Where the block says, since no route takes it.
    case others
  }

  /// The target of the first route that takes a connection.
  func target(for known: Known) -> Target {
    for route in routes where takes(route, known) {
      return route.upstream.map { .upstream($0) } ?? .close
    }
    return .others
  }

  private func takes(_ route: Compiled, _ known: Known) -> Bool {
    if !route.languages.isEmpty {
      guard let language = known.language, route.languages.contains(language) else { return false }
    }
    if let names = route.serverNames {
      guard let name = known.hello?.serverName, names.value(for: name.utf8.span) != nil else {
        return false
      }
    }
    if !route.protocols.isEmpty {
      guard let offered = known.hello?.protocols,
        route.protocols.contains(where: { offered.contains($0) })
      else { return false }
    }
    if let clients = route.clients {
      guard let words = known.peer.hostWords, clients.contains(words) else { return false }
    }
    if let authorities = route.authorities {
      guard let name = known.preface?.header.values.authority,
        authorities.value(for: name.span) != nil
      else { return false }
    }
    return true
  }
}

extension StreamRoute.Language {
  /// The language of first bytes; nil for those that are none of them.
  init?(_ found: ClientProtocol) {
    switch found {
    case .tls: self = .tls
    case .http1: self = .http1
    case .http2: self = .http2
    case .ssh: self = .ssh
    case .postgresql: self = .postgresql
    case .redis: self = .redis
    // A header where none is taken off belongs to the member.
    case .proxy: return nil
    }
  }
}
