import Cache
import MartletTelemetry

/// What is counted of a cache.
struct CacheMetrics: Sendable {
  /// By the order of ``CacheOutcome``.
  private let outcomes: [Counter]
  /// Bytes of bodies that were sent out of it.
  let sent: Counter

  init(_ name: String, _ layout: inout MetricLayout.Builder) {
    outcomes = layout.counters(
      EdgeMetrics.cacheRequests,
      [name],
      each: CacheOutcome.allCases.map(\.word)
    )
    sent = layout.counter(EdgeMetrics.cacheSentBytes, [name])
  }

  subscript(outcome: CacheOutcome) -> Counter { outcomes[outcome.rawValue] }
}

extension Board {
  /// Appends what caches show beside their counters.
  static func appendCaches(_ generation: Generation, to text: inout PrometheusText) {
    let caches = generation.caches
    guard !caches.isEmpty else { return }
    func append(_ family: MetricFamily, _ value: (CacheStore) -> Double) {
      text.append(family, caches.map { MetricSample([$0.name], value($0.store)) })
    }
    append(EdgeMetrics.cacheObjects) { Double($0.count) }
    append(EdgeMetrics.cacheBytes) { Double($0.budget.storedByteCount) }
    append(EdgeMetrics.cacheFillingBytes) { Double($0.budget.fillingByteCount) }
    append(EdgeMetrics.cacheLimit) { Double($0.budget.limit) }
    append(EdgeMetrics.cacheEvictions) { Double($0.evictionCount) }
    append(EdgeMetrics.cacheRefusals) { Double($0.refusalCount) }
    appendDisks(caches, to: &text)
  }

  private static func appendDisks(_ caches: [CachePlan], to text: inout PrometheusText) {
    let disks = caches.compactMap { cache in cache.store.disk.map { (cache.name, $0.figures) } }
    guard !disks.isEmpty else { return }
    func append(_ family: MetricFamily, _ value: (DiskFigures) -> Double) {
      text.append(family, disks.map { MetricSample([$0.0], value($0.1)) })
    }
    append(EdgeMetrics.diskUsable) { $0.phase == .open ? 1 : 0 }
    append(EdgeMetrics.diskObjects) { Double($0.objectCount) }
    append(EdgeMetrics.diskBytes) { Double($0.byteCount) }
    append(EdgeMetrics.diskHits) { Double($0.hitCount) }
    append(EdgeMetrics.diskEvictions) { Double($0.evictionCount) }
    func append(_ family: MetricFamily, _ values: [(String, (DiskFigures) -> UInt64)]) {
      let samples = disks.flatMap { disk in
        values.map { MetricSample([disk.0, $0.0], Double($0.1(disk.1))) }
      }
      text.append(family, samples)
    }
    append(EdgeMetrics.diskWrites, [("written", \.writtenCount), ("dropped", \.droppedCount)])
    append(EdgeMetrics.diskFaults, [("damaged", \.damagedCount), ("failed", \.failureCount)])
  }

  /// Writes the caches of a status.
  static func writeCaches(
    _ generation: Generation,
    _ tables: [CounterTable],
    _ json: inout JSONWriter
  ) {
    guard !generation.caches.isEmpty else { return }
    json.array("caches") { json in
      for cache in generation.caches {
        json.object { json in
          json.member("name", cache.name)
          json.member("objects", cache.store.count)
          json.member("bytes", cache.store.budget.storedByteCount)
          json.member("filling_bytes", cache.store.budget.fillingByteCount)
          json.member("limit", cache.store.budget.limit)
          json.member("evictions", cache.store.evictionCount)
          json.member("refusals", cache.store.refusalCount)
          if let disk = cache.store.disk?.figures {
            json.object("disk") { json in
              json.member("state", disk.phase.rawValue)
              json.member("objects", disk.objectCount)
              json.member("bytes", disk.byteCount)
              json.member("limit", disk.limit)
              json.member("hits", disk.hitCount)
              json.member("writes", disk.writtenCount)
              json.member("dropped", disk.droppedCount)
              json.member("evictions", disk.evictionCount)
              json.member("damaged", disk.damagedCount)
              json.member("failures", disk.failureCount)
            }
          }
          for outcome in CacheOutcome.allCases {
            json.member(outcome.word, tables.value(of: cache.metrics[outcome]))
          }
        }
      }
    }
  }
}
