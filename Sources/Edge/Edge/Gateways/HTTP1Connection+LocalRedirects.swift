import HTTP1
import HTTPMessage
import MartletBytes
import MartletLoop
import MartletTelemetry

/// Answers of applications that name another place of this host, which answers then as if the client had asked for
/// it.
///
/// - Source: RFC 3875, section 6.2.2.
extension HTTP1Connection {
  /// Does what members have said in the place of answering.
  func followDiversions(_ exchange: Exchange, _ head: inout Lent) async throws(ExchangeError) {
    var count = 0
    while let diversion = exchange.hand.diversion.take() {
      switch diversion {
      // Only who asks an authorizer is told so.
      case .granted: throw ExchangeError(.internalError)
      case .file(let file): try await answerFile(exchange, named: file, head)
      case .place(let target):
        count += 1
        guard count <= Self.localRedirectLimit else {
          throw ExchangeError(.upstreamMalformed, detail: "local_redirects")
        }
        try turn(exchange, to: target, &head)
        try await handle(exchange, &head)
      }
    }
  }

  /// How often one request may be led to another place.
  private static let localRedirectLimit = 5

  /// Puts the request for another place into the place of an exchange's own.
  private func turn(
    _ exchange: Exchange,
    to target: [UInt8],
    _ head: inout Lent
  ) throws(ExchangeError) {
    var other = try request(for: target, in: exchange, head.bytes)
    swap(&other, &head)
    // What came behind the client's request is the next one.
    if exchange.body.hasEnded, !exchange.closesClient, carried == nil,
      other.count > exchange.requestEnd
    {
      other.removeFirst(exchange.requestEnd)
      carried = consume other
    }
    if !exchange.body.hasEnded { exchange.leavesBody = true }
    exchange.turn()
    var parser = acceptor.plan.parser
    do throws(MessageError) {
      guard try parser.parse(head.bytes, into: &exchange.request) else {
        throw MessageError(.malformedRequestLine)
      }
    } catch {
      throw ExchangeError(.upstreamMalformed, detail: "local_redirect_\(error.reason.rawValue)")
    }
  }

  /// The client's request as if it had asked for this path and query, and had no content.
  private func request(
    for target: [UInt8],
    in exchange: Exchange,
    _ head: Span<UInt8>
  ) throws(ExchangeError) -> Lent {
    let request = exchange.request
    let isLarge = request.byteCount + target.count > BufferSize.head.bytes - 256
    var out = loop.lend(isLarge ? .body : .head)
    try out.put(request.method == .head ? "HEAD " : "GET ")
    try out.put(target)
    try out.put(request.version == .http10 ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n")
    if request.version != .http10 || !request.authority.isEmpty {
      try out.put("Host: ")
      try out.put(head.extracting(request.authority.range))
      try out.put("\r\n")
    }
    for line in request.fields where !line.isHopByHop {
      switch line.name {
      case .host, .contentLength, .contentType, .contentEncoding, .expect: continue
      default: try out.put(head.extracting(line.lineRange.range))
      }
    }
    if exchange.closesClient {
      try out.put("Connection: close\r\n")
    } else if request.version == .http10 {
      try out.put("Connection: keep-alive\r\n")
    }
    try out.put("\r\n")
    return out
  }
}

extension Exchange {
  /// Forgets what belongs to the request that another one has taken the place of.
  fileprivate func turn() {
    leaveLimits()
    request.reset()
    (site, route, member) = (nil, nil, nil)
    body = MessageBody()
    status = 0
    isGathered = false
    acquaintance = Acquaintance()
    (coding, decoding) = (nil, nil)
    (session, sessionLine, grants) = (nil, [], nil)
    hand.clear()
    hand.part = MessageBody.Part()
    hand.keyHash = nil
  }
}
