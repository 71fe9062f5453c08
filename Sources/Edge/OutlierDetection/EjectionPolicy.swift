/// When a member is ejected, for how long, and how many may be.
public struct EjectionPolicy: Hashable, Sendable {
  /// So many failures one behind the other; nil: any number.
  public var failuresInARow: Int?
  /// So many percent of the requests of a window, 1 to 100; nil: any share.
  public var failurePercent: Int?
  /// How far the share of successes of a member may lie below the mean of all members, in thousandths
  /// of their standard deviation; nil: any distance.
  public var deviationThousandths: Int?
  /// The fewest requests of a member in a window of which a share is told.
  public var leastRequestCount = 20
  /// The fewest members with so many requests that are compared with each other.
  public var leastMemberCount = 3
  /// How long the first ejection of a member takes, in nanoseconds; each further one twice as long.
  public var baseNanoseconds: Int64 = 30_000_000_000
  /// The longest ejection in nanoseconds.
  public var longestNanoseconds: Int64 = 300_000_000_000
  /// How many percent of the members may be ejected at once, 0 to 100, rounded down.
  ///
  /// 100 also allows to eject the last member that serves.
  public var largestPercent = 50

  /// Creates a policy that ejects nobody.
  public init() {}

  /// How many of so many members may be ejected at once.
  public func largestCount(of memberCount: Int) -> Int { memberCount * largestPercent / 100 }

  /// How long the ejection with this number takes, counted from 1.
  public func nanoseconds(ofEjection number: Int) -> Int64 {
    // Thirty doublings of a millisecond are more than a week; the limit is at most a day.
    let doublings = min(max(number - 1, 0), 30)
    let (product, overflows) = baseNanoseconds.multipliedReportingOverflow(by: 1 << doublings)
    return overflows ? longestNanoseconds : min(product, longestNanoseconds)
  }
}

/// What a member did in a window.
public struct WindowCount: Hashable, Sendable {
  /// Requests that went well.
  public var successCount: UInt64
  /// Requests that failed.
  public var failureCount: UInt64

  /// Creates a count.
  public init(successCount: UInt64 = 0, failureCount: UInt64 = 0) {
    self.successCount = successCount
    self.failureCount = failureCount
  }

  /// All requests.
  public var requestCount: UInt64 { successCount &+ failureCount }

  /// The share of successes, 0 to 1; that of no request is 1.
  var successShare: Double {
    requestCount == 0 ? 1 : Double(successCount) / Double(requestCount)
  }
}

/// A member that is taken out of service.
public struct Ejection: Hashable, Sendable {
  /// Why.
  public enum Cause: Hashable, Sendable {
    /// So many failures one behind the other.
    case failuresInARow(Int)
    /// So many percent of the requests of a window, of so many.
    case failurePercent(Int, requestCount: UInt64)
    /// A share of successes in percent that lies below what the others show.
    case deviation(successPercent: Int, leastPercent: Int)

    /// The name of the cause in logs.
    public var name: String {
      switch self {
      case .failuresInARow: "failures_in_a_row"
      case .failurePercent: "failure_share"
      case .deviation: "deviation"
      }
    }

    /// The figures, for people.
    public var detail: String {
      switch self {
      case .failuresInARow(let count): "\(count) failures one behind the other"
      case .failurePercent(let percent, let count): "\(percent)% of \(count) requests failed"
      case .deviation(let own, let least): "\(own)% went well, the others allow \(least)%"
      }
    }
  }

  /// The member's place.
  public var member: Int
  /// Why.
  public var cause: Cause
  /// How often it was ejected by now, as far as that is remembered; from 1.
  public var number: Int
  /// For how long, in nanoseconds.
  public var nanoseconds: Int64
}
