public import HTTPMessage

/// What later decisions about a stored response need: read once, when it is stored.
///
/// 64 bytes without references, which a store keeps beside the response, on a disk too.
public struct StoredTerms: Hashable, Sendable, BitwiseCopyable {
  /// What a lifetime was taken from.
  public enum LifetimeSource: UInt8, Sendable, BitwiseCopyable {
    /// Nothing says how long the response is fresh: it is stale.
    case none
    /// `s-maxage` of the field that counts.
    case sharedMaxAge
    /// `max-age` of the field that counts.
    case maxAge
    /// Expires.
    case expires
    /// The time since the last change; RFC 9111, section 4.2.2.
    case heuristic
    /// The policy, for responses that do not say it.
    case statusDefault
    /// The policy, whatever the response says.
    case forced

    /// Whether the response says it itself.
    var isExplicit: Bool { self == .sharedMaxAge || self == .maxAge || self == .expires }
  }

  /// What else the response says of itself.
  public struct Rules: OptionSet, Hashable, Sendable, BitwiseCopyable {
    /// One bit for each rule.
    public let rawValue: UInt16

    /// Creates a set from its bits.
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// It is validated before each use.
    public static let noCache = Rules(rawValue: 1)
    /// It is never sent stale without being validated: `must-revalidate`, or `proxy-revalidate`.
    public static let mustRevalidate = Rules(rawValue: 2)
    /// It is not sent stale, but for what it allows by name: `s-maxage`.
    public static let sharedLifetime = Rules(rawValue: 4)
    /// Its content is not to be transformed.
    public static let noTransform = Rules(rawValue: 8)
    /// It does not change while it is fresh.
    public static let immutable = Rules(rawValue: 16)
    /// It has an entity tag that can be read.
    public static let hasTag = Rules(rawValue: 32)
    /// That tag is a strong one.
    public static let hasStrongTag = Rules(rawValue: 64)
    /// It holds a part of a representation alone: 206.
    public static let isPart = Rules(rawValue: 128)
    /// The answered request was HEAD, so that there is no content.
    public static let isOfHead = Rules(rawValue: 256)
    /// A purge made it stale.
    public static let isExpired = Rules(rawValue: 512)
  }

  /// When the response came.
  public internal(set) var responseTime: Moment
  /// How old it was then, in milliseconds; RFC 9111, section 4.2.3.
  public internal(set) var initialAge: Int64
  /// How long it is fresh, in milliseconds; RFC 9111, section 4.2.1.
  public internal(set) var lifetime: Int64
  /// For how many seconds it may be sent stale while it is validated.
  public internal(set) var staleWhileRevalidate: UInt32
  /// For how many seconds it may be sent stale when the origin fails.
  public internal(set) var staleIfError: UInt32
  private var lastModifiedSeconds: Int64
  private var dateSeconds: Int64
  /// Its status.
  public let status: UInt16
  /// What else it says.
  public internal(set) var rules: Rules
  /// What its lifetime was taken from.
  public internal(set) var lifetimeSource: LifetimeSource

  init(
    status: UInt16,
    responseTime: Moment,
    initialAge: Int64,
    lifetime: (milliseconds: Int64, source: LifetimeSource),
    date: HTTPDate,
    lastModified: HTTPDate?,
    rules: Rules
  ) {
    self.status = status
    self.responseTime = responseTime
    self.initialAge = initialAge
    self.lifetime = lifetime.milliseconds
    lifetimeSource = lifetime.source
    dateSeconds = date.secondsSince1970
    lastModifiedSeconds = lastModified?.secondsSince1970 ?? .min
    staleWhileRevalidate = 0
    staleIfError = 0
    self.rules = rules
  }

  /// The date of Last-Modified, where it can be read.
  public var lastModified: HTTPDate? {
    lastModifiedSeconds == .min ? nil : HTTPDate(secondsSince1970: lastModifiedSeconds)
  }

  /// The date of Date, or when the response came.
  public var date: HTTPDate { HTTPDate(secondsSince1970: dateSeconds) }

  /// Whether it can be validated.
  public var hasValidator: Bool { rules.contains(.hasTag) || lastModifiedSeconds != .min }

  /// How old the response is, in milliseconds.
  ///
  /// A clock that went back makes nothing younger than it was when it came.
  ///
  /// - Source: RFC 9111, section 4.2.3.
  public func ageInMilliseconds(at now: Moment) -> Int64 {
    initialAge + max(0, now.milliseconds - responseTime.milliseconds)
  }

  /// How old the response is in whole seconds, as Age says it.
  public func age(at now: Moment) -> Int64 {
    min(ageInMilliseconds(at: now) / 1000, DeltaSeconds.longest)
  }

  /// For how many seconds the response is still fresh; less than 0: since when it is stale.
  public func timeToLive(at now: Moment) -> Int64 {
    let left = lifetime - ageInMilliseconds(at: now)
    // Rounded down, so that what is stale is never shown as fresh.
    let seconds = left >= 0 ? left / 1000 : -((999 - left) / 1000)
    return min(max(seconds, -DeltaSeconds.longest), DeltaSeconds.longest)
  }

  /// Whether the response is fresh; RFC 9111, section 4.2.
  public func isFresh(at now: Moment) -> Bool { lifetime > ageInMilliseconds(at: now) }

  /// The same response, stale from now on, as a soft purge wants it.
  ///
  /// What it allows for stale responses counts from now.
  public func expired(at now: Moment) -> StoredTerms {
    var terms = self
    terms.lifetime = min(lifetime, ageInMilliseconds(at: now))
    terms.rules.insert(.isExpired)
    return terms
  }

  /// The same, for a part of what it stands for, or with `false` for the whole.
  public func ofPart(_ isPart: Bool) -> StoredTerms {
    var terms = self
    if isPart { terms.rules.insert(.isPart) } else { terms.rules.remove(.isPart) }
    return terms
  }

  /// Until when the response can be of use: while it is fresh or may be sent stale, and for
  /// `seconds` longer if it can be validated, or a client may ask for it however stale it is.
  public func isOfUse(until seconds: Int64) -> Moment {
    let stale = Int64(max(staleWhileRevalidate, staleIfError)) * 1000
    let isKept =
      hasValidator || rules.isDisjoint(with: [.noCache, .mustRevalidate, .sharedLifetime])
    let kept = isKept ? max(stale, DeltaSeconds.bounded(seconds) * 1000) : stale
    return responseTime.advanced(byMilliseconds: max(0, lifetime - initialAge) + kept)
  }
}

extension StoredTerms {
  /// Appends what ``init(_:)`` reads.
  func append(to bytes: inout [UInt8]) {
    bytes.append(little: responseTime.milliseconds)
    bytes.append(little: initialAge)
    bytes.append(little: lifetime)
    bytes.append(little: staleWhileRevalidate)
    bytes.append(little: staleIfError)
    bytes.append(little: lastModifiedSeconds)
    bytes.append(little: dateSeconds)
    bytes.append(little: status)
    bytes.append(little: rules.rawValue)
    bytes.append(lifetimeSource.rawValue)
  }

  /// Reads what ``append(to:)`` wrote; nil for what cannot be.
  init?(_ reader: inout RecordReader) {
    guard let time = reader.number(Int64.self), let age = reader.number(Int64.self),
      let lifetime = reader.number(Int64.self), let revalidate = reader.number(UInt32.self),
      let error = reader.number(UInt32.self), let modified = reader.number(Int64.self),
      let date = reader.number(Int64.self), let status = reader.number(UInt16.self),
      let rules = reader.number(UInt16.self), let source = reader.number(UInt8.self),
      let lifetimeSource = LifetimeSource(rawValue: source)
    else { return nil }
    // No sum of what passes here can overflow.
    guard [time, age, lifetime].allSatisfy({ Moment(milliseconds: $0).milliseconds == $0 }),
      100...999 ~= status, rules < 1024,
      HTTPDate(secondsSince1970: date).secondsSince1970 == date,
      modified == .min || HTTPDate(secondsSince1970: modified).secondsSince1970 == modified
    else { return nil }
    self.init(
      status: status,
      responseTime: Moment(milliseconds: time),
      initialAge: age,
      lifetime: (lifetime, lifetimeSource),
      date: HTTPDate(secondsSince1970: date),
      lastModified: modified == .min ? nil : HTTPDate(secondsSince1970: modified),
      rules: Rules(rawValue: rules)
    )
    staleWhileRevalidate = revalidate
    staleIfError = error
  }
}
