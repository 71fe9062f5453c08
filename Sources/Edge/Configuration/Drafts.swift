import Directives

/// What a file says, with the places that checks across blocks need.
struct FileDraft: Sendable {
  var process = ProcessSettings()
  var servers: [ServerDraft] = []
  var tcp: [TCPDraft] = []
  var udp: [UDPDraft] = []
  var upstreams: [UpstreamDraft] = []
  /// The places of the upstreams above, by name.
  var upstreamIndices: [String: Int] = [:]
  var sharedLimits: [LimitSettings] = []
  /// The places of the limits above, by name.
  var sharedLimitRanges: [String: SourceRange] = [:]
  var caches: [CacheSettings] = []
  /// The places of the caches above, by name.
  var cacheRanges: [String: SourceRange] = [:]
  var sessions: [SessionSettings] = []
  var issuance = IssuanceSettings()
  /// Where the block about certificates that are obtained stands.
  var issuanceRange: SourceRange?

  /// The upstreams that blocks of layer 4 and their routes name, with the directives that do.
  var streamTargets: [(name: String, statement: Statement)] {
    let targets =
      tcp.map { ($0.settings.upstream, $0.proxyStatement) }
      + tcp.flatMap(\.routes).map { ($0.settings.upstream ?? "", $0.handlerStatement) }
      + udp.map { ($0.settings.upstream, $0.proxyStatement) }
    return targets.compactMap { name, statement in
      name.isEmpty ? nil : statement.map { (name, $0) }
    }
  }
}

/// A server with its places.
struct ServerDraft: Sendable {
  var settings = ServerSettings()
  var range = SourceRange(source: 0, start: 0, end: 0)
  /// One for each name.
  var nameRanges: [SourceRange] = []
  /// One for each listener.
  var listenerRanges: [SourceRange] = []
  /// One for each certificate.
  var certificateRanges: [SourceRange] = []
  /// Where its block about TLS stands.
  var tlsRange: SourceRange?
  var routes: [RouteDraft] = []
  var limits = LimitDraft()
  /// What its routes keep of answers that do not say it themselves.
  var cache = CacheDraft()
}

/// What a block says of what is kept of answers.
struct CacheDraft: Sendable {
  /// What is; nil: nothing.
  var settings: RouteCacheSettings?
  /// The directive that says it; nil: none does.
  var statement: Statement?
}

/// A route with its places.
struct RouteDraft: Sendable {
  /// What answers, as far as it is said.
  var handler: Handler?
  /// The directive that says it.
  var handlerStatement: Statement?
  /// The directive that says whose sessions it has.
  var sessionsStatement: Statement?
  /// The directive that says who lets requests pass, and the members of `authorize ADDRESS…`.
  var authorizerStatement: Statement?
  var authorizerMembers: [Address] = []
  /// The directive that says which files answers may name.
  var sendFileStatement: Statement?
  /// The members of `proxy ADDRESS…`.
  var members: [Address] = []
  /// The rest; its handler is not valid.
  var settings: RouteSettings
  var limits = LimitDraft()
  /// What it says itself of what is kept of answers.
  var cache = CacheDraft()
  var range: SourceRange

  init(path: PathPattern = .prefix("/"), range: SourceRange? = nil) {
    settings = RouteSettings(path: path, handler: .respond(FixedResponse(status: 404)))
    self.range = range ?? SourceRange(source: 0, start: 0, end: 0)
  }
}

/// An upstream with its places.
struct UpstreamDraft: Sendable {
  var settings = UpstreamSettings(name: "")
  var range = SourceRange(source: 0, start: 0, end: 0)
  /// One for each member.
  var memberRanges: [SourceRange] = []
  /// Where its queue is written.
  var queueRange: SourceRange?
  /// Where it says that HTTP/2 is spoken.
  var http2Range: SourceRange?
  /// Where it says how a member is chosen.
  var balanceRange: SourceRange?
  /// Whether a member is written, be it right or wrong.
  var namesMember = false
  /// Where its blocks about failures stand.
  var retryRange: SourceRange?
  var breakerRange: SourceRange?
  /// The directive that says how members are checked.
  var checkStatement: Statement?
  /// The directive that says when members are ejected.
  var ejectStatement: Statement?
}
