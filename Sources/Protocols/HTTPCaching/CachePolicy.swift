/// What the operator of a cache decides; the rest is the RFC's.
///
/// Its default is what RFC 9111 says of a shared cache.
public struct CachePolicy: Hashable, Sendable {
  /// Whether the responses are sent to several users.
  public enum Kind: UInt8, Sendable {
    /// As a proxy's are.
    case shared
    /// As a browser's are: `private` is allowed, and what is meant for shared caches does not count.
    case personal
  }

  /// Whether what a client says about stored responses counts.
  public enum ClientDirectives: UInt8, Sendable {
    /// As RFC 9111, section 5.2.1, says.
    case honored
    /// Not at all: a client cannot make the origin work.
    case ignored
  }

  /// What becomes of responses that set cookies.
  public enum SetCookieRule: UInt8, Sendable {
    /// They are stored if they say that they are meant for shared caches: by `public`, `s-maxage` or
    /// a targeted field.
    case keptWhenPublic
    /// They are not stored.
    case refused
    /// They are stored without their cookies.
    case removed
    /// They are stored.
    case kept
  }

  /// How long responses of a status are fresh that do not say it.
  public struct StatusLifetime: Hashable, Sendable {
    /// The status; nil: any.
    public var status: UInt16?
    /// The lifetime in seconds.
    public var seconds: Int64

    /// Creates a lifetime.
    public init(status: UInt16?, seconds: Int64) {
      self.status = status
      self.seconds = seconds
    }
  }

  /// The methods besides GET whose responses may be stored, under keys that hold the request's body.
  public struct BodyMethods: OptionSet, Hashable, Sendable {
    /// One bit for each method.
    public let rawValue: UInt8

    /// Creates a set from its bits.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// QUERY.
    public static let query = BodyMethods(rawValue: 1)
    /// POST.
    public static let post = BodyMethods(rawValue: 2)
  }

  /// Who is answered from the cache.
  public var kind = Kind.shared
  /// The fields that count before Cache-Control.
  public var targets: TargetedFields = [.martlet, .cdn]
  /// How much of the time since its last change a response is fresh that does not say it, in percent.
  ///
  /// With 0, such responses are stale at once. RFC 9111, section 4.2.2.
  public var heuristicPercent: Int64 = 10
  /// The longest such time in seconds.
  public var heuristicLimit: Int64 = 86_400
  /// How long responses that do not say it are fresh; the first that names the status counts.
  public var defaults: [StatusLifetime] = []
  /// A lifetime in seconds that counts instead of what responses say; `no-store`, `private` and
  /// `no-cache` count all the same.
  public var forcedLifetime: Int64?
  /// The shortest lifetime in seconds of responses that are fresh for some time.
  public var minimumLifetime: Int64 = 0
  /// The longest lifetime in seconds.
  public var maximumLifetime: Int64?
  /// For how many seconds a stale response is sent while it is validated, where it does not say so.
  public var staleWhileRevalidate: Int64 = 0
  /// For how many seconds a stale response is sent when the origin fails, where it does not say so.
  public var staleIfError: Int64 = 0
  /// What clients may ask for.
  public var client = ClientDirectives.honored
  /// What becomes of cookies.
  public var setCookie = SetCookieRule.keptWhenPublic
  /// Methods that are keyed by their bodies.
  public var bodyMethods: BodyMethods = []
  /// How many fields Vary may name.
  public var varyLimit = 8
  /// Whether responses with a part of a representation are stored.
  public var partial = PartialRule.refused

  /// What becomes of responses with a part of a representation.
  public enum PartialRule: UInt8, Sendable {
    /// They are not stored.
    case refused
    /// They are stored, and combined where they have the same strong tag.
    case stored
  }

  /// The policy of RFC 9111 for a shared cache.
  public init() {}
}
