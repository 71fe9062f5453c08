import Configuration
import FailurePolicies
import HTTPMessage
import MartletLoop
import MartletSystem
import MartletTelemetry
import TLS

/// What a worker tells of the exchanges that end.
extension Worker {
  /// Counts an exchange that is over, and logs it where its site wants that.
  func record(_ exchange: Exchange, _ head: borrowing Lent, of connection: HTTP1Connection) {
    if exchange.coding != nil { connection.endCoding(exchange) }
    if exchange.decoding != nil { connection.endDecoding(exchange) }
    let reason = exchange.error?.reason ?? .complete
    let total = UInt64(max(0, loop.now - exchange.startedAt))
    let listener = connection.acceptor.plan.metrics
    // The usual reason; the others are looked up.
    if reason == .complete {
      counters.add(to: generation.metrics.completed)
    } else {
      counters.add(to: generation.metrics.ended[Self.place(of: reason)])
    }
    counters.add(exchange.bytesReceived, to: listener.received)
    counters.add(exchange.bytesSent, to: listener.sent)
    counters.record(nanoseconds: total, in: listener.duration)
    // The site is looked into twice instead of held: that would be a reference to count.
    if let requests = exchange.site?.requests[exchange.status] { counters.add(to: requests) }
    guard let settings = exchange.site?.log, exchange.route?.isLogged ?? true else { return }
    guard let log = accessLog(settings, at: exchange.site?.logIndex ?? 0) else { return }
    self.log(exchange, reason, total, head, of: connection, to: log)
  }

  /// The log with these settings, which is at this place if the generation that says so is in force.
  ///
  /// - Returns: nil when a reload has taken the log away meanwhile.
  func accessLog(_ settings: AccessLogSettings, at index: Int) -> AccessLog? {
    if index < logs.count, logs[index].settings == settings { return logs[index] }
    return logs.first { $0.settings == settings }
  }

  /// The reason's place among all.
  static func place(of reason: EndReason) -> Int { places[reason] ?? 0 }
  private static let places = Dictionary(
    uniqueKeysWithValues: EndReason.allCases.enumerated().map { ($1, $0) }
  )

  private func log(
    _ exchange: Exchange,
    _ reason: EndReason,
    _ total: UInt64,
    _ head: borrowing Lent,
    of connection: HTTP1Connection,
    to log: AccessLog
  ) {
    let bytes = head.bytes
    var record = AccessRecord(time: clock.timestamp(of: exchange.startedAt))
    record.requestID = exchange.requestID(from: &random)
    let client = connection.clientAddress(of: exchange, bytes)
    if let words = client.hostWords { record.clientWords = (words.0, words.1) }
    if exchange.request.version == .http10 { record.version = "HTTP/1.0" }
    if connection.carrier != nil { record.version = "HTTP/2.0" }
    record.status = exchange.status
    record.callStatus = exchange.callStatus
    record.bytesReceived = exchange.bytesReceived &- UInt64(exchange.request.byteCount)
    record.bytesSent = exchange.bytesSent - min(exchange.bytesSent, UInt64(exchange.headBytesSent))
    record.tryCount = exchange.tryCount
    record.reusedConnection = exchange.isReused
    record.queuedNanoseconds = exchange.queuedNanoseconds
    record.end = reason
    record.nanoseconds = steps(of: exchange, total)
    var text = AccessText()
    text.method = bytes.extracting(exchange.request.methodRange.range)
    text.target = bytes.extracting(exchange.request.target.range)
    text.host = bytes.extracting(exchange.request.authority.range)
    if let line = exchange.request.first(.referer) {
      text.referer = bytes.extracting(line.valueRange.range)
    }
    if let line = exchange.request.first(.userAgent) {
      text.userAgent = bytes.extracting(line.valueRange.range)
    }
    let member = exchange.member?.name ?? ""
    let detail = exchange.error?.detail ?? ""
    text.member = member.utf8.span
    text.detail = detail.utf8.span
    let failedTries = exchange.trail.isEmpty ? "" : exchange.trail.text
    let hedge = exchange.trail.isEmpty ? "" : exchange.trail.hedge.word
    text.failedTries = failedTries.utf8.span
    text.hedge = hedge.utf8.span
    let cache = exchange.route?.cache == nil ? "" : exchange.cacheOutcome.word
    text.cache = cache.utf8.span
    let coding = exchange.coded == .identity ? "" : exchange.coded.name.description
    text.coding = coding.utf8.span
    record.plainBytes = exchange.plainBytes
    let version = connection.tls?.version ?? ""
    let cipher = connection.tls?.cipher ?? ""
    let serverName = connection.tls?.serverName ?? ""
    text.tlsVersion = version.utf8.span
    text.tlsCipher = cipher.utf8.span
    text.tlsServerName = serverName.utf8.span
    log.append(record, text, exchange.route?.labels ?? exchange.site?.labels ?? .none)
  }

  /// How long each step took that was reached.
  private func steps(of exchange: Exchange, _ total: UInt64) -> StepNanoseconds {
    var steps = StepNanoseconds()
    steps.total = total
    steps.waiting = UInt64(max(0, exchange.startedAt - exchange.restedAt))
    var before = exchange.startedAt
    func step(to moment: Int64) -> UInt64 {
      guard moment != 0 else { return 0 }
      defer { before = moment }
      return UInt64(max(0, moment - before))
    }
    steps.head = step(to: exchange.headAt)
    steps.routing = step(to: exchange.routedAt)
    steps.connecting = step(to: exchange.connectedAt)
    steps.sending = step(to: exchange.sentAt)
    steps.answering = step(to: exchange.answeredAt)
    steps.relaying = step(to: loop.now)
    return steps
  }
}
