/// How many requests an upstream may be sent again: a share of those that it is sent, and a few more.
///
/// When all members fail, every request would be sent as often as `tries` says, just when they can bear
/// it least. With a budget the retries of a window are at most the given share of the requests of that
/// window, and ``Terms/leastPerSecond`` for each of its seconds, so that an upstream with few requests
/// has retries too.
///
/// One budget is shared by all loops. At each retry the bound holds for the window that ends there,
/// with one exception: where loops take a retry at the same moment on both sides of a border between
/// two slices, each loop but one may take one too many. A window is between nine and ten tenths of what
/// the terms say.
public final class RetryBudget: Sendable {
  /// What a budget allows.
  public struct Terms: Hashable, Sendable {
    /// Retries per hundred requests.
    public var percent: Int
    /// Retries per second that are allowed however few requests there are.
    public var leastPerSecond: Int
    /// Over how long both are counted.
    public var window: Duration

    /// Creates terms.
    public init(percent: Int, leastPerSecond: Int = 10, window: Duration = .seconds(10)) {
      self.percent = percent
      self.leastPerSecond = leastPerSecond
      self.window = window
    }
  }

  /// What it allows.
  public let terms: Terms
  /// A hundred times the retries that a window has without any request.
  private let floor: UInt64
  private let slices: Slices

  /// Creates a budget from which nothing was taken.
  public init(_ terms: Terms) {
    self.terms = terms
    slices = Slices(window: terms.window, countsSlow: false)
    let seconds = UInt64(terms.window.inNanoseconds) / 1_000_000
    floor = UInt64(max(0, terms.leastPerSecond)) * seconds / 10
  }

  /// Counts requests that were sent for the first time.
  public func add(requests: Int, at now: Int64) {
    guard requests > 0 else { return }
    _ = slices.add(Slices.Counts(all: UInt64(requests)), at: now)
  }

  /// Takes one retry, if there is one left.
  ///
  /// - Returns: Whether the request may be sent again.
  public func take(at now: Int64) -> Bool {
    let share = UInt64(max(0, terms.percent))
    let taken = slices.add(Slices.Counts(failed: 1), at: now) { counts in
      (counts.failed + 1) * 100 <= counts.all * share + floor
    }
    return taken != nil
  }

  /// The requests and the retries of the window that ends at a moment.
  public func counts(at now: Int64) -> (requests: Int, retries: Int) {
    let counts = slices.sum(at: now)
    return (Int(counts.all), Int(counts.failed))
  }
}
