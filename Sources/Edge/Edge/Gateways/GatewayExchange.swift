import GatewayProtocols
import HTTPMessage
import MartletBytes
import MartletLoop
import MartletNet
import MartletTelemetry

/// What is under way with an application, one request after the other: the frames of what is sent to it, and
/// its answer as HTTP/1.1 would have sent it.
final class GatewayExchange {
  private unowned let worker: Worker
  private let member: Member
  private let plan: MemberGatewayPlan
  /// The number of the request on its connection.
  var number = GatewayRequest.requestNumber
  /// Whether the application is to keep the connection when it has answered.
  let keepsConnection: Bool
  /// What frames what is sent where the connection is its own; nil: others share it.
  unowned var layer: GatewayLayer?
  var answer: GatewayAnswer
  /// How many bytes of the request are to be sent as they are.
  private(set) var plainCount = 0
  /// What is still to come of the request's content.
  private var contentLeft: UInt64 = 0
  /// What is still to come of the file that the application filters; nil: it does not.
  private var dataLeft: UInt64?
  private var requestID = RequestID(high: 0, low: 0)
  /// What the application says besides, up to where a line has not ended.
  private var lines = PrintedLines(byteLimit: 2048)
  /// What was wrong with the answer.
  private(set) var fault: GatewayFault?
  /// Whether its client has held up others.
  private(set) var wasGivenUp = false

  init(with member: Member, by plan: MemberGatewayPlan, keepsConnection: Bool, _ worker: Worker) {
    self.worker = worker
    self.member = member
    self.plan = plan
    self.keepsConnection = keepsConnection
    answer = GatewayAnswer(
      plan.form,
      keepsConnection: keepsConnection,
      headByteLimit: ReverseProxy.responseLimits.headBytes
    )
  }

  /// Makes it ready for a request of which `count` bytes are sent as they are, and `content` behind them.
  ///
  /// With `data` so many bytes of a file follow the content.
  func begin(
    plain count: Int,
    content: UInt64,
    data: UInt64?,
    isHead: Bool,
    _ id: RequestID
  ) {
    plainCount = plan.form == .fastCGI ? count : .max
    layer?.sendPlainly(plainCount)
    (contentLeft, dataLeft) = (content, data)
    requestID = id
    (fault, wasGivenUp) = (nil, false)
    answer.begin(isHead: isHead)
  }

  /// The place of this host that is to answer in the member's place.
  var localTarget: [UInt8]? { answer.localTarget }

  /// Whether another request can follow.
  var isReady: Bool {
    guard fault == nil, answer.hasEnded, !answer.hasOutput else { return false }
    return layer?.isBetweenFrames ?? true && isSent
  }

  /// Whether nothing of the request is still to be framed.
  var isSent: Bool { contentLeft == 0 && dataLeft ?? 0 == 0 }

  // MARK: The request

  /// What goes around the next piece of `count` bytes of content, or of the file.
  func frame(of count: Int) -> TranslatingLayer.Frame {
    // Records of 64 KB less eight bytes keep what follows them aligned.
    var piece = min(count, FastCGIRecord.contentByteLimit - 7)
    var (header, tail): ([UInt8], [UInt8]) = ([], [])
    if contentLeft == 0, let left = dataLeft, left > 0 {
      piece = Int(min(UInt64(piece), left))
      dataLeft = left - UInt64(piece)
      record(of: piece, .data).append(to: &header)
    } else {
      // A file follows the content, and is none of it.
      if dataLeft != nil { piece = Int(min(UInt64(piece), max(1, contentLeft))) }
      contentLeft -= min(contentLeft, UInt64(piece))
      record(of: piece).append(to: &header)
      if contentLeft == 0 { record(of: 0).append(to: &tail) }
    }
    if contentLeft == 0, dataLeft == 0 { record(of: 0, .data).append(to: &tail) }
    return TranslatingLayer.Frame(header: header, contentCount: piece, tail: tail)
  }

  /// The record that goes before content, or before a file.
  func record(of count: Int, _ kind: FastCGIRecord.Kind = .standardInput) -> FastCGIRecord {
    FastCGIRecord(kind, request: number, contentCount: count)
  }

  // MARK: The answer

  /// Takes what has come on a connection of its own.
  ///
  /// - Returns: False when it is no answer.
  func take(_ bytes: Span<UInt8>) -> Bool {
    do throws(GatewayFault) {
      try answer.receive(bytes)
    } catch {
      note(error)
    }
    noteSaid()
    return fault == nil
  }

  /// Takes what has come for it on a connection that others share.
  ///
  /// - Returns: False when it is no answer.
  func take(_ event: FastCGIDecoder.Event, of bytes: Span<UInt8>) -> Bool {
    do throws(GatewayFault) {
      try answer.receive(event, of: bytes)
    } catch {
      note(error)
    }
    noteSaid()
    return fault == nil
  }

  /// Has what has come ready to be read, unless it is no answer.
  func settle() { if fault == nil, !wasGivenUp { answer.settle() } }

  /// Gives the answer up, whose client takes it so slowly that others are held up.
  func giveUp() {
    wasGivenUp = true
    answer.discard()
  }

  /// Takes the end of the connection.
  func takeEnd() {
    answer.receiveEnd()
    lines.end(log)
  }

  /// Notes what is wrong with the answer, or with the connection on which it was to come.
  func note(_ fault: GatewayFault) {
    self.fault = fault
    worker.counters.add(to: plan.metrics[fault])
  }

  // MARK: What applications say besides

  private func noteSaid() {
    if let said = answer.takeSaid() { lines.receive(said.span, log) }
    if answer.hasEnded { lines.end(log) }
  }

  private func log(_ line: [UInt8]) {
    guard !line.isEmpty else { return }
    worker.counters.add(to: plan.metrics.lines)
    worker.board.log.note(
      .warning,
      "an application says",
      [
        LogLine.Field("member", member.name),
        LogLine.Field("request_id", requestID.text),
        LogLine.Field("said", String(decoding: line, as: UTF8.self)),
      ]
    )
  }
}

extension ExchangeError {
  /// The failure of a try, as what is under way with the application knows it better.
  func explained(by exchange: GatewayExchange?) -> ExchangeError {
    if exchange?.wasGivenUp == true, isOfUpstream {
      return ExchangeError(.clientTooSlow, detail: "others of its connection were held up")
    }
    guard let fault = exchange?.fault, isOfUpstream || reason == .internalError else { return self }
    var error = self
    error.detail = fault.rawValue
    switch (fault, reason) {
    case (.refused, _): error = ExchangeError(.upstreamReset, retry: .always, detail: error.detail)
    case (_, .upstreamCut): break
    default: error = ExchangeError(.upstreamMalformed, detail: error.detail)
    }
    return error
  }
}
