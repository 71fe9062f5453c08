import Configuration
import KeyedTables
import MartletTelemetry
import Stickiness

/// How the clients of an upstream are known again, compiled: shared by all loops, and immutable but for
/// what is remembered of clients.
final class AffinityPlan: Sendable {
  /// How a client is known.
  enum Recognition: Sendable {
    /// By a cookie with a sealed value.
    case cookie(SealedCookie)
    /// By the value of a cookie that the application has given it.
    case learned(name: [UInt8], StickyTable)
    /// By a text of its requests.
    case key(RequestKey, StickyTable)
  }

  /// The cookie that clients are given.
  struct SealedCookie: Sendable {
    let name: [UInt8]
    let keys: [String]
    let lifetime: Int64
    /// What stands behind the value, the line's end too.
    let attributes: [UInt8]
  }

  let upstream: String
  let recognition: Recognition
  /// Whether another member is chosen when the client's may not be used.
  let choosesAnother: Bool
  let keepsDraining: Bool
  let metrics: AffinityMetrics
  private let settings: StickySettings

  /// What is remembered goes on as long as clients are known in the same way.
  init(
    _ settings: StickySettings,
    keys: [String],
    of upstream: String,
    continuing previous: AffinityPlan?,
    _ layout: inout MetricLayout.Builder
  ) {
    self.settings = settings
    self.upstream = upstream
    choosesAnother = settings.whenGone == .choose
    keepsDraining = settings.keepsDraining
    metrics = AffinityMetrics(upstream, &layout)
    let old = previous?.settings.recognition == settings.recognition ? previous?.table : nil
    switch settings.recognition {
    case .cookie(let cookie):
      recognition = .cookie(SealedCookie(cookie, keys: keys))
    case .learned(let name, let memory):
      recognition = .learned(name: Array(name.utf8), old ?? StickyTable(memory))
    case .key(let key, let memory):
      recognition = .key(RequestKey(key), old ?? StickyTable(memory))
    }
  }

  /// What is remembered of clients, if anything is.
  var table: StickyTable? {
    switch recognition {
    case .cookie: nil
    case .learned(_, let table), .key(_, let table): table
    }
  }
}

/// The figures of an upstream whose clients stay with their members.
struct AffinityMetrics: Sendable {
  /// Requests of clients that went to their member.
  let kept: Counter
  /// Requests of clients that were not known.
  let new: Counter
  /// Requests of clients whose member could not be used, which went to another.
  let moved: Counter
  /// The same, that went nowhere.
  let refused: Counter
  /// Requests of clients whose member was full, which went to another this once.
  let overflowed: Counter

  init(_ upstream: String, _ layout: inout MetricLayout.Builder) {
    kept = layout.counter(EdgeMetrics.sticky, [upstream, "kept"])
    new = layout.counter(EdgeMetrics.sticky, [upstream, "new"])
    moved = layout.counter(EdgeMetrics.sticky, [upstream, "moved"])
    refused = layout.counter(EdgeMetrics.sticky, [upstream, "refused"])
    overflowed = layout.counter(EdgeMetrics.sticky, [upstream, "overflowed"])
  }
}

extension AffinityPlan.SealedCookie {
  /// The longest time for which a cookie is believed that has no lifetime of its own.
  private static let sessionLifetime: Int64 = 30 * 86_400

  init(_ cookie: StickyCookie, keys: [String]) {
    name = Array(cookie.name.utf8)
    self.keys = keys
    lifetime = cookie.lifetime?.components.seconds ?? Self.sessionLifetime
    var text = "; Path=\(cookie.path)"
    if let domain = cookie.domain { text += "; Domain=\(domain)" }
    if cookie.lifetime != nil { text += "; Max-Age=\(lifetime)" }
    text += "; HttpOnly"
    if cookie.isSecure { text += "; Secure" }
    switch cookie.sameSite {
    case .strict: text += "; SameSite=Strict"
    case .lax: text += "; SameSite=Lax"
    case .none: text += "; SameSite=None"
    }
    attributes = Array((text + "\r\n").utf8)
  }
}

extension StickyTable {
  fileprivate convenience init(_ memory: StickyMemory) {
    self.init(
      keyCount: memory.keyCount,
      idleSeconds: UInt32(clamping: memory.idleTime.components.seconds)
    )
  }
}
