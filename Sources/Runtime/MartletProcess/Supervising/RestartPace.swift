/// How soon what ends is started again: at once, unless it keeps ending soon after it was started.
public struct RestartPace: Hashable, Sendable {
  /// What has run for so long has not ended at once.
  public var settled: Duration
  /// The first pause; each further one is twice as long.
  public var first: Duration
  /// The longest pause.
  public var most: Duration
  /// How often in a row it may end at once before there are pauses.
  public var freeCount: Int
  /// How often in a row it has ended at once.
  public private(set) var quickCount = 0

  /// Creates a pace.
  public init(
    settled: Duration = .seconds(10),
    first: Duration = .milliseconds(50),
    most: Duration = .seconds(10),
    freeCount: Int = 1
  ) {
    self.settled = settled
    self.first = first
    self.most = most
    self.freeCount = freeCount
  }

  /// Notes that it has ended, after so long.
  public mutating func noteEnd(after lived: Duration) {
    quickCount = lived < settled ? quickCount + 1 : 0
  }

  /// Notes that it could not be started, or ended before it was ready.
  ///
  /// - Returns: How long to wait before the next start, which is never at once.
  @discardableResult
  public mutating func noteFailure() -> Duration {
    quickCount += 1
    return max(pause, first)
  }

  /// How long to wait before the next start.
  public var pause: Duration {
    guard quickCount > freeCount else { return .zero }
    let doublings = min(quickCount - freeCount - 1, 30)
    return min(most, first * (1 << doublings))
  }
}
