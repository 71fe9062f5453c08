/// What checks have found out about a member.
public struct CheckReport: Hashable, Sendable {
  /// The last check.
  public struct Last: Hashable, Sendable {
    /// Whether it passed.
    public var isPassed: Bool
    /// How long it took, in nanoseconds.
    public var nanoseconds: Int64
    /// When it ended, in microseconds since 1970.
    public var time: Int64
    /// The kind of failure; nil when it passed.
    public var reason: String?
    /// More about it, for people.
    public var detail = ""

    /// Creates the record of a check.
    public init(isPassed: Bool, nanoseconds: Int64, time: Int64) {
      self.isPassed = isPassed
      self.nanoseconds = nanoseconds
      self.time = time
    }
  }

  /// What the checks have come to.
  public var health = MemberState.Health.unknown
  /// Since when, in microseconds since 1970; nil when nothing is known.
  public var since: Int64?
  /// The last check; nil before the first.
  public var last: Last?
  /// How many checks passed.
  public var passedCount: UInt64 = 0
  /// How many failed.
  public var failedCount: UInt64 = 0
  /// How often the member came up.
  public var upCount: UInt64 = 0
  /// How often it went down.
  public var downCount: UInt64 = 0

  /// Creates the report of a member that was not checked.
  public init() {}
}

/// What happened to a member's health.
public struct HealthChange: Sendable {
  /// The kinds of change.
  public enum Event: String, Sendable, CaseIterable {
    /// Checks pass again.
    case up
    /// Checks fail.
    case down
    /// Its answers to requests were such that it gets none for a while.
    case ejected
    /// It gets requests again.
    case returned
    /// This machine could not make its check; its health is what it was.
    case unchecked
  }

  /// Whose health it is.
  public struct Subject: Hashable, Sendable {
    /// The name of the upstream.
    public var upstream: String
    /// The member as written.
    public var member: String
    /// The program that is told of changes, with its arguments; empty: none.
    public var command: [String]

    /// Creates a subject.
    public init(upstream: String, member: String, command: [String] = []) {
      self.upstream = upstream
      self.member = member
      self.command = command
    }
  }

  /// What happened.
  public var event: Event
  /// To whom.
  public var subject: Subject
  /// Why, as a word.
  public var reason: String
  /// More about it, for people.
  public var detail: String

  /// Creates a change.
  public init(_ event: Event, _ subject: Subject, reason: String, detail: String) {
    self.event = event
    self.subject = subject
    self.reason = reason
    self.detail = detail
  }
}
