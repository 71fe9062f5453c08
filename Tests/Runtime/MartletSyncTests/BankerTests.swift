import MartletSync
import TestCrowd
import Testing

@Suite("Banker")
struct BankerTests {
  @Test("grants what the textbook's example calls safe, and refuses what it calls unsafe")
  func textbook() {
    var ledger = BankersLedger([10, 5, 7])
    let claims = [[7, 5, 3], [3, 2, 2], [9, 0, 2], [2, 2, 2], [4, 3, 3]]
    let held = [[0, 1, 0], [2, 0, 0], [3, 0, 2], [2, 1, 1], [0, 0, 2]]
    for (number, claim) in claims.enumerated() {
      let isOpen = ledger.open(number, claiming: claim)
      let isGranted = ledger.grant(held[number], to: number)
      #expect(isOpen && isGranted)
    }
    #expect(ledger.available == [3, 3, 2])
    #expect(ledger.isSafe)
    let granted = [(1, [1, 0, 2]), (4, [3, 3, 0]), (0, [0, 2, 0])].map { customer, amounts in
      ledger.grant(amounts, to: customer)
    }
    #expect(granted == [true, false, false])
    #expect(!ledger.isWithinClaim([1, 0, 0], of: 3))
    let isOpen = ledger.open(9, claiming: [11, 0, 0])
    #expect(!isOpen)
  }

  /// Whether some order serves all, tried one by one.
  private func isSafe(_ free: [Int], _ rest: [(claim: [Int], held: [Int])]) -> Bool {
    if rest.isEmpty { return true }
    return rest.indices.contains { index in
      let one = rest[index]
      guard free.indices.allSatisfy({ one.claim[$0] - one.held[$0] <= free[$0] }) else {
        return false
      }
      var others = rest
      others.remove(at: index)
      return isSafe(free.indices.map { free[$0] + one.held[$0] }, others)
    }
  }

  @Test("decides as trying every order does", arguments: 0..<20)
  func exhaustive(seed: UInt64) {
    var random = Seeded(state: seed)
    var ledger = BankersLedger([5, 4])
    var model: [(claim: [Int], held: [Int])] = []
    for number in 0..<4 {
      let claim = [Int.random(in: 0...5, using: &random), Int.random(in: 0...4, using: &random)]
      _ = ledger.open(number, claiming: claim)
      model.append((claim, [0, 0]))
    }
    for _ in 0..<200 {
      let number = Int.random(in: 0..<4, using: &random)
      let amounts = [Int.random(in: 0...3, using: &random), Int.random(in: 0...2, using: &random)]
      if Bool.random(using: &random) {
        let given = zip(amounts, model[number].held).map { min($0, $1) }
        ledger.take(given, from: number)
        model[number].held = zip(model[number].held, given).map { $0 - $1 }
        continue
      }
      var after = model
      after[number].held = zip(after[number].held, amounts).map { $0 + $1 }
      let free = (0..<2).map { index in [5, 4][index] - after.map { $0.held[index] }.reduce(0, +) }
      let isWithin = zip(after[number].held, after[number].claim).allSatisfy { $0 <= $1 }
      let expected = isWithin && free.allSatisfy { $0 >= 0 } && isSafe(free, after)
      let isGranted = ledger.grant(amounts, to: number)
      #expect(isGranted == expected)
      if expected { model = after }
    }
  }

  @Test("serves philosophers who take one fork after the other, and none waits for ever")
  func philosophers() async throws {
    let banker = Banker([1, 1, 1, 1, 1])
    let meals = Latch(5 * 100)
    try await Crowd.threads(5) { seat in
      var (left, right) = (Array(repeating: 0, count: 5), Array(repeating: 0, count: 5))
      left[seat] = 1
      right[(seat + 1) % 5] = 1
      do {
        let customer = try banker.open(claiming: zip(left, right).map { $0 + $1 })
        for _ in 0..<100 {
          try banker.request(left, for: customer)
          try banker.request(right, for: customer)
          banker.giveBack(left, of: customer)
          banker.giveBack(right, of: customer)
          meals.countDown()
        }
        banker.close(customer)
      } catch {
        Issue.record(error)
      }
    }
    #expect(meals.count == 0)
    #expect(banker.available == [1, 1, 1, 1, 1])
  }

  @Test("refuses what was not declared, and ends waits with their limit")
  func refuses() async throws {
    let banker = Banker([2])
    #expect(throws: Banker.Refusal.beyondTotal) { try banker.open(claiming: [3]) }
    let (one, two) = (try banker.open(claiming: [2]), try banker.open(claiming: [2]))
    #expect(throws: Banker.Refusal.beyondClaim) { try banker.tryRequest([3], for: one) }
    #expect(try banker.tryRequest([1], for: one))
    // One is there, and it would not be safe.
    #expect(try !banker.tryRequest([1], for: two))
    await #expect(throws: Banker.Refusal.timedOut) {
      try await banker.request([1], for: two, within: .milliseconds(1))
    }
    let task = Task { try await banker.request([1], for: two) }
    banker.close(one)
    try await task.value
    #expect(banker.available == [1])
  }
}
