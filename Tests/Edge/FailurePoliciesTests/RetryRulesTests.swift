import FailurePolicies
import Testing

/// The classes of which a member may have seen something.
private let mayBeSeen: [FailureClass] = [.reset, .firstByteTimeout, .malformed, .status]

@Suite("Rules of trying again")
struct RetryRulesTests {
  @Test("what no member can have seen is tried again for every method", arguments: [true, false])
  func unseen(isIdempotent: Bool) {
    let rules = RetryRules.standard
    for failure in [
      TryFailure(.connectFailed), TryFailure(.connectTimeout), TryFailure(.reset, mayBeSeen: false),
    ] { #expect(rules.allow(failure, isIdempotent: isIdempotent), "\(failure)") }
  }

  @Test("what a member may have seen is tried again for idempotent methods alone")
  func seen() {
    let rules = RetryRules.standard
    for kind in [FailureClass.reset, .firstByteTimeout] {
      #expect(rules.allow(TryFailure(kind), isIdempotent: true))
      #expect(!rules.allow(TryFailure(kind), isIdempotent: false))
    }
    #expect(!rules.allow(TryFailure(.malformed), isIdempotent: true))
    #expect(!rules.allow(TryFailure(.status, status: 503), isIdempotent: true))
  }

  @Test("one word lets a class be tried again for every method, and no other", arguments: mayBeSeen)
  func everyMethod(kind: FailureClass) {
    var rules = RetryRules()
    for other in mayBeSeen where other != .status { rules.allow(other) }
    rules.allow(status: 503)
    if kind == .status {
      rules.allow(status: 503, nonIdempotent: true)
    } else {
      rules.allow(kind, nonIdempotent: true)
    }
    for other in mayBeSeen {
      let failure = TryFailure(other, status: 503)
      #expect(rules.allow(failure, isIdempotent: true))
      #expect(rules.allow(failure, isIdempotent: false) == (other == kind))
    }
  }

  @Test("without rules nothing is tried again", arguments: FailureClass.allCases)
  func nothing(kind: FailureClass) {
    #expect(!RetryRules().allow(TryFailure(kind, status: 503), isIdempotent: true))
  }

  @Test("a status is one that is listed, of those that may be")
  func statuses() {
    var rules = RetryRules()
    let listed: Set<UInt16> = [399, 400, 429, 463, 464, 502, 503, 528, 591, 592, 599, 600]
    for status in listed { rules.allow(status: status) }
    for status in UInt16(100)...700 {
      let isListed = listed.contains(status) && (400...599).contains(status)
      #expect(rules.lists(status: status) == isListed, "\(status)")
      #expect(
        rules.allow(TryFailure(.status, status: status), isIdempotent: true) == isListed,
        "\(status)"
      )
      #expect(!rules.allow(TryFailure(.status, status: status), isIdempotent: false))
    }
    #expect(rules.allowedStatuses.map(\.status) == listed.filter { 400...599 ~= $0 }.sorted())
  }
}

@Suite("Back-off")
struct BackoffTests {
  @Test("a wait is between half of its length and all of it, which doubles up to a bound")
  func bounds() {
    var numbers = Numbers(1)
    let backoff = Backoff(base: .milliseconds(25), most: .seconds(1))
    var full: Int64 = milliseconds(25)
    for retry in 1...200 {
      var least = Int64.max
      var most: Int64 = 0
      for _ in 0..<200 {
        let wait = backoff.nanoseconds(
          beforeRetry: retry,
          onAnother: false,
          random: numbers.next()
        )
        least = min(least, wait)
        most = max(most, wait)
      }
      #expect(least >= full / 2 && most <= full, "retry \(retry)")
      // It is spread over all that is allowed.
      #expect(most - least > full / 3, "retry \(retry)")
      full = min(2 * full, milliseconds(1000))
    }
  }

  @Test("only the first retry on another member is immediate, unless it is to wait")
  func immediate() {
    var backoff = Backoff(base: .milliseconds(25))
    func wait(_ retry: Int, _ onAnother: Bool) -> Int64 {
      backoff.nanoseconds(beforeRetry: retry, onAnother: onAnother, random: 7)
    }
    #expect(wait(1, true) == 0)
    #expect(wait(1, false) > 0)
    #expect(wait(2, true) > 0)
    backoff.waitsForOthers = true
    #expect(wait(1, true) > 0)
  }

  @Test("no length overflows", arguments: [Duration.zero, .nanoseconds(1), .seconds(1 << 60)])
  func extremes(base: Duration) {
    let backoff = Backoff(base: base, most: .seconds(1 << 60))
    for retry in [1, 2, 30, 62, 63, 64, 1000, .max] {
      for random in [0, UInt64.max, 1 << 63] {
        let wait = backoff.nanoseconds(beforeRetry: retry, onAnother: false, random: random)
        #expect(wait >= 0)
      }
    }
  }
}
