import Cache
import HTTPCaching
import HTTPMessage
import MartletBytes
import MartletLoop

/// Requests that change something make what is kept for their target invalid.
extension HTTP1Connection {
  /// Forgets what the answer to a request makes invalid, before its client can know of it: for good, so that it
  /// does not come back when the process is killed.
  ///
  /// - Source: RFC 9111, section 4.4.
  func invalidate(
    _ exchange: Exchange,
    _ cache: RouteCache,
    _ answer: borrowing Lent,
    _ head: borrowing Lent
  ) async {
    if forget(exchange, cache, answer.bytes, head.bytes) { await settle(cache) }
  }

  /// Waits until nothing that was forgotten comes back when the process is killed: before anybody has the answer that
  /// says what has changed.
  func settle(_ cache: RouteCache) async {
    // Where the disk cannot note it, this is said elsewhere.
    if let disk = cache.plan.store.disk, disk.isChanging { _ = await disk.settle(on: loop) }
  }

  /// Has requests wait for each other again when the answer to one that did not could be kept: the next one is.
  func endPass(
    _ exchange: Exchange,
    _ cache: RouteCache,
    _ answer: Span<UInt8>,
    _ head: Span<UInt8>
  ) {
    let store = cache.plan.store
    guard exchange.request.method == .get, exchange.response.status != 206,
      let length = exchange.response.knownLength, store.mayHold(length)
    else { return }
    let now = moment
    let storing = cache.policy.storing(
      exchange.response,
      in: answer,
      for: CacheRequest(exchange.request, in: head, by: cache.policy),
      requestTime: now,
      responseTime: now,
      timeOfDay: worker.timeOfDay
    )
    guard case .store = storing, let key = cacheKey(exchange, cache, head) else { return }
    store.endPass(key.bytes)
  }

  /// - Returns: Whether something was to be forgotten.
  private func forget(
    _ exchange: Exchange,
    _ cache: RouteCache,
    _ answer: Span<UInt8>,
    _ head: Span<UInt8>
  ) -> Bool {
    guard Invalidation.isDue(exchange.request.method, status: exchange.response.status),
      let key = targetKey(exchange, cache, head)
    else { return false }
    let store = cache.plan.store
    store.invalidate(key.bytes)
    store.invalidateBodies(of: key.bytes)
    let targets = Invalidation.targets(
      of: exchange.response,
      in: answer,
      to: exchange.request,
      in: head,
      scheme: tls == nil && preface?.isEncrypted != true ? .http : .https
    )
    // The same origin, so that what stands before the path is the same.
    let request = exchange.request
    let query =
      cache.keyRule.map { keyText($0, request, head).count }
      ?? (request.hasQuery ? request.query.range.count + 1 : 0)
    let prefix = key.count - query - max(1, exchange.request.path.range.count)
    for target in targets {
      let other = Array(copying: key.bytes.extracting(0..<prefix)) + target
      store.invalidate(other.span)
      store.invalidateBodies(of: other.span)
    }
    return true
  }
}
