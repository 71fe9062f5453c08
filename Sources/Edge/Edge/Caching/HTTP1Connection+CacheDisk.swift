import Cache
import HTTPCaching
import MartletLoop
import MartletTelemetry

/// Answers that are on a disk and not in memory.
///
/// Who leads a fill looks there before the upstream is asked: those who wait for it are sent what is found, so
/// that it is read once, and it is in memory afterwards if it deserves that.
extension HTTP1Connection {
  /// What is done by the one who leads a fill.
  enum DiskOutcome {
    /// This is sent; the fill is over, or goes on behind that.
    case send(CachedAnswer, CacheOutcome, CacheStatus)
    /// The upstream is asked, perhaps about this.
    case ask(CacheStatus, validating: CachedAnswer?)
    /// It is asked for these bytes, which this lacks.
    case complete(CachedAnswer, missing: Range<Int64>)
  }

  /// How many answers are read at most until one is for the request.
  private static let readsOfDisk = 3
  /// By how many milliseconds the clocks of two processes may differ.
  private static let clockTolerance: Int64 = 2000

  /// Whether what memory lacks is looked for on the disk.
  func mayLookOnDisk(_ cause: FillCause, _ cache: RouteCache) -> Bool {
    guard cache.plan.store.disk != nil else { return false }
    return cause.reason == .uriMiss || cause.completing?.parts?.isOfDisk == false
  }

  /// Whether there may be something on the disk.
  func mayBeOnDisk(_ exchange: Exchange, _ cache: RouteCache, _ head: Span<UInt8>) -> Bool {
    guard let disk = cache.plan.store.disk, let key = cacheKey(exchange, cache, head) else {
      return false
    }
    return !disk.places(of: key.bytes).isEmpty
  }

  /// Looks on the disk for what a fill is to receive, of which there is nothing in memory, or the parts `known`.
  func lookOnDisk(
    _ fill: Fill,
    _ known: CachedAnswer?,
    _ exchange: Exchange,
    _ cache: RouteCache,
    _ request: CacheRequest,
    _ head: borrowing Lent
  ) async throws(ExchangeError) -> DiskOutcome {
    let store = cache.plan.store
    let found = await readFromDisk(fill, known, exchange, cache, head)
    if let found {
      let now = moment
      var answer = found.answer
      // The clock was set back since then: how old it is nobody knows.
      if answer.terms.responseTime > now.advanced(byMilliseconds: Self.clockTolerance) {
        answer = answer.with(terms: answer.terms.expired(at: now))
      }
      var status = CacheStatus(hitWithTimeToLive: answer.terms.timeToLive(at: now))
      status.detail = "disk"
      let reuse = answer.terms.reuse(for: request, at: now)
      switch reuse {
      case .fresh, .stale:
        if case .bytes(let missing)? = lacks(answer, exchange, request, head.bytes) {
          store.shrink(fill)
          guard !request.directives.isOnlyIfCached else { break }
          return .complete(answer, missing: missing)
        }
        store.restore(answer === found.answer ? found : DiskFinding(answer: answer), of: fill)
        return .send(answer, reuse == .fresh ? .hit : .stale, status)
      case .staleWhileRevalidating:
        store.shrink(fill)
        startFill(fill, exchange, cache, head.bytes, FillCause(.stale, validating: answer))
        return .send(answer, .stale, status)
      case .validate(let reason):
        store.shrink(fill)
        return .ask(CacheStatus(reason), validating: answer)
      case .fetch(let reason):
        store.shrink(fill)
        return .ask(CacheStatus(reason), validating: nil)
      case .timeout: store.shrink(fill)
      }
    }
    if request.directives.isOnlyIfCached {
      let failure = ExchangeError(.notKept)
      store.abandon(fill)
      fill.end(.failed(failure))
      throw failure
    }
    return .ask(CacheStatus(.uriMiss), validating: nil)
  }

  /// The answer on the disk that is for a request, with its bytes lent to the fill.
  private func readFromDisk(
    _ fill: Fill,
    _ known: CachedAnswer?,
    _ exchange: Exchange,
    _ cache: RouteCache,
    _ head: borrowing Lent
  ) async -> DiskFinding? {
    let store = cache.plan.store
    guard let disk = store.disk else { return nil }
    let key = fill.key
    var places = disk.places(of: key.span)
    for _ in 0..<Self.readsOfDisk {
      guard let place = places.first else { return nil }
      places.removeFirst()
      // What memory has no room for is sent from the disk.
      let limit = store.grow(fill, by: place.length) ? Int.max : 0
      let found = await disk.load(place, key: key, upTo: limit, on: loop)
      if let found, isFor(found.answer, exchange, head.bytes) {
        guard found.answer.parts != nil else { return found }
        store.shrink(fill)
        let parts = await disk.gather(found.answer, places, key: key, on: loop)
        // What is in memory is newer, and may not be on the disk yet.
        guard let known else { return DiskFinding(answer: parts) }
        return parts.joined(with: known).map { DiskFinding(answer: $0) }
      }
      store.shrink(fill)
      if let vary = found?.answer.vary {
        // What one answer depends on, the others most often do too.
        let wanted = disk.variantWord(vary, variant(of: vary, exchange, head.bytes))
        places = places.filter { $0.variant == wanted }
      }
    }
    return nil
  }
}
