/// How many workers an application is to have, as its load says.
///
/// There are more when a request has waited for long although all workers are there, and fewer when for some
/// time one less would have had little to do.
public struct WorkerScaling: Hashable, Sendable {
  /// What is seen of an application at a moment.
  public struct Sight: Hashable, Sendable {
    /// How many workers take requests.
    public var readyCount: Int
    /// How many requests they are at.
    public var activeCount: Int
    /// How long the request has waited that has waited longest, in nanoseconds; 0: none waits.
    public var longestWait: Int64

    /// Creates a sight.
    public init(readyCount: Int, activeCount: Int, longestWait: Int64) {
      self.readyCount = readyCount
      self.activeCount = activeCount
      self.longestWait = longestWait
    }
  }

  /// How many there may be.
  public private(set) var bounds: ClosedRange<Int>
  /// How many requests each answers at once.
  private var threadCount: Int
  /// For how long one less must have been enough, in nanoseconds.
  private var idleTime: Int64
  /// How many there are to be.
  public private(set) var wantedCount: Int
  /// How many requests were under way of late, on average.
  private var load = 0.0
  private var lastLook: Int64?
  /// Since when one less would have been enough; nil: it would not.
  private var idleSince: Int64?

  /// Begins with as few as there may be.
  public init(_ terms: ApplicationTerms) {
    bounds = terms.workerCounts
    threadCount = terms.threadCount
    idleTime = terms.idleTime
    wantedCount = bounds.lowerBound
  }

  /// Goes on by other terms.
  public mutating func use(_ terms: ApplicationTerms) {
    bounds = terms.workerCounts
    threadCount = terms.threadCount
    idleTime = terms.idleTime
    wantedCount = min(max(wantedCount, bounds.lowerBound), bounds.upperBound)
  }

  /// Looks at how things are.
  public mutating func look(_ sight: Sight, at now: Int64) {
    let elapsed = Double(now - (lastLook ?? now))
    lastLook = now
    let share = min(1, elapsed / Self.memory)
    load += (Double(sight.activeCount) - load) * share
    if sight.longestWait > Self.patience {
      idleSince = nil
      // Those that were asked for may be about to help.
      if sight.readyCount >= wantedCount { wantedCount = min(wantedCount + 1, bounds.upperBound) }
      return
    }
    let fewer = wantedCount - 1
    guard fewer >= bounds.lowerBound, load <= Double(fewer * threadCount) / 2 else {
      idleSince = nil
      return
    }
    guard let since = idleSince else {
      idleSince = now
      return
    }
    if now - since >= idleTime {
      wantedCount = fewer
      idleSince = now
    }
  }

  /// A request may wait for so long without a further worker.
  private static let patience: Int64 = 100_000_000
  /// What was under way so long ago counts for little.
  private static let memory = 2_000_000_000.0
}
