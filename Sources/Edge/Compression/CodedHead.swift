public import HTTPMessage
import MartletBytes

/// The head of an answer whose body was put into a coding, or taken out of one.
///
/// A strong tag names one row of bytes, and these are others: it becomes weak, which says that both mean the same
/// (RFC 9110, section 8.8.1). Digests of the old bytes go, and so does the offer of parts, for these would be
/// parts of what is made anew each time.
public enum CodedHead {
  /// Appends the lines of a head for a verdict, each with its CRLF, without the empty one behind them.
  ///
  /// What becomes of the body's length is not in it: ``CodingVerdict/encode(_:)`` and
  /// ``CodingVerdict/decode(_:)`` leave out `Content-Length` and `Transfer-Encoding`.
  public static func append(
    _ response: ResponseHead,
    in bytes: Span<UInt8>,
    _ verdict: CodingVerdict,
    dependsOnDictionary: Bool = false,
    to head: inout [UInt8]
  ) {
    let changesBody: Bool
    var removesCoding = false
    switch verdict {
    case .leave, .vary, .confirm: changesBody = false
    case .encode: changesBody = true
    case .decode: (changesBody, removesCoding) = (true, true)
    }
    head.append(copying: bytes.extracting(response.startLine.range))
    head += lineEnd
    for line in response.fields {
      switch line.name {
      case .contentLength where changesBody: continue
      case .transferEncoding where changesBody: continue
      case .acceptRanges where changesBody: continue
      case .contentEncoding where removesCoding: continue
      case .other where changesBody && isDigest(bytes.extracting(line.nameRange.range)): continue
      case .eTag where changesBody || verdict == .confirm:
        appendWeak(line, in: bytes, to: &head)
      default: head.append(copying: bytes.extracting(line.lineRange.range))
      }
    }
    if case .encode(let coding) = verdict {
      head += contentEncoding
      head += coding.name.description.utf8
      head += lineEnd
    }
    if verdict != .leave {
      head += missingVary(response, in: bytes, dependsOnDictionary: dependsOnDictionary)
    }
  }

  /// The line that is missing for an answer to say that it depends on what codings the client takes, and on which
  /// dictionary it has; empty: it says so.
  ///
  /// - Source: RFC 9842, section 6.2.
  public static func missingVary(
    _ response: ResponseHead,
    in bytes: Span<UInt8>,
    dependsOnDictionary: Bool = false
  ) -> [UInt8] {
    func says(_ name: [UInt8]) -> Bool {
      CompressionRules.hasDirective(name, .vary, response.fields, in: bytes)
    }
    guard !says([0x2A]) else { return [] }
    let namesDictionary = !dependsOnDictionary || says(availableDictionary)
    switch (says(acceptEncoding), namesDictionary) {
    case (true, true): return []
    case (false, true): return vary
    case (true, false): return varyByDictionary
    case (false, false): return varyByBoth
    }
  }

  /// Takes the lines out of trailers that tell the digest of the old bytes; each line has its CRLF.
  public static func trailers(_ lines: [UInt8]) -> [UInt8] {
    guard !lines.isEmpty else { return lines }
    var kept: [UInt8] = []
    for line in lines.split(separator: 0x0A) {
      let name = Array(line.prefix { $0 != 0x3A })
      if !isDigest(name.span) { kept += line + [0x0A] }
    }
    return kept
  }

  private static func appendWeak(_ line: FieldLine, in bytes: Span<UInt8>, to head: inout [UInt8]) {
    let value = line.valueRange.range
    if !value.isEmpty, bytes[value.lowerBound] == 0x22 {
      head.append(copying: bytes.extracting(line.lineRange.lowerBound..<value.lowerBound))
      head += [0x57, 0x2F]
      head.append(copying: bytes.extracting(value.lowerBound..<Int(line.lineEnd)))
    } else {
      head.append(copying: bytes.extracting(line.lineRange.range))
    }
  }

  /// Whether a field of this name is about the bytes of a body in their coding.
  public static func isDigest(_ name: Span<UInt8>) -> Bool {
    for known in digests where equalIgnoringCase(name, known.span) { return true }
    return false
  }

  // RFC 9530, RFC 3230, RFC 2616: each is about the bytes in their coding.
  private static let digests = ["content-digest", "repr-digest", "digest", "content-md5"]
    .map { Array($0.utf8) }
  private static let contentEncoding = Array("Content-Encoding: ".utf8)
  private static let acceptEncoding = Array("accept-encoding".utf8)
  private static let availableDictionary = Array("available-dictionary".utf8)
  private static let vary = Array("Vary: Accept-Encoding\r\n".utf8)
  private static let varyByDictionary = Array("Vary: Available-Dictionary\r\n".utf8)
  private static let varyByBoth = Array("Vary: Accept-Encoding, Available-Dictionary\r\n".utf8)
  private static let lineEnd: [UInt8] = [0x0D, 0x0A]
}
