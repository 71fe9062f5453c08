import Edge
import HealthChecks
import Testing

@Suite("The history of checks")
struct CheckHistoryTests {
  @Test("is decided by the first check alone", arguments: [true, false])
  func first(passed: Bool) {
    var history = CheckHistory()
    let isChange = history.take(passed: passed, rise: 5, fall: 5)
    #expect(isChange)
    #expect(history.health == (passed ? .up : .down))
  }

  @Test("changes with exactly as many contrary checks in a row as it takes", arguments: 1...5)
  func exact(count: Int) {
    var up = CheckHistory(.up)
    var down = CheckHistory(.down)
    for number in 1...count {
      #expect(up.take(passed: false, rise: 9, fall: count) == (number == count))
      #expect(down.take(passed: true, rise: count, fall: 9) == (number == count))
    }
    #expect(up.health == .down)
    #expect(down.health == .up)
  }

  @Test("stays as it is while a member flaps")
  func flapping() {
    var history = CheckHistory(.up)
    for _ in 0..<100 {
      let changes = [false, false, true].map { history.take(passed: $0, rise: 1, fall: 3) }
      #expect(changes == [false, false, false])
    }
    #expect(history == CheckHistory(.up))
  }

  @Test("is what a look at the last checks says, for any row of checks", arguments: 0..<50)
  func model(seed: Int) {
    let (rise, fall) = (Int.random(in: 1...4), Int.random(in: 1...4))
    var history = CheckHistory()
    var results: [Bool] = []
    var health = MemberState.Health.unknown
    for _ in 0..<300 {
      let passed = Bool.random()
      results.append(passed)
      let claim: MemberState.Health = passed ? .up : .down
      let run = results.reversed().prefix { $0 == passed }.count
      let isChange =
        health != claim && (health == .unknown || run >= (passed ? rise : fall))
      if isChange { health = claim }
      #expect(history.take(passed: passed, rise: rise, fall: fall) == isChange)
      #expect(history.health == health)
    }
  }
}

@Suite("What is known of members")
struct KeptHealthTests {
  @Test("comes back as it was written", arguments: [0, 1, 1000])
  func roundTrip(count: Int) throws {
    var kept = KeptHealth()
    for _ in 0..<count {
      let health: MemberState.Health = Bool.random() ? .up : .down
      kept.entries[UInt64.random(in: 0 ... .max)] = KeptHealth.Entry(
        history: CheckHistory(health, contraryCount: Int.random(in: 0...9)),
        since: Int64.random(in: 0...1 << 52)
      )
    }
    #expect(KeptHealth(kept.encoded) == kept)
  }

  @Test(
    "is nothing where it is not in form",
    arguments: [
      "", "health 2", "health 1\nx", "health 1\n0123456789abcdef up 0 -1",
      "health 1\n0123456789abcdef sick 0 0", "health 1\n123 up 0 0",
      "health 1\n0123456789abcdef up -5 0", "health 1\n0123456789abcdef up 0 0 0",
    ]
  )
  func malformed(text: String) { #expect(KeptHealth(Array(text.utf8)) == nil) }

  @Test("survives any bytes")
  func noise() {
    let seed = Array("health 1\n0123456789abcdef up 17 2\nfedcba9876543210 down 18 0".utf8)
    for _ in 0..<3000 {
      var bytes = seed
      for _ in 0..<Int.random(in: 0...6) {
        bytes[Int.random(in: bytes.indices)] = UInt8.random(in: 0...255)
      }
      guard let kept = KeptHealth(bytes) else { continue }
      #expect(KeptHealth(kept.encoded) == kept)
    }
  }
}
