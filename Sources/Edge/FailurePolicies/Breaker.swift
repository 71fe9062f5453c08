import Synchronization

/// Leaves a member, or a whole upstream, alone for a while when too much of what it is sent fails.
///
/// ```
///            too many of the window fail
///   closed ───────────────────────────────► open ◄──────────────┐
///     ▲                                       │ its time is over │ a probe fails
///     │        enough probes do well          ▼                  │
///     └──────────────────────────────── half-open ───────────────┘
/// ```
///
/// It stays open for twice as long each time that it opens again before it has been closed for
/// ``Terms/mostOpen``, at most for that. Half-open it lets ``Terms/probes`` requests through; those that
/// are never heard of again are replaced after as long as it was open at least.
///
/// All loops share its state, one word that changes by compare-and-exchange: it opens once for one
/// cause, and no more probes are under way than there may be. What was sent before it opened does not
/// count later.
public final class Breaker: Sendable {
  /// When a breaker opens, and for how long.
  public struct Terms: Hashable, Sendable {
    /// The share of failures, in percent, at which it opens; nil: failures alone do not open it.
    public var failurePercent: Int?
    /// An answer is slow from here on; nil: none is.
    public var slowLimit: Duration?
    /// The share of slow answers, in percent, at which it opens.
    public var slowPercent: Int
    /// The fewest outcomes of a window from which shares are told.
    public var leastCount: Int
    /// Over how long outcomes are counted.
    public var window: Duration
    /// How long it is open the first time.
    public var open: Duration
    /// How long it is open at most.
    public var mostOpen: Duration
    /// How many requests are let through half-open, all of which must do well; at most 200.
    public var probes: Int

    /// Creates terms.
    public init(
      failurePercent: Int? = 50,
      slowLimit: Duration? = nil,
      slowPercent: Int = 50,
      leastCount: Int = 20,
      window: Duration = .seconds(10),
      open: Duration = .seconds(5),
      mostOpen: Duration = .seconds(60),
      probes: Int = 3
    ) {
      self.failurePercent = failurePercent
      self.slowLimit = slowLimit
      self.slowPercent = slowPercent
      self.leastCount = leastCount
      self.window = window
      self.open = open
      self.mostOpen = mostOpen
      self.probes = probes
    }
  }

  /// What it does with requests.
  public enum State: UInt8, Hashable, Sendable {
    /// All pass.
    case closed
    /// None pass.
    case open
    /// A few pass, and decide.
    case halfOpen

    /// Its word for people and programs.
    public var name: String {
      switch self {
      case .closed: "closed"
      case .open: "open"
      case .halfOpen: "half_open"
      }
    }
  }

  /// Whether a request may be sent.
  public struct Admission: Hashable, Sendable {
    enum Kind: Hashable, Sendable {
      case refused, usual
      /// One of those that decide, and the opening that it belongs to.
      case probe(UInt64)
    }

    let kind: Kind

    /// It passes where there is no breaker.
    public static let usual = Admission(kind: .usual)

    /// Whether it may.
    public var isGranted: Bool { kind != .refused }
    /// Whether it decides if the breaker closes.
    public var isProbe: Bool { if case .probe = kind { true } else { false } }
  }

  /// How a request that was let through has ended.
  public enum Outcome: Hashable, Sendable {
    /// With an answer, after so many nanoseconds.
    case answered(nanoseconds: Int64)
    /// With a failure.
    case failed
    /// Without telling anything of the member.
    case unknown
  }

  /// What it goes by.
  public let terms: Terms
  private let slices: Slices
  private let slowLimit: Int64
  private let word = Atomic<UInt64>(Condition().word)

  /// Creates a closed breaker.
  public init(_ terms: Terms) {
    self.terms = terms
    slices = Slices(window: terms.window, countsSlow: true)
    slowLimit = terms.slowLimit?.inNanoseconds ?? .max
  }

  /// What it does with requests; open until somebody asks after its time, see ``advance(at:)``.
  public var state: State { Condition(word.load(ordering: .relaxed)).state }

  /// How often in a row it has opened.
  public var openCount: Int { Int(Condition(word.load(ordering: .relaxed)).opens) }

  /// Lets an open breaker whose time is over be half-open.
  ///
  /// - Returns: Whether that has changed it.
  public func advance(at now: Int64) -> Bool {
    let milliseconds = Self.milliseconds(now)
    return change { condition in
      guard condition.state == .open, milliseconds >= condition.until else { return nil }
      return self.halfOpen(condition, milliseconds)
    } != nil
  }

  /// Whether a request may be sent now; whoever is let through tells what became of it.
  public func admit(at now: Int64) -> Admission {
    let present = Condition(word.load(ordering: .relaxed))
    if present.state == .closed { return .usual }
    let milliseconds = Self.milliseconds(now)
    let changed = change { condition in
      var next = condition
      switch condition.state {
      case .closed: return nil
      case .open:
        guard milliseconds >= condition.until else { return nil }
        next = self.halfOpen(condition, milliseconds)
      case .halfOpen:
        if condition.started >= self.probeCount {
          // The probes are still under way, or nobody has told what became of them.
          guard milliseconds >= condition.until else { return nil }
          next = self.halfOpen(condition, milliseconds)
        }
      }
      next.started += 1
      return next
    }
    if let changed { return Admission(kind: .probe(changed.opens)) }
    return Admission(kind: state == .closed ? .usual : .refused)
  }

  /// Notes how a request has ended that was let through; `random` has 64 bits.
  ///
  /// - Returns: The state that this has led to, if it is another.
  public func note(
    _ outcome: Outcome,
    of admission: Admission,
    at now: Int64,
    random: UInt64
  ) -> State? {
    switch admission.kind {
    case .refused: nil
    case .usual: noteUsual(outcome, at: now, random)
    case .probe(let opens): noteProbe(outcome, opens, at: now, random)
    }
  }

  private func noteUsual(_ outcome: Outcome, at now: Int64, _ random: UInt64) -> State? {
    guard outcome != .unknown, state == .closed else { return nil }
    let isFailed = outcome == .failed
    let more = Slices.Counts(all: 1, failed: isFailed ? 1 : 0, slow: isSlow(outcome) ? 1 : 0)
    guard let counts = slices.add(more, at: now), isTooMuch(counts) else { return nil }
    return open(at: now, random) { $0.state == .closed }
  }

  private func isSlow(_ outcome: Outcome) -> Bool {
    if case .answered(let nanoseconds) = outcome { nanoseconds >= slowLimit } else { false }
  }

  private func isTooMuch(_ counts: Slices.Counts) -> Bool {
    guard counts.all >= UInt64(max(1, terms.leastCount)) else { return false }
    if let share = terms.failurePercent, counts.failed * 100 >= counts.all * UInt64(max(1, share)) {
      return true
    }
    return terms.slowLimit != nil
      && counts.slow * 100 >= counts.all * UInt64(max(1, terms.slowPercent))
  }

  private func noteProbe(
    _ outcome: Outcome,
    _ opens: UInt64,
    at now: Int64,
    _ random: UInt64
  ) -> State? {
    if outcome == .failed || isSlow(outcome) {
      return open(at: now, random) { $0.state == .halfOpen && $0.opens == opens }
    }
    let milliseconds = Self.milliseconds(now)
    let changed = change { condition in
      guard condition.state == .halfOpen, condition.opens == opens else { return nil }
      var next = condition
      if outcome == .unknown {
        next.started -= min(1, next.started)
        return next
      }
      next.succeeded += 1
      if next.succeeded >= self.probeCount {
        next.state = .closed
        next.until = milliseconds &+ UInt64(max(0, self.terms.mostOpen.inNanoseconds / 1_000_000))
      }
      return next
    }
    return changed?.state == .closed ? .closed : nil
  }

  private func open(
    at now: Int64,
    _ random: UInt64,
    if applies: (Condition) -> Bool
  ) -> State? {
    let milliseconds = Self.milliseconds(now)
    let changed = change { condition in
      guard applies(condition) else { return nil }
      // Closed for long enough, it begins anew.
      let isFresh = condition.state == .closed && milliseconds >= condition.until
      var next = Condition()
      next.state = .open
      next.opens = isFresh ? 1 : min(condition.opens + 1, Condition.mostOpens)
      next.until = milliseconds &+ self.openMilliseconds(next.opens, random)
      return next
    }
    guard changed != nil else { return nil }
    slices.clear()
    return .open
  }

  /// How long it is open for the given time in a row: three quarters of the full length at least.
  private func openMilliseconds(_ opens: UInt64, _ random: UInt64) -> UInt64 {
    let most = max(terms.open, terms.mostOpen).inNanoseconds
    let full = Backoff.doubled(terms.open.inNanoseconds, times: Int(opens) - 1, most: most)
    return UInt64(Backoff.jittered(full, by: full / 4, random) / 1_000_000)
  }

  private func halfOpen(_ condition: Condition, _ milliseconds: UInt64) -> Condition {
    var next = condition
    next.state = .halfOpen
    next.started = 0
    next.succeeded = 0
    next.until = milliseconds &+ UInt64(terms.open.inNanoseconds / 1_000_000)
    return next
  }

  private var probeCount: UInt64 { UInt64(min(max(1, terms.probes), 200)) }

  /// Changes the word as `next` says, which gives nil where nothing is to change.
  private func change(_ next: (Condition) -> Condition?) -> Condition? {
    while true {
      let before = word.load(ordering: .relaxed)
      guard let condition = next(Condition(before)) else { return nil }
      let (isDone, _) = word.compareExchange(
        expected: before,
        desired: condition.word,
        ordering: .acquiringAndReleasing
      )
      if isDone { return condition }
    }
  }

  private static func milliseconds(_ now: Int64) -> UInt64 { UInt64(max(0, now) / 1_000_000) }
}

/// What the word of a breaker says.
private struct Condition {
  /// Further openings in a row are not told apart.
  static let mostOpens: UInt64 = 63
  private static let untilMask: UInt64 = 1 << 40 - 1

  var state = Breaker.State.closed
  /// How often in a row it has opened.
  var opens: UInt64 = 0
  /// The probes that were let through, and those that did well.
  var started: UInt64 = 0
  var succeeded: UInt64 = 0
  /// A moment in milliseconds, of which 40 bits are 34 years.
  ///
  /// Open: when it is half-open. Half-open: when lost probes are replaced. Closed: when what was before
  /// is forgotten.
  var until: UInt64 = 0

  init() {}

  init(_ word: UInt64) {
    state = Breaker.State(rawValue: UInt8(word >> 62)) ?? .closed
    opens = word >> 56 & 63
    started = word >> 48 & 255
    succeeded = word >> 40 & 255
    until = word & Self.untilMask
  }

  var word: UInt64 {
    UInt64(state.rawValue) << 62 | opens << 56 | min(started, 255) << 48
      | min(succeeded, 255) << 40 | until & Self.untilMask
  }
}
