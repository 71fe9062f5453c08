import HTTP1
import HTTPMessage
import MartletBytes

/// Reads what an authority answers over HTTP/1.1.
///
/// - Source: RFC 9112.
public struct ACMEAnswerReader: Sendable {
  private let now: Int64
  private var reader: ResponseReader
  private var body: [UInt8] = []

  /// Creates a reader that stands before the first byte of the answer to a request.
  ///
  /// - Parameters:
  ///   - method: That of the request.
  ///   - now: The time, in seconds since 1970, for dates in the answer.
  public init(_ method: ACMERequest.Method, now: Int64) {
    reader = ResponseReader(answering: method.rawValue)
    self.now = now
  }

  /// Takes bytes that came.
  ///
  /// - Returns: The answer once it is whole, or nil when more bytes are needed.
  /// - Throws: ``ACMEFailure``: it is not in form, or too long.
  public mutating func receive(_ bytes: Span<UInt8>) throws(ACMEFailure) -> ACMEAnswer? {
    do throws(MessageError) {
      body += try reader.take(Array(copying: bytes))
    } catch {
      throw ACMEFailure(.malformed, "the answer is not in form: \(error.reason.rawValue)")
    }
    guard body.count <= ACMELimits.answerBytes else {
      throw ACMEFailure(.malformed, "the answer is longer than \(ACMELimits.answerBytes) bytes")
    }
    return reader.isWhole ? answer : nil
  }

  /// Says that the connection has ended.
  ///
  /// - Throws: ``ACMEFailure``: the answer is not whole.
  public mutating func end() throws(ACMEFailure) -> ACMEAnswer {
    if !reader.isWhole, reader.end() { return answer }
    throw ACMEFailure(.unreachable, "the connection ended within the answer")
  }

  private var answer: ACMEAnswer {
    var answer = ACMEAnswer(status: Int(reader.head.status))
    answer.nonce = field("replay-nonce")
    answer.location = field("location")
    answer.retryAfter = field("retry-after").flatMap { seconds($0) }
    answer.body = body
    return answer
  }

  /// A value that is longer than a URL may be is none.
  private func field(_ name: String) -> String? {
    guard let value = reader.field(name, limit: ACMELimits.urlBytes + 1),
      value.utf8.count <= ACMELimits.urlBytes
    else { return nil }
    return value
  }

  /// RFC 9110, section 10.2.3: a number, or a date.
  private func seconds(_ text: String) -> Int? {
    if let number = Int(text), number >= 0 { return ACMELimits.restSeconds.clamp(number) }
    let bytes = Array(text.utf8)
    guard let date = HTTPDate(bytes.span, now: HTTPDate(secondsSince1970: now)) else { return nil }
    return ACMELimits.restSeconds.clamp(Int(clamping: date.secondsSince1970 - now))
  }
}
