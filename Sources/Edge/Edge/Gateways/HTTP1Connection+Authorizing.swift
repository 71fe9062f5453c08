import FailurePolicies
import GatewayProtocols
import HTTPMessage
import MartletBytes
import MartletLoop
import MartletTelemetry

/// Asking an application whether a request may pass.
///
/// It is asked with the request's own exchange, by a route that leads to it, as if there were no content. An answer
/// with another status than 200 is the client's.
///
/// - Source: FastCGI 1.0, section 6.3.
extension HTTP1Connection {
  /// Asks whether a request may pass; what it is told of the client is noted in the exchange.
  ///
  /// - Returns: Whether it may; if not, the client has its answer.
  /// - Throws: ``ExchangeError`` when nobody says so: then it may not.
  func authorize(
    _ exchange: Exchange,
    by plan: AuthorizerPlan,
    _ head: inout Lent
  ) async throws(ExchangeError) -> Bool {
    let route = exchange.route
    exchange.hand.askedBody = exchange.body
    exchange.body = MessageBody()
    let end = exchange.request.byteCount
    exchange.hand.part = MessageBody.Part(data: end..<end, end: end)
    exchange.hand.gateway = GatewayTarget(path: ScriptPath(script: [], rest: []))
    exchange.route = plan.route
    let upstream = worker.upstream(of: plan.upstream)
    if let affinity = upstream.affinity {
      affinity.recognise(exchange, head.bytes, of: self)
    }
    if let key = plan.upstream.key { exchange.hand.keyHash = hash(key, exchange, head.bytes) }
    let proxy = ReverseProxy(
      client: self,
      exchange: exchange,
      route: plan.route,
      upstream: upstream
    )
    do throws(ExchangeError) {
      try await proxy.run(head)
    } catch {
      exchange.takeBackBody()
      throw error
    }
    exchange.takeBackBody()
    guard case .granted(let grants)? = exchange.hand.diversion.take() else {
      try await discardBody(exchange, &head)
      return false
    }
    exchange.pass(with: grants, to: route)
    return true
  }
}

extension Exchange {
  /// Stands before the request's own body again, which the authorizer was not shown.
  func takeBackBody() {
    guard let asked = hand.askedBody.take() else { return }
    body = asked
  }

  /// Goes on to what answers, as if nobody had been asked.
  fileprivate func pass(with grants: [Grant], to route: Route?) {
    self.grants = grants
    self.route = route
    (member, status, tryCount) = (nil, 0, 0)
    (connectedAt, sentAt, answeredAt) = (0, 0, 0)
    trail = TryTrail()
    acquaintance = Acquaintance()
    isReused = false
    hand.clear()
    hand.part = MessageBody.Part()
    hand.keyHash = nil
  }
}
