import HTTPMessage
import MartletBytes

/// The head of an application's answer, as CGI has it, and the same as HTTP/1.1 has it.
///
/// Lines end with a line feed, before which a carriage return may stand. There is at least one field. `Status`
/// becomes the status line; without it `Location` means 302, and nothing 200. What is about the connection is
/// left out: it is not the application's.
///
/// - Source: RFC 3875, section 6.
public struct GatewayHead: Hashable, Sendable {
  /// The status, 200 to 599.
  public private(set) var status: UInt16 = 200
  /// The fields that are passed on, as lines that end with CRLF.
  public private(set) var lines: [UInt8] = []
  /// The length of the content, where the application has told it.
  public private(set) var contentLength: UInt64?
  /// The reason of the status, as the application says it; empty where it does not.
  private var text: [UInt8] = []
  private var hasStatus = false
  private var hasLocation = false
  /// The value of `Location`, where it is a path of this host.
  private var path: [UInt8] = []
  private var fieldCount = 0

  /// Reads a head up to its empty line, which `bytes` end with.
  ///
  /// With `allowsStatusLine` the first line may be that of HTTP, of any version.
  ///
  /// - Throws: ``GatewayFault``.
  public init(_ bytes: Span<UInt8>, allowsStatusLine: Bool) throws(GatewayFault) {
    var offset = 0
    var isFirst = true
    lines.reserveCapacity(bytes.count)
    while offset < bytes.count {
      guard let end = ByteSearch.firstIndex(of: 0x0A, in: bytes, from: offset) else {
        throw .fieldLine
      }
      let line = offset..<(end > offset && bytes[end - 1] == 0x0D ? end - 1 : end)
      offset = end + 1
      if line.isEmpty { break }
      if isFirst, allowsStatusLine, Self.isStatusLine(bytes, line) {
        try setStatus(bytes, line.lowerBound + 9..<line.upperBound)
        // It is no field of CGI, and an answer has one at least all the same.
        hasStatus = true
      } else {
        try takeField(bytes, line)
      }
      isFirst = false
    }
    guard fieldCount > 0 else { throw .noField }
    if !hasStatus, hasLocation { status = 302 }
  }

  /// Where the head ends in `bytes`: behind its empty line; nil where that has not come.
  ///
  /// `start` is where the search goes on, the beginning of a line.
  public static func end(in bytes: Span<UInt8>, from start: inout Int) -> Int? {
    while let end = ByteSearch.firstIndex(of: 0x0A, in: bytes, from: start) {
      let count = end - start
      if count == 0 || count == 1 && bytes[start] == 0x0D { return end + 1 }
      start = end + 1
    }
    return nil
  }

  /// The place of this host that is to answer instead; nil: there is none.
  ///
  /// There is one where the head says nothing but a path, and perhaps a query. A path with two slashes in front would name another host (RFC 3986, section 4.2).
  ///
  /// - Source: RFC 3875, section 6.2.2.
  public var localTarget: [UInt8]? {
    fieldCount == 1 && !hasStatus && !path.isEmpty ? path : nil
  }

  /// Whether an answer with this status has no content, whatever the application sends.
  public var hasNoContent: Bool { status == 204 || status == 304 }

  /// Appends the head as HTTP/1.1 has it, without its last empty line.
  public func append(to bytes: inout [UInt8]) {
    // Whoever passes the head on knows the phrase that is missing.
    let line: InlineArray<13, UInt8> = [
      0x48, 0x54, 0x54, 0x50, 0x2F, 0x31, 0x2E, 0x31, 0x20, UInt8(0x30 + status / 100),
      UInt8(0x30 + status / 10 % 10), UInt8(0x30 + status % 10), 0x20,
    ]
    bytes.append(copying: line.span)
    bytes += text
    bytes.append(copying: "\r\n".utf8.span)
    bytes += lines
  }

  // MARK: Lines

  /// Whether a line begins with a version of HTTP: uWSGI says that of the request, whichever it is.
  private static func isStatusLine(_ bytes: Span<UInt8>, _ line: Range<Int>) -> Bool {
    guard line.count >= 12 else { return false }
    let start = line.lowerBound
    let name: InlineArray<5, UInt8> = [0x48, 0x54, 0x54, 0x50, 0x2F]
    for index in name.indices where bytes[start + index] != name[index] { return false }
    return bytes[start + 5] &- 0x30 < 10 && bytes[start + 6] == 0x2E
      && bytes[start + 7] &- 0x30 < 10 && bytes[start + 8] == 0x20
  }

  /// Takes `NNN` and perhaps a reason.
  private mutating func setStatus(
    _ bytes: Span<UInt8>,
    _ range: Range<Int>
  ) throws(GatewayFault) {
    guard !hasStatus, range.count >= 3 else { throw .status }
    var number: UInt16 = 0
    for index in range.prefix(3) {
      let digit = bytes[index] &- 0x30
      guard digit < 10 else { throw .status }
      number = number * 10 + UInt16(digit)
    }
    guard (200...599).contains(number), range.count == 3 || bytes[range.lowerBound + 3] == 0x20
    else { throw .status }
    status = number
    hasStatus = true
    fieldCount += 1
    let start = min(range.lowerBound + 4, range.upperBound)
    let rest = HTTPGrammar.trimmed(start..<range.upperBound, in: bytes)
    if ByteSearch.firstControl(in: bytes, from: rest.lowerBound, to: rest.upperBound) != nil {
      throw .fieldByte
    }
    text = Array(copying: bytes.extracting(rest))
  }

  /// Takes one field.
  private mutating func takeField(
    _ bytes: Span<UInt8>,
    _ line: Range<Int>
  ) throws(GatewayFault) {
    // A line that goes on with the one before begins with a space, which is no token.
    let (start, end) = (line.lowerBound, line.upperBound)
    guard let colon = ByteSearch.firstIndex(of: 0x3A, in: bytes, from: start, to: end),
      HTTPGrammar.isToken(bytes.extracting(start..<colon))
    else { throw .fieldLine }
    let name = start..<colon
    let value = HTTPGrammar.trimmed(colon + 1..<end, in: bytes)
    if ByteSearch.firstControl(in: bytes, from: value.lowerBound, to: value.upperBound) != nil {
      throw .fieldByte
    }
    fieldCount += 1
    if equalIgnoringCase(bytes.extracting(name), Self.statusName.span) {
      return try setStatus(bytes, value)
    }
    switch FieldName(in: bytes, at: name.lowerBound, count: name.count) {
    case .contentLength: return try setLength(bytes, value)
    case .connection, .keepAlive, .proxyConnection, .transferEncoding, .upgrade, .te, .trailer:
      return
    case .location:
      hasLocation = true
      if value.count > 0, bytes[value.lowerBound] == 0x2F,
        value.count == 1 || bytes[value.lowerBound + 1] != 0x2F
      {
        path = Array(copying: bytes.extracting(value))
      }
    default: break
    }
    lines.append(copying: bytes.extracting(name))
    lines.append(copying: ": ".utf8.span)
    lines.append(copying: bytes.extracting(value))
    lines.append(copying: "\r\n".utf8.span)
  }

  private mutating func setLength(
    _ bytes: Span<UInt8>,
    _ value: Range<Int>
  ) throws(GatewayFault) {
    guard (1...18).contains(value.count), contentLength == nil else { throw .contentLength }
    var length: UInt64 = 0
    for index in value {
      let digit = bytes[index] &- 0x30
      guard digit < 10 else { throw .contentLength }
      length = length * 10 + UInt64(digit)
    }
    contentLength = length
  }

  private static let statusName = Array("status".utf8)
}
