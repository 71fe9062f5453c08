import Cache
import HTTPCaching
import HTTPMessage
import MartletBytes
import MartletLoop

/// Requests that change something make what is kept for their target invalid.
extension HTTP1Connection {
  /// Forgets what the answer to a request makes invalid, before its client can know of it.
  ///
  /// - Source: RFC 9111, section 4.4.
  func invalidate(
    _ exchange: Exchange,
    _ cache: RouteCache,
    _ answer: Span<UInt8>,
    _ head: Span<UInt8>
  ) {
    guard Invalidation.isDue(exchange.request.method, status: exchange.response.status),
      let key = targetKey(exchange, cache, head)
    else { return }
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
  }
}
