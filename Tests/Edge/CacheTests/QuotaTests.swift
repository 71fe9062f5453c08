import Cache
import Testing

@Suite("Quotas of a store")
struct QuotaTests {
  @Test("bound what some answers take, which make room for each other alone")
  func bounds() throws {
    let store = CacheStore(CacheLimits(memoryBytes: 4 << 20))
    let quota = CacheQuota(limit: 100_000)
    for number in 0..<100 { try store.put("free-\(number)", 1000) }
    for number in 0..<1000 {
      _ = store.size("bound-\(number)")
      try store.put("bound-\(number)", 1000, quota: quota)
      #expect(quota.byteCount <= quota.limit)
    }
    #expect(quota.byteCount > 90_000 && store.evictionCount + store.refusalCount > 800)
    #expect((0..<100).allSatisfy { store.size("free-\($0)") == 1000 })
    #expect((0..<1000).count { store.size("bound-\($0)") != nil } > 50)
    #expect(store.listedByteCount == store.budget.storedByteCount)
  }

  @Test("keep what is asked for often, and nothing that is larger than they are")
  func admission() throws {
    let store = CacheStore(CacheLimits(memoryBytes: 4 << 20))
    let quota = CacheQuota(limit: 100_000)
    #expect(try store.put("large", 100_001, quota: quota) == .tooLarge)
    for number in 0..<30 {
      for _ in 0..<6 { _ = store.size("often-\(number)") }
      #expect(try store.put("often-\(number)", 2000, quota: quota) == .kept)
    }
    for number in 0..<300 {
      _ = store.size("once-\(number)")
      try store.put("once-\(number)", 2000, quota: quota)
    }
    #expect((0..<30).count { store.size("often-\($0)") != nil } >= 28)
    #expect(store.refusalCount > 200)
  }

  @Test("get back what goes, however it does", arguments: 0..<8)
  func model(seed: UInt64) throws {
    var numbers = Numbers(state: seed)
    let store = CacheStore(CacheLimits(memoryBytes: 1 << 20, variantCount: 2))
    let quotas = [CacheQuota(limit: 200_000), CacheQuota(limit: 900_000)]
    for _ in 0..<3000 {
      let key = "key-\(Int.random(in: 0..<400, using: &numbers))"
      let quota = [nil, quotas[0], quotas[1]].randomElement(using: &numbers) ?? nil
      switch Int.random(in: 0..<8, using: &numbers) {
      case 0: store.invalidate(Array(key.utf8).span)
      case 1: _ = store.size(key)
      case 2:
        let fill = try store.lead(Array(key.utf8), quota: quota)
        store.abandon(fill)
      default:
        let size = Int.random(in: 0..<20_000, using: &numbers)
        let variant = ["", "x", "y", "z"].randomElement(using: &numbers) ?? ""
        try store.put(key, size, variant: variant, quota: quota)
      }
      #expect(quotas.allSatisfy { $0.byteCount <= $0.limit })
    }
    #expect(store.budget.storedByteCount == store.listedByteCount)
    #expect(store.budget.storedByteCount <= 1 << 20)
    for number in 0..<400 { store.invalidate(Array("key-\(number)".utf8).span) }
    #expect(store.budget.storedByteCount == 0 && quotas.allSatisfy { $0.byteCount == 0 })
  }
}
