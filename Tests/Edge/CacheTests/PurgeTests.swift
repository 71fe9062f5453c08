import Cache
import HTTPCaching
import MartletBytes
import Testing

@Suite("Purges")
struct PurgeTests {
  /// A store with an answer for each URL, which has the tags behind it.
  private func store(_ objects: [(url: String, tags: [String])]) throws -> CacheStore {
    let store = CacheStore(CacheLimits(memoryBytes: 1 << 24))
    for (url, tags) in objects { try put(url, tags, in: store) }
    return store
  }

  private func put(_ url: String, _ tags: [String] = [], in store: CacheStore) throws {
    let key = key(url)
    let fill = try store.lead(key)
    try keep(fill, key, tags, in: store)
  }

  private func keep(
    _ fill: Fill,
    _ key: [UInt8],
    _ tags: [String] = [],
    in store: CacheStore
  ) throws {
    let plain = try answer(10, key: key)
    let tagged = CachedAnswer(
      terms: plain.terms,
      head: plain.head,
      body: plain.body,
      tags: tags.map { tag in
        let bytes = Array(tag.utf8)
        return store.tagWord(of: bytes.span)
      },
      keyCount: key.count
    )
    #expect(store.grow(fill, by: 10) && store.keep(tagged, of: fill) == .kept)
  }

  private func key(_ url: String) -> [UInt8] {
    [UInt8](repeating: 1, count: CacheKey.spaceCount) + Array(url.utf8)
  }

  /// What is there for a URL; nil: nothing.
  private func terms(_ url: String, in store: CacheStore) -> StoredTerms? {
    let key = key(url)
    let found = store.find(key.span, store.word(of: key.span), at: morning) { _ in true }
    if case .answer(let answer) = found { return answer.terms }
    return nil
  }

  static let all = ["http://a/", "http://a/x", "http://a/x/y.html", "http://b/x", "http://b/z"]

  @Test(
    "take what they mean, and nothing else",
    arguments: [
      (PurgeTarget.url(Array("http://a/x".utf8)), ["http://a/x"]),
      (.prefix(Array("http://a/x".utf8)), ["http://a/x", "http://a/x/y.html"]),
      (.prefix(Array("http://b/".utf8)), ["http://b/x", "http://b/z"]),
      (.pattern(Array("*/x".utf8)), ["http://a/x", "http://b/x"]),
      (.pattern(Array("http://*.html".utf8)), ["http://a/x/y.html"]),
      (.pattern(Array("http://a/*/*.h*l".utf8)), ["http://a/x/y.html"]),
      (.tag(Array("even".utf8)), ["http://a/", "http://a/x/y.html", "http://b/z"]),
      (.tag(Array("none".utf8)), []),
      (.everything, all),
    ]
  )
  func targets(target: PurgeTarget, gone: [String]) throws {
    let objects = Self.all.enumerated().map { ($1, $0 % 2 == 0 ? ["even", "a"] : ["odd", "a"]) }
    let store = try store(objects)
    store.purge(target, softly: nil)
    #expect(Self.all.filter { terms($0, in: store) == nil } == gone)
    // What comes after a purge is not meant by it.
    for url in gone { try put(url, ["even"], in: store) }
    #expect(Self.all.allSatisfy { terms($0, in: store) != nil })
    #expect(store.budget.storedByteCount == store.listedByteCount)
  }

  @Test("that are soft let answers be stale, from when they were purged")
  func soft() throws {
    let store = try store([("http://a/", ["t"]), ("http://b/", [])])
    store.purge(.tag(Array("t".utf8)), softly: morning.advanced(byMilliseconds: 1000))
    let later = morning.advanced(byMilliseconds: 2000)
    let stale = try #require(terms("http://a/", in: store))
    #expect(!stale.isFresh(at: later) && stale.timeToLive(at: later) == -1)
    #expect(try #require(terms("http://b/", in: store)).isFresh(at: later))
  }

  @Test("take what was being received meanwhile")
  func meanwhile() throws {
    let store = try store([])
    let key = key("http://a/")
    let fill = try store.lead(key)
    store.purge(.prefix(Array("http://a".utf8)), softly: nil)
    try keep(fill, key, in: store)
    #expect(terms("http://a/", in: store) == nil)
  }

  @Test("give the bytes back though nobody asks, and are forgotten then")
  func sweeps() throws {
    let store = try store((0..<500).map { ("http://a/\($0)", ["t\($0 % 2)"]) })
    let before = store.budget.storedByteCount
    store.purge(.tag(Array("t0".utf8)), softly: nil)
    #expect(store.budget.storedByteCount == before)
    for _ in 0..<40 { store.sweep() }
    #expect(store.count == 250 && store.budget.storedByteCount < before * 6 / 10)
    #expect(store.budget.storedByteCount == store.listedByteCount)
  }

  @Test("can be any number")
  func many() throws {
    let store = try store([("http://a/", []), ("http://b/", [])])
    for number in 0..<5000 {
      store.purge(.url(Array("http://c/\(number)".utf8)), softly: nil)
    }
    #expect(terms("http://a/", in: store) != nil)
    store.purge(.url(Array("http://a/".utf8)), softly: nil)
    #expect(terms("http://a/", in: store) == nil && terms("http://b/", in: store) != nil)
  }
}
