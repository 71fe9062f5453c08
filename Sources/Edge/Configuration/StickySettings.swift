/// How the requests of a client stay with one member.
public struct StickySettings: Hashable, Sendable {
  /// How a client is known again.
  public enum Recognition: Hashable, Sendable {
    /// By a cookie that Martlet gives it, which names the member, sealed.
    case cookie(StickyCookie)
    /// By a cookie that the application gives it, whose value is remembered.
    case learned(cookie: String, StickyMemory)
    /// By this text, for which the member is remembered; nobody is known by an empty one.
    case key(Template, StickyMemory)
  }

  /// What happens when a member may not be used.
  public enum Otherwise: Hashable, Sendable {
    /// Another one is chosen, and the client stays there from then on.
    case choose
    /// The request is answered 503.
    case refuse
  }

  /// How clients are known again.
  public var recognition: Recognition
  /// What happens when the client's member is gone, down, disabled, or does not answer.
  public var whenGone: Otherwise
  /// Whether clients of a member that drains stay there.
  public var keepsDraining: Bool

  /// Creates settings that say nothing of members that may not be used.
  public init(
    _ recognition: Recognition,
    whenGone: Otherwise = .choose,
    keepsDraining: Bool = true
  ) {
    self.recognition = recognition
    self.whenGone = whenGone
    self.keepsDraining = keepsDraining
  }
}

/// The cookie that Martlet gives to clients.
///
/// RFC 6265.
public struct StickyCookie: Hashable, Sendable {
  /// Which requests from other sites carry the cookie.
  public enum SameSite: String, Hashable, Sendable, CaseIterable {
    /// None of them.
    case strict
    /// Those that lead to a page.
    case lax
    /// All; browsers want ``StickyCookie/isSecure`` too.
    case none
  }

  /// Its name.
  public var name: String
  /// How long it is good; nil: until the browser is closed, at most thirty days.
  public var lifetime: Duration?
  /// The paths that it is sent for.
  public var path: String
  /// The hosts that it is sent to; nil: the one that gave it.
  public var domain: String?
  /// Which requests from other sites carry it.
  public var sameSite: SameSite
  /// Whether it is sent over TLS alone.
  public var isSecure: Bool

  /// Creates a cookie that is told nothing but its name.
  public init(
    name: String,
    lifetime: Duration? = nil,
    path: String = "/",
    domain: String? = nil,
    sameSite: SameSite = .lax,
    isSecure: Bool = false
  ) {
    self.name = name
    self.lifetime = lifetime
    self.path = path
    self.domain = domain
    self.sameSite = sameSite
    self.isSecure = isSecure
  }
}

/// How much is remembered of clients, and how long.
public struct StickyMemory: Hashable, Sendable {
  /// How long after its last request a client is known again.
  public var idleTime: Duration
  /// How many are remembered; beyond them those that were away for longest are forgotten.
  public var keyCount: Int

  /// Creates the memory of an upstream that is told nothing.
  public init(idleTime: Duration = .seconds(1800), keyCount: Int = 65_536) {
    self.idleTime = idleTime
    self.keyCount = keyCount
  }
}
