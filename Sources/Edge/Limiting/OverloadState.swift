/// What a process may run short of.
public enum OverloadCause: String, CaseIterable, Hashable, Sendable {
  /// The loops are late: the processor does not suffice.
  case loopLag = "loop_lag"
  /// Memory.
  case memory
  /// File descriptors.
  case descriptors
}

/// How short a process is of what it needs, and what is therefore refused.
///
/// There are four levels, each with a figure for each cause at which it begins. A level begins as soon
/// as one figure reaches it; it ends, one level at a time, when the figure has been below nine tenths of
/// it for ``hold``. So a load at the edge does not make the level come and go with every look.
public struct OverloadState: Sendable {
  /// The highest level.
  public static let highest = 4
  /// The level at which no connections are accepted.
  public static let closing = 4

  /// The figures at which the levels begin, from the first on.
  public struct Thresholds: Hashable, Sendable {
    fileprivate let figures: [Double]

    /// Multiples of a figure: 1, 2, 4 and 8 times.
    public static func multiples(of figure: Double) -> Thresholds {
      Thresholds(figures: [1, 2, 4, 8].map { $0 * figure })
    }

    /// Shares of a limit: 80, 87, 93 and 97 in a hundred.
    public static func shares(of limit: Double) -> Thresholds {
      Thresholds(figures: [0.80, 0.87, 0.93, 0.97].map { $0 * limit })
    }

    /// The level that a figure reaches.
    func level(of figure: Double) -> Int { figures.count { figure >= $0 } }

    /// Whether a figure is clearly below a level.
    func isBelow(_ level: Int, _ figure: Double) -> Bool { figure < 0.9 * figures[level - 1] }
  }

  fileprivate struct Part: Sendable {
    var level = 0
    /// Since when the figure has been below the level; nil when it has not.
    var calmSince: UInt64?
  }

  /// For how many nanoseconds a figure has to be below a level until the level ends.
  public let hold: UInt64
  /// The level that is in force, 0 to ``highest``.
  public private(set) var level = 0
  /// What has brought the level about; nil at level 0.
  public private(set) var cause: OverloadCause?
  private var parts: [OverloadCause: Part] = [:]

  /// Creates a state without overload.
  public init(hold: UInt64 = 2_000_000_000) { self.hold = hold }

  /// Takes the present figures into account; a cause that has none counts as calm at once.
  ///
  /// - Returns: Whether the level has changed.
  public mutating func update(
    _ figures: [OverloadCause: (figure: Double, thresholds: Thresholds)],
    at now: UInt64
  ) -> Bool {
    let before = level
    level = 0
    cause = nil
    for cause in OverloadCause.allCases {
      guard let (figure, thresholds) = figures[cause] else {
        parts[cause] = nil
        continue
      }
      var part = parts[cause] ?? Part()
      part.take(figure, thresholds, hold, now)
      parts[cause] = part
      if part.level > level {
        level = part.level
        self.cause = cause
      }
    }
    return level != before
  }

  /// The priority below which requests are refused at a level: with 0 none is.
  ///
  /// The first level refuses priorities 0 to 2, the second 3 to 5, where the usual one is, and the third
  /// all but the highest, 9.
  public static func floor(of level: Int) -> Int { [0, 3, 6, 9, 9][min(max(level, 0), highest)] }
}

extension OverloadState.Part {
  mutating func take(
    _ figure: Double,
    _ thresholds: OverloadState.Thresholds,
    _ hold: UInt64,
    _ now: UInt64
  ) {
    let reached = thresholds.level(of: figure)
    guard reached <= level else {
      level = reached
      calmSince = nil
      return
    }
    guard level > 0, thresholds.isBelow(level, figure) else {
      calmSince = nil
      return
    }
    guard let since = calmSince else {
      calmSince = now
      return
    }
    if now >= since, now - since >= hold {
      level -= 1
      calmSince = now
    }
  }
}
