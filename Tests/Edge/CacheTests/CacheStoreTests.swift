import Cache
import HTTPCaching
import Synchronization
import Testing

@Suite("The store of answers")
struct CacheStoreTests {
  @Test("has what was kept, and nothing else")
  func keeps() throws {
    let store = CacheStore(CacheLimits(memoryBytes: 1 << 20))
    #expect(store.size("a") == nil)
    #expect(try store.put("a", 100) == .kept)
    #expect(try store.put("b", 200) == .kept)
    #expect(store.size("a") == 100 && store.size("b") == 200 && store.size("c") == nil)
    #expect(try store.put("a", 300) == .kept)
    #expect(store.size("a") == 300 && store.count == 2)
    let first = Array("a".utf8)
    let goneCount = store.invalidate(first.span)
    #expect(goneCount == 1)
    #expect(store.size("a") == nil && store.count == 1)
    #expect(store.budget.storedByteCount == store.listedByteCount)
    #expect(store.budget.fillingByteCount == 0)
  }

  @Test("keeps one answer for each kind of requests, and a limited number of them")
  func variants() throws {
    let store = CacheStore(CacheLimits(memoryBytes: 1 << 20, variantCount: 3))
    for (size, variant) in [(1, "x"), (2, "y"), (3, "x"), (4, "z")] {
      #expect(try store.put("a", size, variant: variant) == .kept)
    }
    #expect(store.size("a", variant: "x") == 3 && store.size("a", variant: "y") == 2)
    #expect(try store.put("a", 5, variant: "w") == .kept)
    #expect(store.size("a", variant: "y") == nil && store.count == 3)
    #expect(store.size("a", variant: "v") == nil)
    #expect(store.budget.storedByteCount == store.listedByteCount)
  }

  @Test("refuses what is too large, and is empty as before")
  func tooLarge() throws {
    let store = CacheStore(CacheLimits(memoryBytes: 1 << 20, objectBytes: 1000))
    #expect(try store.put("a", 1001) == .tooLarge)
    #expect(try store.put("a", 1000) == .kept)
    #expect(store.budget.fillingByteCount == 0)
  }

  @Test("does not let what is asked for once push out what is asked for often")
  func admission() throws {
    let store = CacheStore(CacheLimits(memoryBytes: 1 << 20))
    for number in 0..<2000 {
      for _ in 0..<3 { _ = store.size("often-\(number)") }
      if store.budget.storedByteCount + 1600 > (1 << 20) * 15 / 16 { break }
      _ = try store.put("often-\(number)", 1000)
    }
    let before = (0..<600).count { store.size("often-\($0)") != nil }
    #expect(before > 400)
    for number in 0..<3000 {
      _ = store.size("once-\(number)")
      _ = try store.put("once-\(number)", 1000)
    }
    let after = (0..<600).count { store.size("often-\($0)") != nil }
    #expect(after > before * 9 / 10)
    #expect(store.refusalCount > 2000)
  }

  @Test("lets what is asked for more often in than what is there")
  func turnover() throws {
    let store = CacheStore(CacheLimits(memoryBytes: 1 << 20))
    for number in 0..<1000 { _ = try store.put("old-\(number)", 1000) }
    for number in 0..<100 {
      for _ in 0..<8 { _ = store.size("new-\(number)") }
      #expect(try store.put("new-\(number)", 1000) == .kept)
    }
    #expect(store.evictionCount > 50)
    #expect((0..<100).allSatisfy { store.size("new-\($0)") == 1000 })
  }

  @Test("never holds more than it may, whatever happens", arguments: 0..<12)
  func model(seed: UInt64) throws {
    var numbers = Numbers(state: seed)
    let limit = 1 << 20
    let store = CacheStore(
      CacheLimits(memoryBytes: limit, objectBytes: 200_000, variantCount: 4)
    )
    var fills: [(fill: Fill, size: Int, key: String)] = []
    // What the newest answer of a key has in size, where nothing was evicted.
    var sizes: [String: Int] = [:]
    for _ in 0..<3000 {
      let key = "key-\(numbers.next() % 200)"
      switch numbers.next() % 8 {
      case 0...2:
        if let size = store.size(key) { #expect(size == sizes[key]) }
      case 3, 4:
        let size = Int(numbers.next() % (numbers.next() % 5 == 0 ? 150_000 : 6000))
        guard let fill = store.leadIfAlone(Array(key.utf8)) else { continue }
        if store.grow(fill, by: size) {
          fills.append((fill, size, key))
        } else {
          store.abandon(fill)
        }
      case 5, 6:
        guard !fills.isEmpty else { continue }
        let (fill, size, key) = fills.remove(at: Int(numbers.next() % UInt64(fills.count)))
        let answer = try answer(size, key: Array(key.utf8))
        if store.keep(answer, of: fill) == .kept { sizes[key] = size }
      default:
        switch numbers.next() % 4 {
        case 0:
          let bytes = Array(key.utf8)
          store.invalidate(bytes.span)
        case 1:
          guard let last = fills.popLast() else { continue }
          store.pass(last.fill, until: morning)
        default:
          guard let last = fills.popLast() else { continue }
          store.abandon(last.fill)
        }
      }
      #expect(store.budget.storedByteCount + store.budget.fillingByteCount <= limit)
      #expect(store.budget.storedByteCount == store.listedByteCount)
    }
    for (fill, _, _) in fills { store.abandon(fill) }
    #expect(store.budget.fillingByteCount == 0)
  }

  @Test("is the same to several threads at once")
  func threads() throws {
    let limit = 1 << 20
    let store = CacheStore(CacheLimits(memoryBytes: limit))
    let most = Atomic<Int>(0)
    let wrong = Atomic<Int>(0)
    let answers = try (0..<100).map { try answer($0 * 50, key: Array("key-\($0)".utf8)) }
    onThreads(4) { number in
      var numbers = Numbers(state: UInt64(number))
      for _ in 0..<5000 {
        let place = Int(numbers.next() % 100)
        let key = Array("key-\(place)".utf8)
        if numbers.next() % 3 == 0 {
          guard let fill = store.leadIfAlone(key) else { continue }
          guard store.grow(fill, by: place * 50) else {
            store.abandon(fill)
            continue
          }
          _ = store.keep(answers[place], of: fill)
        } else if numbers.next() % 10 == 0 {
          store.invalidate(key.span)
        } else if let size = store.size("key-\(place)"), size != place * 50 {
          wrong.add(1, ordering: .relaxed)
        }
        let held = store.budget.storedByteCount + store.budget.fillingByteCount
        if held > limit { most.store(held, ordering: .relaxed) }
      }
    }
    #expect(most.load(ordering: .relaxed) == 0 && wrong.load(ordering: .relaxed) == 0)
    #expect(store.budget.storedByteCount == store.listedByteCount)
    #expect(store.budget.fillingByteCount == 0)
  }

  @Test("keeps nothing of a fill that an invalidation came between")
  func outdated() throws {
    let store = CacheStore(CacheLimits(memoryBytes: 1 << 20))
    let key = Array("a".utf8)
    let fill = try store.lead(key)
    #expect(store.grow(fill, by: 10))
    store.invalidate(key.span)
    #expect(store.keep(try answer(10, key: key), of: fill) == .outdated)
    #expect(store.size("a") == nil && store.budget.fillingByteCount == 0)
  }

  @Test("lets requests join who leads, and not wait where nothing can be kept")
  func joins() throws {
    let store = CacheStore(CacheLimits(memoryBytes: 1 << 20))
    let key = Array("a".utf8)
    let word = store.word(of: key.span)
    func begin(_ now: Moment = morning) -> CacheStart {
      store.begin(
        key.span,
        word,
        at: now,
        known: { _ in [] },
        joins: { _ in true },
        matching: { _ in true }
      )
    }
    guard case .lead(let fill) = begin(), case .join(let same) = begin() else {
      Issue.record("nobody leads, or nobody joins")
      return
    }
    #expect(fill === same)
    store.pass(fill, until: morning.advanced(byMilliseconds: 1000))
    guard case .pass = begin() else {
      Issue.record("a mark is not seen")
      return
    }
    guard case .lead(let later) = begin(morning.advanced(byMilliseconds: 1000)) else {
      Issue.record("a mark lasts longer than it should")
      return
    }
    #expect(store.keep(try answer(5, key: key), of: later) == .kept)
    guard case .answer(let kept) = begin() else {
      Issue.record("what is there is not found")
      return
    }
    #expect(kept.body.count == 5)
  }
}
