import HTTP1
import HTTPMessage
import MartletBytes

/// Reads what an authority answers over HTTP/1.1.
///
/// - Source: RFC 9112.
public struct ACMEAnswerReader: Sendable {
  /// Where in the answer the next byte stands.
  private enum State: Sendable {
    case head
    case fixed(remaining: UInt64)
    case chunked(ChunkedDecoder)
    case untilClose
    case over
  }

  private static let limits = HeadLimits()

  private let method: Method
  private let now: Int64
  private var state = State.head
  private var parser = ResponseParser(limits: Self.limits)
  private var head = ResponseHead()
  private var held: [UInt8] = []
  private var answer = ACMEAnswer(status: 0)

  /// Creates a reader that stands before the first byte of the answer to a request.
  ///
  /// - Parameters:
  ///   - method: That of the request.
  ///   - now: The time, in seconds since 1970, for dates in the answer.
  public init(_ method: ACMERequest.Method, now: Int64) {
    self.method = Method(Array(method.rawValue.utf8).span)
    self.now = now
  }

  /// Takes bytes that came.
  ///
  /// - Returns: The answer once it is whole, or nil when more bytes are needed.
  /// - Throws: ``ACMEFailure``: it is not in form, or too long.
  public mutating func receive(_ bytes: Span<UInt8>) throws(ACMEFailure) -> ACMEAnswer? {
    for index in bytes.indices { held.append(bytes[index]) }
    do throws(MessageError) {
      while case .head = state {
        let text = held
        guard try parser.parse(text.span, answering: method, into: &head) else { return nil }
        held.removeFirst(head.byteCount)
        if head.isInformational { continue }
        readFields(text.span)
        beginBody()
      }
      try readBody()
    } catch {
      throw ACMEFailure(.malformed, "the answer is not in form: \(error.reason.rawValue)")
    }
    guard answer.body.count <= ACMELimits.answerBytes else {
      throw ACMEFailure(.malformed, "the answer is longer than \(ACMELimits.answerBytes) bytes")
    }
    if case .over = state { return answer }
    return nil
  }

  /// Says that the connection has ended.
  ///
  /// - Throws: ``ACMEFailure``: the answer is not whole.
  public mutating func end() throws(ACMEFailure) -> ACMEAnswer {
    if case .untilClose = state { return answer }
    throw ACMEFailure(.unreachable, "the connection ended within the answer")
  }

  private mutating func readFields(_ text: Span<UInt8>) {
    answer.status = Int(head.status)
    answer.nonce = field("replay-nonce", text)
    answer.location = field("location", text)
    if let value = field("retry-after", text) { answer.retryAfter = seconds(value) }
  }

  private func field(_ name: String, _ text: Span<UInt8>) -> String? {
    let name = Array(name.utf8)
    guard let line = head.field(named: name.span, in: text) else { return nil }
    let value = text.extracting(line.valueRange.range)
    guard value.count <= ACMELimits.urlBytes else { return nil }
    var bytes: [UInt8] = []
    for index in value.indices { bytes.append(value[index]) }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// RFC 9110, section 10.2.3: a number, or a date.
  private func seconds(_ text: String) -> Int? {
    if let number = Int(text), number >= 0 { return ACMELimits.restSeconds.clamp(number) }
    let bytes = Array(text.utf8)
    guard let date = HTTPDate(bytes.span, now: HTTPDate(secondsSince1970: now)) else { return nil }
    return ACMELimits.restSeconds.clamp(Int(clamping: date.secondsSince1970 - now))
  }

  private mutating func beginBody() {
    switch head.bodyLength {
    case .none: state = .over
    case .fixed(let length): state = .fixed(remaining: length)
    case .chunked: state = .chunked(ChunkedDecoder(limits: Self.limits))
    case .untilClose: state = .untilClose
    }
  }

  private mutating func readBody() throws(MessageError) {
    switch state {
    case .head, .over: return
    case .fixed(let remaining):
      let count = Int(min(remaining, UInt64(held.count)))
      answer.body += held.prefix(count)
      held.removeFirst(count)
      state = remaining == UInt64(count) ? .over : .fixed(remaining: remaining - UInt64(count))
    case .untilClose:
      answer.body += held
      held = []
    case .chunked(var decoder):
      let bytes = held
      var offset = 0
      reading: while true {
        switch try decoder.next(in: bytes.span, at: &offset) {
        case .needBytes: break reading
        case .data(let range): answer.body += bytes[range]
        case .trailer: continue
        case .end:
          state = .over
          return
        }
      }
      held = Array(bytes[offset...])
      state = .chunked(decoder)
    }
  }
}
