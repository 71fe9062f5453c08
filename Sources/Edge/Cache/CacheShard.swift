import HTTPCaching
import MartletBytes
import Synchronization

/// One part of a store, behind a lock of its own.
final class CacheShard: Sendable {
  let state: Mutex<ShardState>

  init(variantCount: Int) { state = Mutex(ShardState(variantCount: variantCount)) }
}

/// What a shard knows: resources by their keys, what is kept of each, and in which order that makes room.
struct ShardState: Sendable {
  /// What is kept for a resource and one kind of requests.
  enum Content: Sendable {
    case answer(CachedAnswer)
    /// Nothing is to be kept until this moment: requests need not wait for each other.
    case pass(until: Moment)
  }

  struct Entry: Sendable {
    var content: Content
    var resource: Int
    var byteCount: Int
    /// The last purge that it was looked at for.
    var seen: UInt64 = 0
    /// Whose bytes it takes besides those of the store.
    var quota: CacheQuota?
  }

  struct Resource: Sendable {
    let key: [UInt8]
    let word: UInt64
    /// The next resource with the same word; -1: none.
    var next = -1
    /// What is kept, the newest first.
    var entries: [Int] = []
    /// What is being received.
    var fills: [Fill] = []
    /// What its answers depend on, as far as is known.
    var vary: VaryRule?
  }

  private let variantCount: Int
  /// The first resource of each word.
  private var firsts: [UInt64: Int] = [:]
  private var resources = Slots(blank: Resource(key: [], word: 0))
  private var entries = Slots(
    blank: Entry(content: .pass(until: Moment(milliseconds: 0)), resource: 0, byteCount: 0)
  )
  private(set) var order = EvictionOrder()
  /// The order among the answers of each quota.
  private var quotaOrders: [ObjectIdentifier: EvictionOrder] = [:]
  private var sketch = FrequencySketch(keyCount: 64)

  /// What a mark takes besides its key.
  static let markBytes = 320

  init(variantCount: Int) { self.variantCount = variantCount }

  // MARK: Finding

  /// How often a key was asked for lately.
  func frequency(of word: UInt64) -> Int { sketch.frequency(of: word) }

  /// Counts that a key was asked for.
  mutating func count(_ word: UInt64) { sketch.add(word) }

  /// The place of a resource.
  func place(of key: Span<UInt8>, _ word: UInt64) -> Int? {
    guard var place = firsts[word] else { return nil }
    while place >= 0 {
      let own = resources[place].key
      if own.span.isEqual(to: key) { return place }
      place = resources[place].next
    }
    return nil
  }

  /// The place of the resource that a fill is for.
  func place(of fill: Fill) -> Int? {
    let key = fill.key
    return place(of: key.span, fill.word)
  }

  /// The first thing kept for a resource that `matching` takes; an answer is used by that.
  ///
  /// What was purged meanwhile is forgotten: `freed` counts its bytes.
  mutating func find(
    at place: Int,
    _ now: Moment,
    _ purges: PurgeLog,
    freed: inout Int,
    _ matching: (CachedAnswer) -> Bool
  ) -> CacheFinding {
    let number = purges.number
    for entry in resources[place].entries {
      if entries[entry].seen < number, isGone(entry, purges, number) {
        freed += remove(entry)
        continue
      }
      switch entries[entry].content {
      case .pass(let until):
        if now < until { return .pass }
      case .answer(let answer):
        guard answer.isUsable else {
          freed += remove(entry)
          continue
        }
        if matching(answer) {
          use(entry)
          return .answer(answer)
        }
      }
    }
    return resources[place].entries.isEmpty ? .nothing : .otherVariants
  }

  /// Looks at an entry for the purges up to `number` that it was not looked at for.
  ///
  /// - Returns: Whether it is to be forgotten.
  private mutating func isGone(_ entry: Int, _ purges: PurgeLog, _ number: UInt64) -> Bool {
    guard case .answer(let answer) = entries[entry].content else { return false }
    let seen = entries[entry].seen
    entries[entry].seen = number
    let key = resources[entries[entry].resource].key
    switch purges.judge(key.span.extracting(CacheKey.url(in: key)), answer.tags, since: seen) {
    case .kept: return false
    case .gone: return true
    case .stale(let moment):
      entries[entry].content = .answer(answer.with(terms: answer.terms.expired(at: moment)))
      return false
    }
  }

  /// Looks at the entries of some resources, from the one at `start` on, for purges up to `number`.
  ///
  /// - Returns: Where to go on, nil behind the last one, and the bytes of what was forgotten.
  mutating func sweep(
    from start: Int,
    count: Int,
    _ purges: PurgeLog,
    _ number: UInt64
  ) -> (next: Int?, freed: Int) {
    var freed = 0
    let end = min(start + count, resources.endIndex)
    for place in start..<end where resources.isUsed(place) {
      for entry in resources[place].entries where entries[entry].seen < number {
        if isGone(entry, purges, number) { freed += remove(entry) }
      }
      tidy(place)
    }
    return (end < resources.endIndex ? end : nil, freed)
  }

  /// The resource of a key, made if there is none.
  mutating func makePlace(of key: Span<UInt8>, _ word: UInt64) -> Int {
    if let place = place(of: key, word) { return place }
    let next = firsts[word] ?? -1
    let place = resources.insert(Resource(key: Array(copying: key), word: word, next: next))
    firsts[word] = place
    return place
  }

  // MARK: Fills

  func fills(at place: Int) -> [Fill] { resources[place].fills }

  func vary(at place: Int) -> VaryRule? { resources[place].vary }

  mutating func add(_ fill: Fill, at place: Int) { resources[place].fills.append(fill) }

  mutating func note(_ vary: VaryRule?, at place: Int) { resources[place].vary = vary }

  /// The answer that is kept for a resource and one kind of requests.
  func answer(at place: Int, _ vary: VaryRule?, _ variant: [UInt8]) -> CachedAnswer? {
    for entry in resources[place].entries {
      guard case .answer(let answer) = entries[entry].content else { continue }
      if answer.vary == vary, answer.variant == variant { return answer }
    }
    return nil
  }

  /// Takes a fill out.
  ///
  /// - Returns: The place of its resource; nil when it was taken out before.
  mutating func take(_ fill: Fill) -> Int? {
    guard let place = place(of: fill),
      let index = resources[place].fills.firstIndex(where: { $0 === fill })
    else { return nil }
    resources[place].fills.remove(at: index)
    return place
  }

  // MARK: Keeping

  /// Keeps something as the newest of a resource.
  ///
  /// - Returns: The bytes of what had to go for it, for a resource has a limited number.
  mutating func insert(
    _ content: Content,
    byteCount: Int,
    at place: Int,
    seen: UInt64,
    quota: CacheQuota? = nil
  ) -> Int {
    var freed = 0
    while resources[place].entries.count >= variantCount, let last = resources[place].entries.last {
      freed += remove(last)
    }
    let entry = entries.insert(
      Entry(content: content, resource: place, byteCount: byteCount, seen: seen, quota: quota)
    )
    resources[place].entries.insert(entry, at: 0)
    list(entry)
    if order.count > sketch.keyCount { sketch.grow(toKeyCount: order.count * 2) }
    return freed
  }

  /// Puts an answer in the place of another one.
  ///
  /// - Returns: The bytes of the other one; nil when it is no longer there.
  mutating func replace(
    _ old: CachedAnswer,
    with new: CachedAnswer,
    at place: Int,
    seen: UInt64,
    quota newQuota: CacheQuota? = nil
  ) -> Int? {
    for entry in resources[place].entries {
      guard case .answer(let answer) = entries[entry].content, answer === old else { continue }
      let freed = entries[entry].byteCount
      let quota = entries[entry].quota
      unlist(entry)
      quota?.free(freed)
      entries[entry] = Entry(
        content: .answer(new),
        resource: place,
        byteCount: new.byteCount,
        seen: seen,
        quota: newQuota
      )
      list(entry)
      use(entry)
      return freed
    }
    return nil
  }

  /// Removes what the answer takes the place of: the same variant, and all marks.
  ///
  /// - Returns: The bytes of that, and whether an answer was among it.
  mutating func makeWay(for answer: CachedAnswer?, at place: Int) -> (bytes: Int, isUpdate: Bool) {
    var freed = 0
    var isUpdate = false
    for entry in resources[place].entries {
      switch entries[entry].content {
      case .pass: freed += remove(entry)
      case .answer(let other):
        guard let answer, other.isSameVariant(as: answer) else { continue }
        isUpdate = true
        freed += remove(entry)
      }
    }
    return (freed, isUpdate)
  }

  /// Removes everything that is kept of a resource, and what is being received for it is not kept.
  mutating func clear(_ place: Int) -> (bytes: Int, count: Int) {
    var freed = 0
    let gone = resources[place].entries
    resources[place].fills = []
    for entry in gone { freed += remove(entry) }
    return (freed, gone.count)
  }

  /// Lets what is kept of a resource be stale from now on, and what is being received for it not be kept.
  mutating func expire(_ place: Int, at now: Moment) -> Int {
    resources[place].fills = []
    for entry in resources[place].entries {
      guard case .answer(let answer) = entries[entry].content else { continue }
      entries[entry].content = .answer(answer.with(terms: answer.terms.expired(at: now)))
    }
    return resources[place].entries.count
  }

  private mutating func remove(_ entry: Int) -> Int {
    if entries.isUsed(entry) { unlist(entry) }
    guard let gone = entries.remove(entry) else { return 0 }
    gone.quota?.free(gone.byteCount)
    if let index = resources[gone.resource].entries.firstIndex(of: entry) {
      resources[gone.resource].entries.remove(at: index)
    }
    return gone.byteCount
  }

  /// Takes an entry into the orders by which things make room.
  private mutating func list(_ entry: Int) {
    let count = entries[entry].byteCount
    order.insert(entry, byteCount: count)
    guard let quota = entries[entry].quota else { return }
    quotaOrders[ObjectIdentifier(quota), default: EvictionOrder()].insert(entry, byteCount: count)
  }

  private mutating func unlist(_ entry: Int) {
    order.remove(entry)
    guard let quota = entries[entry].quota.map({ ObjectIdentifier($0) }) else { return }
    quotaOrders[quota]?.remove(entry)
    if quotaOrders[quota]?.count == 0 { quotaOrders[quota] = nil }
  }

  private mutating func use(_ entry: Int) {
    order.use(entry)
    guard let quota = entries[entry].quota else { return }
    quotaOrders[ObjectIdentifier(quota)]?.use(entry)
  }

  /// Forgets a resource of which there is nothing.
  mutating func tidy(_ place: Int) {
    guard resources[place].entries.isEmpty, resources[place].fills.isEmpty,
      let gone = resources.remove(place)
    else { return }
    guard var before = firsts[gone.word] else { return }
    if before == place {
      firsts[gone.word] = gone.next < 0 ? nil : gone.next
      return
    }
    while resources[before].next != place { before = resources[before].next }
    resources[before].next = gone.next
  }

  // MARK: Making room

  /// What came of making room.
  enum Room: Sendable {
    /// So many bytes of so many things were freed: fewer than wanted where there are many small ones.
    case freed(Int, count: Int)
    /// What would have to go is asked for more often.
    case refused
    /// There is nothing.
    case empty
  }

  /// Removes what is the first to go until `bytes` are free, unless it is asked for more often, all together,
  /// than `word`; with nil it goes in any case.
  ///
  /// `beaten` is how often that was asked for which went before for the same thing; with a `quota` what takes of it
  /// goes alone. What goes is offered to `disk`.
  mutating func makeRoom(
    _ bytes: Int,
    for word: UInt64?,
    in quota: CacheQuota? = nil,
    beaten: inout Int,
    _ disk: (store: DiskStore, purges: PurgeLog)? = nil
  ) -> Room {
    let key = quota.map { ObjectIdentifier($0) }
    guard var victim = key.map({ quotaOrders[$0]?.victim }) ?? order.victim else { return .empty }
    let own = word.map { sketch.frequency(of: $0) }
    var chosen: [Int] = []
    var sum = 0
    while true {
      chosen.append(victim)
      sum += entries[victim].byteCount
      if let own {
        beaten += weight(of: victim)
        if beaten >= own { return .refused }
      }
      guard sum < bytes, chosen.count < Self.victimsAtOnce,
        let next = key.map({ quotaOrders[$0]?.victim(after: victim) })
          ?? order.victim(after: victim)
      else { break }
      victim = next
    }
    for entry in chosen {
      let place = entries[entry].resource
      if let disk { offer(entry, disk.store, disk.purges) }
      _ = remove(entry)
      tidy(place)
    }
    return .freed(sum, count: chosen.count)
  }

  /// Has an answer that makes room written to the disk, if it is not there.
  private mutating func offer(_ entry: Int, _ disk: DiskStore, _ purges: PurgeLog) {
    let number = purges.number
    if entries[entry].seen < number, isGone(entry, purges, number) { return }
    guard case .answer(let answer) = entries[entry].content, answer.parts == nil,
      answer.body.disk == nil
    else { return }
    let key = resources[entries[entry].resource].key
    disk.offer(key, answer, number: entries[entry].seen, again: true)
  }

  /// How many things go at most while the lock is held.
  private static let victimsAtOnce = 64

  /// How often something kept was asked for; a mark is worth nothing.
  private func weight(of entry: Int) -> Int {
    guard case .answer = entries[entry].content else { return 0 }
    return sketch.frequency(of: resources[entries[entry].resource].word)
  }

  // MARK: All of it

  /// Calls `body` with every answer that is kept, its key, and how often that was asked for.
  func forEach(_ body: (_ key: [UInt8], CachedAnswer, _ frequency: Int) -> Void) {
    for place in resources.indices {
      for entry in resources[place].entries {
        guard case .answer(let answer) = entries[entry].content else { continue }
        body(resources[place].key, answer, sketch.frequency(of: resources[place].word))
      }
    }
  }
}

/// Values at places that stay theirs, and are used again when they are gone.
struct Slots<Value: Sendable>: Sendable {
  private struct Slot: Sendable {
    var value: Value
    var isUsed: Bool
  }

  private var storage: [Slot] = []
  private var free: [Int] = []
  /// What stands where nothing is.
  private let blank: Value

  init(blank: Value) { self.blank = blank }

  /// The place behind the last one.
  var endIndex: Int { storage.count }

  /// Whether something is at a place.
  func isUsed(_ place: Int) -> Bool { storage[place].isUsed }

  /// The places where something is.
  var indices: [Int] { storage.indices.filter { storage[$0].isUsed } }

  mutating func insert(_ value: Value) -> Int {
    if let place = free.popLast() {
      storage[place] = Slot(value: value, isUsed: true)
      return place
    }
    storage.append(Slot(value: value, isUsed: true))
    return storage.count - 1
  }

  mutating func remove(_ place: Int) -> Value? {
    guard storage[place].isUsed else { return nil }
    let value = storage[place].value
    storage[place] = Slot(value: blank, isUsed: false)
    free.append(place)
    return value
  }

  subscript(place: Int) -> Value {
    // In place: what is looked at is not copied.
    _read { yield storage[place].value }
    _modify { yield &storage[place].value }
  }
}

extension Span where Element == UInt8 {
  func isEqual(to other: Span<UInt8>) -> Bool {
    guard count == other.count else { return false }
    for index in indices where self[index] != other[index] { return false }
    return true
  }
}
