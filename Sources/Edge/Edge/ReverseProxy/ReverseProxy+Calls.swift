import GRPC
import HTTPMessage
import MartletBytes
import MartletLoop

/// What is different for calls of gRPC, which reach members that speak HTTP/2 alone.
extension ReverseProxy {
  /// Sets when the exchange is to be over: when the route says, or the client, if it calls.
  @inline(__always)
  func setTotal(_ head: borrowing Lent) {
    exchange.hand.total = loop.deadline(after: route.timeouts.total)
    if upstream.plan.speaksHTTP2 { setCallLimit(head.bytes) }
  }

  @inline(never)
  private func setCallLimit(_ head: Span<UInt8>) {
    exchange.hand.callEnd = 0
    exchange.hand.isCall = client.isCall(exchange, head)
    exchange.hand.browser = exchange.hand.isCall ? client.browserCall(exchange, head) : nil
    guard exchange.hand.isCall, let line = exchange.request.first(.grpcTimeout),
      let time = CallTimeout(head.extracting(line.valueRange.range))
    else { return }
    // Nobody waits for longer than a year, and no time at all is a very short one.
    let nanoseconds = max(1, min(time.nanoseconds, Self.longestCall))
    let limit = loop.deadline(after: Timeout(.nanoseconds(nanoseconds)))
    exchange.hand.callEnd = loop.now + nanoseconds
    exchange.hand.total = exchange.hand.total.earlier(limit)
  }

  private static let longestCall: Int64 = 365 * 86_400 * 1_000_000_000

  /// Notes what the answer means whose head is complete, where rules about answers judge by that: a
  /// call that has failed before its answer began says so in its head, with the status 200.
  @inline(__always)
  func noteJudgement(_ answer: borrowing Lent) {
    if upstream.plan.speaksHTTP2 { judge(answer.bytes) }
  }

  @inline(never)
  private func judge(_ answer: Span<UInt8>) {
    exchange.hand.judgedStatus = exchange.response.status
    guard let line = exchange.response.first(.grpcStatus),
      let status = CallStatus(answer.extracting(line.valueRange.range)), status != .ok
    else { return }
    exchange.hand.judgedStatus = status.http
  }

  /// The status by which rules about answers judge.
  var judgedStatus: UInt16 {
    upstream.plan.speaksHTTP2 ? exchange.hand.judgedStatus : exchange.response.status
  }
}
