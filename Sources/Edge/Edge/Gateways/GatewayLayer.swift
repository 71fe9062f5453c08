import GatewayProtocols
import HTTPMessage
import MartletBytes
import MartletLoop
import MartletNet
import MartletTelemetry

/// What stands between a connection to an application and whoever speaks HTTP/1.1 over it.
///
/// The request up to its content is sent as it is, for it was written in the application's form; its content is
/// put into records, where the protocol has such. What comes is read as HTTP/1.1.
final class GatewayLayer: TranslatingLayer {
  private unowned let worker: Worker
  private let member: Member
  private let plan: MemberGatewayPlan
  private var answer: GatewayAnswer
  /// What is still to come of the request's content.
  private var contentLeft: UInt64 = 0
  /// What is still to come of the file that the application filters; nil: it does not.
  private var dataLeft: UInt64?
  private var requestID = RequestID(high: 0, low: 0)
  /// What the application says besides, up to where a line has not ended.
  private var lines = PrintedLines(byteLimit: 2048)
  /// What was wrong with the answer.
  private(set) var fault: GatewayFault?

  init(
    of stream: MartletNet.Stream,
    to member: Member,
    by plan: MemberGatewayPlan,
    _ worker: Worker
  ) {
    self.worker = worker
    self.member = member
    self.plan = plan
    answer = GatewayAnswer(
      plan.form,
      keepsConnection: plan.keepsConnections,
      headByteLimit: ReverseProxy.responseLimits.headBytes
    )
    super.init(of: stream, on: worker.loop)
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
    sendPlainly(plan.form == .fastCGI ? count : .max)
    (contentLeft, dataLeft) = (content, data)
    requestID = id
    answer.begin(isHead: isHead)
  }

  /// The place of this host that is to answer in the member's place.
  var localTarget: [UInt8]? { answer.localTarget }

  /// Whether it can carry another request.
  var isReady: Bool {
    guard fault == nil, answer.hasEnded, !answer.hasOutput else { return false }
    return isBetweenFrames && contentLeft == 0 && dataLeft ?? 0 == 0
  }

  override func frame(of count: Int) -> Frame {
    // Records of 64 KB less eight bytes keep what follows them aligned.
    var piece = min(count, FastCGIRecord.contentByteLimit - 7)
    var (header, tail): ([UInt8], [UInt8]) = ([], [])
    if contentLeft == 0, let left = dataLeft, left > 0 {
      piece = Int(min(UInt64(piece), left))
      dataLeft = left - UInt64(piece)
      Self.record(of: piece, .data).append(to: &header)
    } else {
      // A file follows the content, and is none of it.
      if dataLeft != nil { piece = Int(min(UInt64(piece), max(1, contentLeft))) }
      contentLeft -= min(contentLeft, UInt64(piece))
      Self.record(of: piece).append(to: &header)
      if contentLeft == 0 { Self.record(of: 0).append(to: &tail) }
    }
    if contentLeft == 0, dataLeft == 0 { Self.record(of: 0, .data).append(to: &tail) }
    return Frame(header: header, contentCount: piece, tail: tail)
  }

  /// The record that goes before content, or before a file.
  static func record(
    of count: Int,
    _ kind: FastCGIRecord.Kind = .standardInput
  ) -> FastCGIRecord {
    FastCGIRecord(
      kind,
      request: GatewayRequest.requestNumber,
      contentCount: count
    )
  }

  override func take(_ bytes: Span<UInt8>) -> Bool {
    do throws(GatewayFault) {
      try answer.receive(bytes)
    } catch {
      fault = error
      worker.counters.add(to: plan.metrics[error])
    }
    if let said = answer.takeSaid() { lines.receive(said.span, note) }
    if answer.hasEnded { lines.end(note) }
    return fault == nil
  }

  override func takeEnd() {
    answer.receiveEnd()
    lines.end(note)
  }

  override var hasOutput: Bool { answer.hasOutput }

  override func give(upTo limit: Int, _ take: (Span<UInt8>) -> Void) -> Int {
    answer.read(upTo: limit, take)
  }

  // MARK: What applications say besides

  private func note(_ line: [UInt8]) {
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
  /// The failure of a try, as the layer of its connection knows it better.
  func explained(by layer: GatewayLayer?) -> ExchangeError {
    guard let fault = layer?.fault, isOfUpstream || reason == .internalError else { return self }
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
