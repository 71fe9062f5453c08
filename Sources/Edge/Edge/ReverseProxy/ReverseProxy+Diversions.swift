import HTTPMessage
import MartletBytes
import MartletLoop
import MartletTelemetry

/// Answers of members that are not passed on: they name what answers in their place.
extension ReverseProxy {
  /// Whether an answer whose head has been read can need more than to be passed on; then a coroutine does it.
  @inline(never)
  func isSpecial(answerFrom connection: UpstreamConnection) -> Bool {
    if route.sessions != nil || route.gateway?.passed != nil { return true }
    if route.namedFiles != nil, exchange.response.status == 200 { return true }
    return connection.gateway?.localTarget != nil
  }

  /// Does what an answer says of the client's session, and takes it aside where it names what answers in its place.
  ///
  /// - Returns: Whether nothing of it is passed on; what is to be done is in hand then.
  /// - Throws: ``EndReason/sessionFailed``.
  @inline(never)
  func settles(
    _ answer: borrowing Lent,
    from source: borrowing AnswerSource
  ) async throws(ExchangeError) -> Bool {
    if route.sessions != nil { try await client.settleSession(exchange, answer.bytes) }
    if let passed = route.gateway?.passed {
      guard exchange.response.status == 200 else {
        // This is the client's answer, and its request may still have a body.
        exchange.takeBackBody()
        client.closeUnlessBodyIsShort(exchange)
        return false
      }
      exchange.hand.diversion = .granted(grants(of: passed, in: answer.bytes))
    } else if let target = source.connection.gateway?.localTarget, !client.isFilling {
      if let metrics = upstream.plan.gateway?.metrics {
        client.worker.counters.add(to: metrics.redirects)
      }
      exchange.hand.diversion = .place(target)
    } else if let file = try namedFile(answer) {
      exchange.hand.diversion = .file(file)
    } else {
      return false
    }
    if !exchange.body.hasEnded { exchange.closesClient = true }
    // Read to its end, if that is here: the connection can carry another request then.
    var rest = loop.lend(.body)
    _ = completes(&rest, with: answer, from: source)
    return true
  }

  /// What an authorizer's answer says of the client.
  private func grants(of passed: [PassedVariable], in answer: Span<UInt8>) -> [Grant] {
    var grants: [Grant] = []
    for variable in passed {
      let name = variable.answered
      guard let line = exchange.response.field(named: name.span, in: answer) else { continue }
      let value = Array(copying: answer.extracting(line.valueRange.range))
      grants.append(Grant(passed: variable, value: value))
    }
    return grants
  }

  /// The file that an answer names, with what is sent of the answer.
  private func namedFile(_ answer: borrowing Lent) throws(ExchangeError) -> NamedFile? {
    let bytes = answer.bytes
    guard let plan = route.namedFiles, exchange.response.status == 200 else { return nil }
    let name = plan.field
    guard let line = exchange.response.field(named: name.span, in: bytes) else { return nil }
    var file = NamedFile(
      plan: plan,
      value: Array(copying: bytes.extracting(line.valueRange.range))
    )
    for line in exchange.response.fields where !route.response.dropped.contains(line, in: bytes) {
      file.take(line, in: bytes)
    }
    var added = loop.lend(.head)
    if let affinity = upstream.affinity { try affinity.tell(exchange, bytes, client, into: &added) }
    if let via = exchange.site?.via, !via.isEmpty {
      try added.put("Via: 1.1 ")
      try added.put(via)
      try added.put("\r\n")
    }
    file.lines.append(copying: added.bytes)
    return file
  }
}
