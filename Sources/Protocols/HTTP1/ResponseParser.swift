public import HTTPMessage
import MartletBytes

/// Reads the head of a response, in place, as strictly as that of a request.
///
/// One parser serves a connection: when a head is complete, also that of a 1xx, the parser stands
/// before the next one. Its errors have the status 502.
///
/// - Source: RFC 9112, sections 4 to 6.
public struct ResponseParser: Sendable {
  private let bounds: HeadBounds
  private let table = FieldNameTable.shared
  private var scanner = LineScanner()
  private var section: FieldSection
  private var isInFields = false

  /// Creates a parser that stands before the first byte of a message.
  public init(limits: HeadLimits) {
    bounds = HeadBounds(limits)
    section = FieldSection(ofResponse: true, within: bounds)
  }

  /// Forgets what was read of an incomplete message.
  public mutating func reset() {
    scanner = LineScanner()
    section.reset()
    isInFields = false
  }

  /// Reads on in `bytes`: all bytes of this message from its first one, those of the last call and
  /// what came since.
  ///
  /// `head` is made empty when a message begins, and must be the same until it is complete. Whether
  /// a 101 or a 1xx was to be expected is for the caller to judge.
  ///
  /// - Parameters:
  ///   - bytes: The bytes of the message so far; those behind the head are not looked at.
  ///   - method: The method of the request that is answered: it decides whether there is a body.
  ///   - head: Filled with what the head says.
  /// - Returns: Whether the head is complete.
  /// - Throws: ``MessageError``; where the next message would begin is not known.
  /// - Complexity: O(*n*) in the new bytes, with no allocation once `head` has room for the fields.
  public mutating func parse(
    _ bytes: Span<UInt8>,
    answering method: Method,
    into head: inout ResponseHead
  ) throws(MessageError) -> Bool {
    do throws(MessageError) {
      return try read(bytes, answering: method, into: &head)
    } catch {
      throw error.fromUpstream
    }
  }

  @inline(__always)
  private mutating func read(
    _ bytes: Span<UInt8>,
    answering method: Method,
    into head: inout ResponseHead
  ) throws(MessageError) -> Bool {
    if scanner.isFresh { head.reset() }
    while let end = try scanner.lineEnd(
      in: bytes,
      lineBytes: (bounds.lineBytes, .fieldLineTooLong),
      totalBytes: (bounds.headBytes, .headTooLarge)
    ) {
      let start = scanner.lineStart
      if !isInFields {
        try Self.statusLine(bytes, start..<end, into: &head)
        isInFields = true
      } else if start < end {
        try section.add(bytes, from: start, to: end, into: &head.fields, table: table)
      } else {
        head.byteCount = end &+ 2
        try finish(&head, bytes, answering: method)
        reset()
        return true
      }
      scanner.advance(behind: end)
    }
    return false
  }

  /// Reads `HTTP/1.1 200 OK`.
  ///
  /// Some servers leave out the reason, and some the space before it.
  private static func statusLine(
    _ bytes: Span<UInt8>,
    _ line: Range<Int>,
    into head: inout ResponseHead
  ) throws(MessageError) {
    let start = line.lowerBound
    guard line.count >= 12, bytes[start &+ 8] == 0x20 else {
      throw MessageError(.malformedStatusLine)
    }
    head.version = try RequestLine.version(bytes, in: start..<start &+ 8)
    var status: UInt16 = 0
    let digits = bytes.extracting(start &+ 9..<start &+ 12)
    for index in digits.indices {
      let digit = digits[index] &- 0x30
      guard digit < 10 else { throw MessageError(.malformedStatus) }
      status = status &* 10 &+ UInt16(digit)
    }
    guard 100...599 ~= status else { throw MessageError(.malformedStatus) }
    if line.count > 12 {
      guard bytes[start &+ 12] == 0x20 else { throw MessageError(.malformedStatus) }
      head.reason = ByteRange(start &+ 13..<line.upperBound)
    }
    head.status = status
    head.startLine = ByteRange(line)
  }

  /// Decides where the body ends, and what the connection is good for.
  ///
  /// RFC 9112, section 6.3.
  private func finish(
    _ head: inout ResponseHead,
    _ bytes: Span<UInt8>,
    answering method: Method
  ) throws(MessageError) {
    head.options = section.options
    head.keepsAlive = section.keepsAlive(head.version)
    let isChunked = section.seen.contains(.transferEncoding)
    let hasLength = section.seen.contains(.contentLength)
    if isChunked {
      guard !hasLength else { throw MessageError(.contentLengthWithTransferEncoding) }
      guard head.version == .http11 else { throw MessageError(.transferEncodingInHTTP10) }
    }
    if section.options.contains(.nominatesFields) {
      FieldSection.markNominated(bytes, in: &head.fields)
    }
    if head.status < 200 || head.status == 204 {
      // A recipient that reads a body here takes the next response for it. A length of 0 with 204
      // is common, and cannot be misread.
      let isHarmless = head.status == 204 && hasLength && section.contentLength == 0
      guard !isChunked, !hasLength || isHarmless else { throw MessageError(.framingWithoutBody) }
      return
    }
    if head.status == 304 || method == .head || (method == .connect && head.status < 300) { return }
    if isChunked {
      head.bodyLength = .chunked
    } else {
      head.bodyLength = hasLength ? .fixed(section.contentLength) : .untilClose
      if !hasLength { head.keepsAlive = false }
    }
  }
}
