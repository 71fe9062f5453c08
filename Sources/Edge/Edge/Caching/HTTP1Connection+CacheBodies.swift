import Cache
import HTTPCaching
import HTTPMessage
import MartletBytes
import MartletLoop
import TLS

/// Requests whose body tells which answer is theirs: QUERY, and POST where the route says so.
extension HTTP1Connection {
  /// How long what a body stands for is: see ``Hand/bodyKey``.
  static let bodyKeyCount = 34

  /// Receives the body of a request, and notes what it stands for in a key.
  ///
  /// Nothing is noted for one that is too long, or that cannot be passed on as it is: what was received of it is
  /// in hand then, and the rest is still to come.
  func keyByBody(
    _ exchange: Exchange,
    _ route: Route,
    _ cache: RouteCache,
    _ head: inout Lent
  ) async throws(ExchangeError) {
    let limit = cache.bodyLimit
    if exchange.body.fixedRemaining > UInt64(limit) { return }
    // A member that cannot read the coding gets the body without it, which is made while it is passed on.
    if route.decompression != nil, exchange.request.first(.contentEncoding) != nil { return }
    let replay = Replay(limit: limit + BufferSize.body.bytes)
    let rest = try await takeBody(exchange, &head) { (bytes: Span<UInt8>) in
      replay.keep(bytes)
      return replay.bytes.count <= limit
    }
    exchange.hand.replay = replay
    guard exchange.body.hasEnded else {
      if let rest { replay.keepRest(rest) }
      return
    }
    guard replay.bytes.count <= limit, let key = targetKey(exchange, cache, head.bytes) else {
      return
    }
    exchange.hand.bodyKey = bodyKey(
      of: exchange.request,
      in: head.bytes,
      replay.bytes,
      epoch: cache.plan.store.bodyEpoch(of: key.bytes)
    )
  }

  /// What a body stands for: a line feed, which no URL and no value has, the method, and a digest of the body with
  /// the fields that say what it is.
  ///
  /// Who could find two bodies for one digest could have the answer to one of them sent for the other: so it is
  /// one for which nobody can.
  private func bodyKey(
    of request: RequestHead,
    in head: Span<UInt8>,
    _ body: [UInt8],
    epoch: UInt64
  ) -> [UInt8] {
    var text: [UInt8] = []
    text.reserveCapacity(body.count + 256)
    for shift in stride(from: 0, to: 64, by: 8) {
      text.append(UInt8(truncatingIfNeeded: epoch >> UInt64(shift)))
    }
    for name in [FieldName.contentType, .contentEncoding, .contentLanguage] {
      for line in request.fields where line.name == name {
        text.append(copying: head.extracting(line.valueRange.range))
        text.append(0x2C)
      }
      // No value has a line feed.
      text.append(0x0A)
    }
    text += body
    do throws(TLSError) {
      let digest = try TLSDigest.sha256(text)
      return [0x0A, request.method == .query ? 0x51 : 0x50] + digest
    } catch {
      return []
    }
  }
}
