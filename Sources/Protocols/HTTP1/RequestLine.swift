import HTTPMessage
import MartletBytes

/// The request line: method, target, version, with one space between them.
///
/// - Source: RFC 9112, section 3.
enum RequestLine {
  /// Reads the line that lies in `line` into `head`.
  static func read(
    _ bytes: Span<UInt8>,
    _ line: Range<Int>,
    into head: inout RequestHead,
    methodBytes: Int,
    targetBytes: Int
  ) throws(MessageError) {
    let start = line.lowerBound
    let end = line.upperBound
    if HTTPGrammar.isWhitespace(bytes[start]) { throw MessageError(.leadingWhitespace) }
    // Methods are short; what is not found in the first bytes is looked for further on.
    let first = SixteenBytes(bytes, at: start).firstIndex(of: 0x20)
    var methodEnd = first.map { start &+ $0 } ?? end
    if methodEnd >= end {
      methodEnd = ByteSearch.firstIndex(of: 0x20, in: bytes, from: start, to: end) ?? end
      guard methodEnd < end else { throw MessageError(.malformedRequestLine) }
    }
    guard methodEnd &- start <= methodBytes else { throw MessageError(.methodTooLong) }
    try readMethod(bytes, start..<methodEnd, into: &head)
    let targetStart = methodEnd &+ 1
    guard targetStart < end, bytes[targetStart] != 0x20 else {
      throw MessageError(.malformedRequestLine)
    }
    let targetEnd = try readTarget(bytes, from: targetStart, to: end, into: &head)
    guard targetEnd &- targetStart <= targetBytes else {
      throw MessageError(.targetTooLong)
    }
    head.target = ByteRange(from: targetStart, to: targetEnd)
    head.startLine = ByteRange(from: start, to: end)
    guard targetEnd < end else { throw MessageError(.malformedRequestLine) }
    head.version = try Self.version(bytes, in: targetEnd &+ 1..<end)
  }

  private static func readMethod(
    _ bytes: Span<UInt8>,
    _ range: Range<Int>,
    into head: inout RequestHead
  ) throws(MessageError) {
    let name = bytes.extracting(range)
    head.methodRange = ByteRange(from: range.lowerBound, to: range.upperBound)
    head.method = Method(name)
    if head.method == .other, !HTTPGrammar.isToken(name) { throw MessageError(.malformedMethod) }
  }

  /// Reads the target and returns the offset behind it.
  private static func readTarget(
    _ bytes: Span<UInt8>,
    from start: Int,
    to end: Int,
    into head: inout RequestHead
  ) throws(MessageError) -> Int {
    if head.method == .connect {
      let targetEnd = ByteSearch.firstIndex(of: 0x20, in: bytes, from: start, to: end) ?? end
      try readAuthority(bytes, start..<targetEnd, into: &head)
      guard
        ByteSearch.firstIndex(of: 0x3A, in: bytes, from: head.host.upperBound, to: targetEnd)
          != nil
      else { throw MessageError(.connectWithoutAuthority) }
      head.form = .authority
      return targetEnd
    }
    var pathStart = start
    if bytes[start] == 0x2A, start &+ 1 == end || bytes[start &+ 1] == 0x20 {
      guard head.method == .options else { throw MessageError(.asteriskWithoutOptions) }
      head.form = .asterisk
      return start + 1
    } else if bytes[start] != 0x2F {
      pathStart = try readAbsolute(bytes, from: start, to: end, into: &head)
    }
    let target = try TargetPath(bytes, from: pathStart, to: end)
    head.path = ByteRange(target.path)
    if let query = target.query {
      head.query = ByteRange(query)
      head.hasQuery = true
    }
    return target.end
  }

  /// Reads scheme and authority of an absolute target and returns the offset behind them.
  private static func readAbsolute(
    _ bytes: Span<UInt8>,
    from start: Int,
    to end: Int,
    into head: inout RequestHead
  ) throws(MessageError) -> Int {
    guard let colon = ByteSearch.firstIndex(of: 0x3A, in: bytes, from: start, to: end),
      colon + 2 < end, bytes[colon + 1] == 0x2F, bytes[colon + 2] == 0x2F
    else { throw try malformed(bytes, from: start, to: end) }
    guard
      FieldSection.isEqual(bytes, start..<colon, "http")
        || FieldSection.isEqual(bytes, start..<colon, "https")
    else { throw MessageError(.unsupportedScheme) }
    let authorityStart = colon + 3
    var authorityEnd = authorityStart
    // Up to the slash, question mark or space that follows; a number sign is refused behind it.
    while authorityEnd < end {
      let byte = bytes[authorityEnd]
      if byte == 0x2F || byte == 0x3F || byte == 0x20 || byte == 0x23 { break }
      authorityEnd += 1
    }
    try readAuthority(bytes, authorityStart..<authorityEnd, into: &head)
    head.form = .absolute
    return authorityEnd
  }

  /// What is wrong with a target that begins with neither a slash nor a scheme.
  private static func malformed(
    _ bytes: Span<UInt8>,
    from start: Int,
    to end: Int
  ) throws(MessageError) -> MessageError {
    // A byte that no target may hold is the more telling defect.
    _ = try TargetPath(bytes, from: start, to: end)
    return MessageError(.malformedTarget)
  }

  private static func readAuthority(
    _ bytes: Span<UInt8>,
    _ range: Range<Int>,
    into head: inout RequestHead
  ) throws(MessageError) {
    guard range.count <= Authority.hostBytes + 6 else { throw MessageError(.malformedHost) }
    head.host = try Authority(bytes, in: range).host
    head.authority = ByteRange(range)
  }

  /// `HTTP/1.x`; a higher minor version is read as 1.1.
  ///
  /// RFC 9112, section 2.3; RFC 9110, section 2.5.
  static func version(
    _ bytes: Span<UInt8>,
    in range: Range<Int>
  ) throws(MessageError) -> HTTPVersion {
    let start = range.lowerBound
    if range.count == 8 {
      let word = SixteenBytes(bytes, at: start).low
      // `HTTP/1.1`, the first byte lowest.
      if word == 0x312E_312F_5054_5448 { return .http11 }
      // `HTTP/`, any byte, a dot and any byte.
      let major = UInt8(truncatingIfNeeded: word &>> 40) &- 0x30
      let minor = UInt8(truncatingIfNeeded: word &>> 56) &- 0x30
      if word & 0x00FF_00FF_FFFF_FFFF == 0x002E_002F_5054_5448, major < 10, minor < 10 {
        guard major == 1 else { throw MessageError(.unsupportedVersion) }
        return minor == 0 ? .http10 : .http11
      }
    }
    // A space within: the target or the version has one, or there are two between the parts.
    let hasSpace =
      ByteSearch.firstIndex(of: 0x20, in: bytes, from: start, to: range.upperBound) != nil
    throw MessageError(hasSpace ? .malformedRequestLine : .malformedVersion)
  }
}
