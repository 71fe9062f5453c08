import MartletBytes

// What an authority is asked about certificates that it has given.
extension ACMECall {
  /// Where that is done, behind the path of the authority.
  public static let statusPath = "/ocsp"
  /// The media types of a question and of what is answered.
  ///
  /// RFC 6960, appendix A.
  public static let statusQuestionType = "application/ocsp-request"
  /// The media type of what is answered.
  public static let statusAnswerType = "application/ocsp-response"

  /// Whether it asks what became of certificates.
  public var asksStatus: Bool { path == Self.statusPath || path.hasPrefix(Self.statusPath + "/") }

  /// The question in DER form, as far as HTTP says it: in the body, or in the path.
  ///
  /// In the path it stands in Base64, of which whatever may not stand in a path is written as `%2B`, or is not.
  ///
  /// - Throws: ``ACMEProblem``: the method or the media type is another one, or the path is not in form.
  /// - Source: RFC 6960, appendix A.1.
  public func statusQuestion() throws(ACMEProblem) -> [UInt8] {
    switch method {
    case "POST" where path == Self.statusPath || path == Self.statusPath + "/":
      guard contentType.lowercased() == Self.statusQuestionType else {
        throw ACMEProblem(415, "malformed", "a question is \(Self.statusQuestionType)")
      }
      return body
    case "GET", "HEAD":
      let text = path.dropFirst(Self.statusPath.count + 1)
      guard let plain = Self.withoutPercents(Array(text.utf8)),
        let question = Base64.decoded(plain.span), !question.isEmpty
      else { throw ACMEProblem(400, "malformed", "there is no question in the path") }
      return question
    default: throw ACMEProblem(405, "malformed", "questions are asked with GET or POST")
    }
  }

  /// The bytes of a path with those put in their place that are written as numbers; nil: it is not in form.
  private static func withoutPercents(_ path: [UInt8]) -> [UInt8]? {
    var plain: [UInt8] = []
    var index = 0
    while index < path.count {
      guard path[index] == 0x25 else {
        plain.append(path[index])
        index += 1
        continue
      }
      guard index + 2 < path.count, let high = hexDigit(path[index + 1]),
        let low = hexDigit(path[index + 2])
      else { return nil }
      plain.append(high << 4 | low)
      index += 3
    }
    return plain
  }
}
