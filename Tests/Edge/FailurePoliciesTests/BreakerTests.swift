import FailurePolicies
import Testing

@Suite("Circuit breaker")
struct BreakerTests {
  private static let second = milliseconds(1000)

  /// Terms with a window of ten seconds, open for one to eight, three probes.
  private func terms(least: Int = 10) -> Breaker.Terms {
    Breaker.Terms(
      failurePercent: 50,
      leastCount: least,
      open: .seconds(1),
      mostOpen: .seconds(8),
      probes: 3
    )
  }

  @discardableResult private func tell(
    _ breaker: Breaker,
    _ outcomes: [Breaker.Outcome],
    at now: Int64
  ) -> [Breaker.State] {
    outcomes.compactMap { outcome in
      let admission = breaker.admit(at: now)
      guard admission.isGranted else { return nil }
      return breaker.note(outcome, of: admission, at: now, random: 0)
    }
  }

  private let good = Breaker.Outcome.answered(nanoseconds: 1000)

  @Test("opens when the share of failures is reached, and not before there are enough outcomes")
  func opens() {
    let breaker = Breaker(terms())
    #expect(tell(breaker, Array(repeating: .failed, count: 9), at: 0).isEmpty)
    #expect(breaker.state == .closed)
    #expect(tell(breaker, [.failed], at: 0) == [.open])
    #expect(!breaker.admit(at: Self.second / 2).isGranted)
  }

  @Test("does not open below the share", arguments: [(4, 6, false), (5, 5, true)])
  func share(failed: Int, well: Int, opens: Bool) {
    let breaker = Breaker(terms())
    let outcomes =
      Array(repeating: good, count: well) + Array(repeating: Breaker.Outcome.failed, count: failed)
    tell(breaker, outcomes, at: 0)
    #expect((breaker.state == .open) == opens)
  }

  @Test("failures that are older than the window do not count")
  func window() {
    let breaker = Breaker(terms())
    tell(breaker, Array(repeating: .failed, count: 9), at: 0)
    tell(breaker, [.failed], at: 10 * Self.second)
    #expect(breaker.state == .closed)
  }

  @Test("opens by the share of slow answers, when it is to")
  func slow() {
    let limit = Duration.milliseconds(100)
    for (share, state) in [(30, Breaker.State.open), (31, .closed)] {
      let breaker = Breaker(
        Breaker.Terms(failurePercent: nil, slowLimit: limit, slowPercent: share, leastCount: 10)
      )
      tell(breaker, Array(repeating: .failed, count: 50), at: 0)
      #expect(breaker.state == .closed, "failures alone")
      let other = Breaker(breaker.terms)
      tell(other, Array(repeating: good, count: 7), at: 0)
      let atLimit = Breaker.Outcome.answered(nanoseconds: milliseconds(100))
      tell(other, Array(repeating: atLimit, count: 3), at: 0)
      #expect(other.state == state)
    }
  }

  /// A breaker that opened at 0, for a second.
  private func opened() -> Breaker {
    let breaker = Breaker(terms())
    tell(breaker, Array(repeating: .failed, count: 10), at: 0)
    return breaker
  }

  @Test("half-open it lets so many probes through, and closes when all did well")
  func closes() {
    let breaker = opened()
    let now = Self.second
    let probes = (0..<5).map { _ in breaker.admit(at: now) }
    #expect(probes.map(\.isGranted) == [true, true, true, false, false])
    #expect(probes.map(\.isProbe) == [true, true, true, false, false])
    #expect(breaker.state == .halfOpen)
    #expect(breaker.note(good, of: probes[0], at: now, random: 0) == nil)
    #expect(breaker.note(good, of: probes[1], at: now, random: 0) == nil)
    #expect(breaker.note(good, of: probes[2], at: now, random: 0) == .closed)
    #expect(breaker.admit(at: now) == .usual)
  }

  @Test("a probe that fails opens it again, for twice as long, up to the bound")
  func growth() {
    let breaker = opened()
    var now: Int64 = 0
    for length in [1, 2, 4, 8, 8, 8] as [Int64] {
      let end = now + length * Self.second
      #expect(!breaker.advance(at: end - milliseconds(1)), "length \(length)")
      #expect(breaker.advance(at: end))
      now = end
      let probe = breaker.admit(at: now)
      #expect(breaker.note(.failed, of: probe, at: now, random: 0) == .open)
    }
  }

  @Test("jitter shortens the time by a quarter at most", arguments: [0, UInt64.max, 1 << 63])
  func jitter(random: UInt64) {
    let breaker = Breaker(terms(least: 1))
    let admission = breaker.admit(at: 0)
    #expect(breaker.note(.failed, of: admission, at: 0, random: random) == .open)
    #expect(!breaker.advance(at: milliseconds(749)))
    #expect(breaker.advance(at: milliseconds(1000)))
  }

  @Test("closed for long enough, it begins with the short time again")
  func forgets() {
    let breaker = opened()
    var now = Self.second
    for _ in 0..<3 { tell(breaker, [good], at: now) }
    #expect(breaker.state == .closed)
    tell(breaker, Array(repeating: .failed, count: 10), at: now)
    #expect(breaker.openCount == 2)
    now += 2 * Self.second
    for _ in 0..<3 { tell(breaker, [good], at: now) }
    now += 8 * Self.second
    tell(breaker, Array(repeating: .failed, count: 10), at: now)
    #expect(breaker.openCount == 1)
  }

  @Test("probes that tell nothing are replaced: at once, or after the time it was open")
  func lost() {
    let breaker = opened()
    let now = Self.second
    let probes = (0..<3).map { _ in breaker.admit(at: now) }
    #expect(!breaker.admit(at: now).isGranted)
    #expect(breaker.note(.unknown, of: probes[0], at: now, random: 0) == nil)
    #expect(breaker.admit(at: now).isProbe)
    #expect(!breaker.admit(at: now).isGranted)
    #expect(!breaker.admit(at: now + milliseconds(999)).isGranted)
    #expect(breaker.admit(at: now + Self.second).isProbe)
  }

  @Test("what was sent before it opened, or in an earlier half-open time, decides nothing")
  func late() {
    let breaker = Breaker(terms())
    let early = breaker.admit(at: 0)
    tell(breaker, Array(repeating: .failed, count: 10), at: 0)
    #expect(breaker.state == .open)
    let first = breaker.admit(at: Self.second)
    #expect(breaker.note(.failed, of: early, at: Self.second, random: 0) == nil)
    #expect(breaker.state == .halfOpen)
    let second = breaker.admit(at: Self.second)
    #expect(breaker.note(.failed, of: second, at: Self.second, random: 0) == .open)
    #expect(breaker.admit(at: 3 * Self.second).isProbe)
    #expect(breaker.note(.failed, of: first, at: 3 * Self.second, random: 0) == nil)
    #expect(breaker.state == .halfOpen)
  }

  @Test("loops that tell failures at once open it once", arguments: 0..<10)
  func opensOnce(round: Int) async {
    let breaker = Breaker(terms(least: 100))
    let opened = await together(4) { _ in
      (0..<200).count { _ in
        breaker.note(.failed, of: .usual, at: 0, random: 0) == .open
      }
    }
    #expect(opened == 1)
    #expect(breaker.openCount == 1)
  }

  @Test("loops that ask at once get no more probes together", arguments: 0..<10)
  func probesTogether(round: Int) async {
    let breaker = opened()
    let granted = await together(4) { _ in
      (0..<50).count { _ in breaker.admit(at: milliseconds(1000)).isGranted }
    }
    #expect(granted == 3)
  }

  @Test("whatever happens, it lets through what its state allows", arguments: 0..<20)
  func sequences(seed: UInt64) {
    var numbers = Numbers(seed)
    let breaker = Breaker(terms(least: 5))
    var now: Int64 = Int64.random(in: 0...milliseconds(1 << 35), using: &numbers)
    var waiting: [Breaker.Admission] = []
    var refusedSince: Int64?
    for _ in 0..<5000 {
      now += Int64.random(in: 0...milliseconds(400), using: &numbers)
      if Bool.random(using: &numbers) {
        let before = breaker.state
        let admission = breaker.admit(at: now)
        switch before {
        case .closed: #expect(admission == .usual)
        case .open: #expect(!admission.isGranted || breaker.state == .halfOpen)
        case .halfOpen: #expect(admission != .usual)
        }
        if admission.isGranted {
          waiting.append(admission)
          refusedSince = nil
        } else {
          refusedSince = refusedSince ?? now
        }
        // It never stays shut for longer than it is open and its probes may take.
        if let since = refusedSince { #expect(now - since <= 9 * Self.second) }
      } else if let index = waiting.indices.randomElement(using: &numbers) {
        let outcome = [good, good, .failed, .unknown].randomElement(using: &numbers)
        let state = breaker.note(
          outcome ?? good,
          of: waiting.remove(at: index),
          at: now,
          random: numbers.next()
        )
        if let state { #expect(state == breaker.state) }
      }
    }
  }
}
