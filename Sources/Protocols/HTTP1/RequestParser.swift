public import HTTPMessage
import MartletBytes

/// Reads the head of a request, in place.
///
/// One parser serves a connection: when a head is complete the parser stands before the next one.
///
/// - Source: RFC 9112, sections 2 to 6.
public struct RequestParser: Sendable {
  private let bounds: HeadBounds
  private let table = FieldNameTable.shared
  private var scanner = LineScanner()
  private var section: FieldSection
  private var emptyLines = 0
  private var isInFields = false

  /// Creates a parser that stands before the first byte of a message.
  public init(limits: HeadLimits) {
    bounds = HeadBounds(limits)
    section = FieldSection(ofResponse: false, within: bounds)
  }

  /// Forgets what was read of an incomplete message.
  public mutating func reset() {
    scanner = LineScanner()
    section.reset()
    emptyLines = 0
    isInFields = false
  }

  /// Reads on in `bytes`: all bytes of this message from its first one, those of the last call and
  /// what came since.
  ///
  /// `head` is made empty when a message begins, and must be the same until it is complete. Bytes
  /// behind the head are not looked at. A head that comes byte by byte costs no second look at
  /// what was searched before.
  ///
  /// - Returns: Whether the head is complete: then `head` is filled, and the parser stands before
  ///   the next message.
  /// - Throws: ``MessageError``; there is nothing left to do but to answer and to close.
  /// - Complexity: O(*n*) in the new bytes, with no allocation once `head` has room for the fields.
  public mutating func parse(
    _ bytes: Span<UInt8>,
    into head: inout RequestHead
  ) throws(MessageError) -> Bool {
    if scanner.isFresh { head.reset() }
    if !isInFields {
      guard try startLine(bytes, into: &head) else { return false }
    }
    while let end = try scanner.lineEnd(
      in: bytes,
      lineBytes: (bounds.lineBytes, .fieldLineTooLong),
      totalBytes: (bounds.headBytes, .headTooLarge)
    ) {
      let start = scanner.lineStart
      guard start < end else {
        try finish(&head, bytes, end: end)
        reset()
        return true
      }
      try section.add(bytes, from: start, to: end, into: &head.fields, table: table)
      scanner.advance(behind: end)
    }
    return false
  }

  /// Reads the request line and the empty lines before it.
  private mutating func startLine(
    _ bytes: Span<UInt8>,
    into head: inout RequestHead
  ) throws(MessageError) -> Bool {
    while let end = try scanner.lineEnd(
      in: bytes,
      lineBytes: (bounds.requestLineBytes, .targetTooLong),
      totalBytes: (bounds.headBytes, .headTooLarge)
    ) {
      let start = scanner.lineStart
      scanner.advance(behind: end)
      if start == end {
        emptyLines += 1
        guard emptyLines <= 2 else { throw MessageError(.leadingEmptyLines) }
        continue
      }
      try RequestLine.read(
        bytes,
        start..<end,
        into: &head,
        methodBytes: bounds.methodBytes,
        targetBytes: bounds.targetBytes
      )
      isInFields = true
      return true
    }
    return false
  }

  /// Decides what the head means as a whole.
  private mutating func finish(
    _ head: inout RequestHead,
    _ bytes: Span<UInt8>,
    end: Int
  ) throws(MessageError) {
    head.byteCount = end &+ 2
    head.options = section.options
    head.hasUnderscore = section.hasUnderscore
    head.keepsAlive = section.keepsAlive(head.version)
    try checkHost(&head, bytes)
    let seen = section.seen
    if seen.contains(.transferEncoding) {
      guard !seen.contains(.contentLength) else {
        throw MessageError(.contentLengthWithTransferEncoding)
      }
      guard head.version == .http11 else { throw MessageError(.transferEncodingInHTTP10) }
      head.bodyLength = .chunked
    } else if seen.contains(.contentLength) {
      head.bodyLength = .fixed(section.contentLength)
    }
    let hasContent = head.bodyLength != .none && head.bodyLength != .fixed(0)
    if hasContent, head.method == .connect || head.method == .trace {
      throw MessageError(.contentNotAllowed)
    }
    head.acceptsTrailers = seen.contains(.trailers)
    if head.version == .http11 {
      head.expectsContinue = hasContent && seen.contains(.expectation)
      head.wantsUpgrade =
        seen.contains(.upgrade) && !seen.contains(.unwantedUpgrade) && !hasContent
        && section.options.contains(.upgrade)
    }
    if section.options.contains(.nominatesFields) {
      FieldSection.markNominated(bytes, in: &head.fields)
    }
  }

  /// Host against version and target (RFC 9112, sections 3.2 and 3.3).
  private func checkHost(_ head: inout RequestHead, _ bytes: Span<UInt8>) throws(MessageError) {
    guard section.seen.contains(.host) else {
      guard head.version == .http10 else { throw MessageError(.missingHost) }
      return
    }
    let host = try Authority(bytes, in: section.host.range)
    guard head.form == .absolute || head.form == .authority else {
      head.authority = section.host
      head.host = host.host
      return
    }
    let target = try Authority(bytes, in: head.authority.range)
    var defaultPort: UInt16?
    if head.form == .absolute {
      // `https:` has its colon one byte later than `http:`.
      defaultPort = bytes[head.target.lowerBound + 4] == 0x3A ? 80 : 443
    }
    guard Authority.areSame(target, host, in: bytes, defaultPort: defaultPort) else {
      throw MessageError(.conflictingHost)
    }
  }
}
