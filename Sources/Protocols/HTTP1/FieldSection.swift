import HTTPMessage
import MartletBytes

extension FieldLine {
  /// Reads the line that lies in `start..<end`, which holds no control byte but tabs.
  ///
  /// `end` is at most 65,533.
  @inline(__always)
  init(
    _ bytes: Span<UInt8>,
    from start: Int,
    to end: Int,
    isFirst: Bool,
    nameBytes: Int,
    table: FieldNameTable
  ) throws(MessageError) {
    // Most names end within the first sixteen bytes; what stands behind the line is a CR and more.
    let first = SixteenBytes(bytes, at: start)
    let name: FieldName
    let colon: Int
    if let index = first.firstIndex(of: 0x3A), start &+ index < end {
      name = table.name(first, count: index)
      colon = start &+ index
    } else {
      colon = try Self.colon(in: bytes, from: start, to: end, isFirst: isFirst)
      name = table.name(in: bytes, at: start, count: colon &- start)
    }
    if name == .other {
      try Self.check(name: start..<colon, in: bytes, isFirst: isFirst, nameBytes: nameBytes)
    }
    // Nearly always one space stands before the value, and nothing behind it.
    var value = colon &+ 1..<end
    if colon &+ 2 < end, bytes[colon &+ 1] == 0x20, bytes[colon &+ 2] > 0x20, bytes[end &- 1] > 0x20
    {
      value = colon &+ 2..<end
    } else {
      value = HTTPGrammar.trimmed(value, in: bytes)
    }
    self.init(
      name: name,
      nameRange: ByteRange(from: start, to: colon),
      valueRange: ByteRange(from: value.lowerBound, to: value.upperBound),
      lineEnd: UInt16(truncatingIfNeeded: end &+ 2),
      isHopByHop: false
    )
  }

  /// The colon of a line whose name is long, or the error of one that has none.
  @inline(never)
  private static func colon(
    in bytes: Span<UInt8>,
    from start: Int,
    to end: Int,
    isFirst: Bool
  ) throws(MessageError) -> Int {
    if let colon = ByteSearch.firstIndex(of: 0x3A, in: bytes, from: start, to: end) { return colon }
    let isFolded = start < end && HTTPGrammar.isWhitespace(bytes[start])
    throw MessageError(isFolded ? (isFirst ? .whitespaceBeforeFields : .foldedLine) : .missingColon)
  }

  @inline(never)
  private static func check(
    name: Range<Int>,
    in bytes: Span<UInt8>,
    isFirst: Bool,
    nameBytes: Int
  ) throws(MessageError) {
    guard !name.isEmpty else { throw MessageError(.emptyFieldName) }
    if HTTPGrammar.isWhitespace(bytes[name.lowerBound]) {
      throw MessageError(isFirst ? .whitespaceBeforeFields : .foldedLine)
    }
    guard name.count <= nameBytes else { throw MessageError(.fieldNameTooLong) }
    if HTTPGrammar.isToken(bytes.extracting(name)) {
      guard !isFramingForGateways(bytes, name) else { throw MessageError(.malformedFieldName) }
      return
    }
    let last = bytes[name.upperBound - 1]
    throw MessageError(HTTPGrammar.isWhitespace(last) ? .spaceBeforeColon : .malformedFieldName)
  }
}

/// Whether a gateway that names variables after fields would take the name for one that frames:
/// CGI knows no difference between `Content_Length` and `Content-Length`.
private func isFramingForGateways(_ bytes: Span<UInt8>, _ name: Range<Int>) -> Bool {
  if FieldSection.isEqual(bytes, name, "content_length") { return true }
  let start = name.lowerBound
  return name.count == 17 && lowercased(bytes[start + 16]) == 0x67
    && FieldSection.isEqual(bytes, start..<start + 16, "transfer_encodin")
}

/// What the fields of a head say about framing, host and connection, gathered line by line.
struct FieldSection: Sendable {
  /// What was seen; the rest is told by the values below.
  struct Seen: OptionSet {
    let rawValue: UInt8
    static let contentLength = Seen(rawValue: 1)
    static let transferEncoding = Seen(rawValue: 2)
    static let host = Seen(rawValue: 4)
    static let upgrade = Seen(rawValue: 8)
    static let expectation = Seen(rawValue: 16)
    static let trailers = Seen(rawValue: 32)
    static let ofResponse = Seen(rawValue: 64)
    static let unwantedUpgrade = Seen(rawValue: 128)
  }

  private(set) var seen: Seen
  private(set) var contentLength: UInt64 = 0
  private(set) var host = ByteRange()
  private(set) var options: ConnectionOptions = []
  /// Whether a name has an underscore.
  private(set) var hasUnderscore = false
  private var optionCount = 0
  // Beside what they bound: to hand all bounds to every line would cost a copy of them each time.
  private let fieldLimit: Int
  private let nameLimit: Int
  private let optionLimit: Int

  /// Starts before the first line.
  init(ofResponse: Bool, within bounds: HeadBounds) {
    seen = ofResponse ? .ofResponse : []
    fieldLimit = bounds.fieldCount
    nameLimit = bounds.nameBytes
    optionLimit = bounds.optionCount
  }

  /// Starts anew, before the first line of another head.
  mutating func reset() {
    seen.formIntersection(.ofResponse)
    contentLength = 0
    host = ByteRange()
    options = []
    hasUnderscore = false
    optionCount = 0
  }

  /// Whether the connection goes on behind a message of this version; RFC 9112, section 9.3.
  func keepsAlive(_ version: HTTPVersion) -> Bool {
    if options.contains(.close) { return false }
    return version == .http11 || options.contains(.keepAlive)
  }

  /// Reads the line in `start..<end` and adds it to `fields`.
  @inline(__always)
  mutating func add(
    _ bytes: Span<UInt8>,
    from start: Int,
    to end: Int,
    into fields: inout FieldLines,
    table: FieldNameTable
  ) throws(MessageError) {
    guard fields.count < fieldLimit else { throw MessageError(.tooManyFields) }
    var line = try FieldLine(
      bytes,
      from: start,
      to: end,
      isFirst: fields.isEmpty,
      nameBytes: nameLimit,
      table: table
    )
    // The names that mean something here are the first ones of the enum.
    if line.name.rawValue <= FieldName.te.rawValue, line.name != .other {
      line.isHopByHop = line.name.isHopByHop
      try note(line, in: bytes)
    } else if line.name == .http2Settings {
      line.isHopByHop = true
    } else if line.name == .other, Self.hasUnderscore(bytes, line.nameRange) {
      hasUnderscore = true
    }
    fields.append(line)
  }

  /// Whether the name has an underscore, which no known one has.
  @inline(__always)
  static func hasUnderscore(_ bytes: Span<UInt8>, _ name: ByteRange) -> Bool {
    ByteSearch.firstIndex(of: 0x5F, in: bytes, from: name.lowerBound, to: name.upperBound) != nil
  }

  @inline(never)
  private mutating func note(_ line: FieldLine, in bytes: Span<UInt8>) throws(MessageError) {
    let value = line.valueRange.range
    switch line.name {
    case .host:
      guard !seen.contains(.ofResponse) else { return }
      guard !seen.contains(.host) else { throw MessageError(.repeatedHost) }
      seen.insert(.host)
      host = line.valueRange
    case .contentLength:
      guard !seen.contains(.contentLength) else { throw MessageError(.repeatedContentLength) }
      seen.insert(.contentLength)
      contentLength = try Self.length(bytes, in: value)
    case .transferEncoding:
      guard !seen.contains(.transferEncoding) else {
        throw MessageError(.repeatedTransferEncoding)
      }
      seen.insert(.transferEncoding)
      try Self.checkCodings(bytes, in: value)
    case .connection:
      try noteOptions(bytes, in: value)
    case .upgrade:
      noteUpgrade(bytes, in: value)
    case .expect:
      guard !seen.contains(.ofResponse) else { return }
      guard Self.isEqual(bytes, value, "100-continue") else {
        throw MessageError(.unknownExpectation)
      }
      seen.insert(.expectation)
    case .te:
      var elements = ListElements(value)
      while let element = elements.next(in: bytes) {
        if Self.isEqual(bytes, element, "trailers") { seen.insert(.trailers) }
      }
    default: break
    }
  }

  /// Digits alone, and less than 2^63, so that no later sum can overflow.
  private static func length(
    _ bytes: Span<UInt8>,
    in range: Range<Int>
  ) throws(MessageError) -> UInt64 {
    guard !range.isEmpty else { throw MessageError(.malformedContentLength) }
    var length: UInt64 = 0
    // Nineteen digits fit in 64 bits; what is longer is only looked at for other defects.
    let isTooLong = range.count > 19
    var index = range.lowerBound
    while index < range.upperBound {
      let digit = bytes[index] &- 0x30
      guard digit < 10 else {
        let isList = bytes[index] == 0x2C && index > range.lowerBound
        throw MessageError(isList ? .repeatedContentLength : .malformedContentLength)
      }
      length = length &* 10 &+ UInt64(digit)
      index &+= 1
    }
    guard !isTooLong, length <= UInt64(Int64.max) else {
      throw MessageError(.contentLengthOverflow)
    }
    return length
  }

  /// Accepts `chunked` alone, and says what else it is.
  private static func checkCodings(
    _ bytes: Span<UInt8>,
    in range: Range<Int>
  ) throws(MessageError) {
    if isEqual(bytes, range, "chunked") { return }
    var elements = ListElements(range)
    var chunked = 0
    var others = 0
    var isLast = false
    while let element = elements.next(in: bytes) {
      // A parameter begins with a semicolon; no coding that is read here has one.
      var name = element
      if let semicolon = ByteSearch.firstIndex(
        of: 0x3B,
        in: bytes,
        from: element.lowerBound,
        to: element.upperBound
      ) {
        name = HTTPGrammar.trimmed(element.lowerBound..<semicolon, in: bytes)
      }
      guard HTTPGrammar.isToken(bytes.extracting(name)) else {
        throw MessageError(.malformedTransferEncoding)
      }
      isLast = isEqual(bytes, name, "chunked")
      if isLast {
        guard name == element else { throw MessageError(.malformedTransferEncoding) }
        chunked += 1
      } else {
        others += 1
      }
    }
    guard chunked <= 1 else { throw MessageError(.repeatedChunked) }
    guard chunked == 0 || isLast else { throw MessageError(.chunkedNotLast) }
    throw MessageError(others > 0 ? .unknownTransferCoding : .malformedTransferEncoding)
  }

  /// Notes whether a protocol is wanted that may carry HTTP, and so take requests past this server.
  ///
  /// RFC 9110, section 7.8.
  private mutating func noteUpgrade(_ bytes: Span<UInt8>, in range: Range<Int>) {
    var elements = ListElements(range)
    while let element = elements.next(in: bytes) {
      seen.insert(.upgrade)
      let slash = ByteSearch.firstIndex(
        of: 0x2F,
        in: bytes,
        from: element.lowerBound,
        to: element.upperBound
      )
      let name = element.lowerBound..<(slash ?? element.upperBound)
      let isCarrier =
        Self.isEqual(bytes, name, "h2c") || Self.isEqual(bytes, name, "h2")
        || Self.isEqual(bytes, name, "http") || Self.isEqual(bytes, name, "tls")
      if isCarrier || !HTTPGrammar.isToken(bytes.extracting(name)) {
        seen.insert(.unwantedUpgrade)
      }
    }
  }

  private mutating func noteOptions(
    _ bytes: Span<UInt8>,
    in range: Range<Int>
  ) throws(MessageError) {
    if Self.isEqual(bytes, range, "keep-alive") { return options.formUnion(.keepAlive) }
    if Self.isEqual(bytes, range, "close") { return options.formUnion(.close) }
    var elements = ListElements(range)
    while let element = elements.next(in: bytes) {
      optionCount += 1
      guard optionCount <= optionLimit else { throw MessageError(.tooManyConnectionOptions) }
      switch FieldName(in: bytes, at: element.lowerBound, count: element.count) {
      case .keepAlive: options.insert(.keepAlive)
      case .upgrade: options.insert(.upgrade)
      case .http2Settings: options.insert(.http2Settings)
      case .te, .connection, .proxyConnection: break
      case .host, .contentLength: throw MessageError(.connectionNamesFraming)
      case .transferEncoding:
        // Some servers name it with the field that is there anyway; from a client it hides framing.
        guard seen.contains(.ofResponse) else { throw MessageError(.connectionNamesFraming) }
      case .other:
        guard HTTPGrammar.isToken(bytes.extracting(element)) else {
          throw MessageError(.malformedConnection)
        }
        if Self.isEqual(bytes, element, "close") {
          options.insert(.close)
        } else {
          options.insert(.nominatesFields)
        }
      default: options.insert(.nominatesFields)
      }
    }
  }

  /// Marks the lines that Connection names as hop-by-hop (RFC 9110, section 7.6.1).
  ///
  /// - Complexity: O(*n* · *m*) in lines and options, both bounded; rare.
  @inline(never)
  static func markNominated(_ bytes: Span<UInt8>, in fields: inout FieldLines) {
    for position in fields.indices where fields[position].name == .connection {
      var elements = ListElements(fields[position].valueRange.range)
      while let element = elements.next(in: bytes) {
        let option = bytes.extracting(element)
        let name = FieldName(option)
        for index in fields.indices where fields[index].name == name {
          if name != .other
            || equalIgnoringCase(bytes.extracting(fields[index].nameRange.range), option)
          {
            fields[index].isHopByHop = true
          }
        }
      }
    }
  }

  /// Whether the bytes, which hold no control byte but tabs, are `text` in any case; it has sixteen
  /// bytes at most.
  @inline(__always)
  static func isEqual(_ bytes: Span<UInt8>, _ range: Range<Int>, _ text: StaticString) -> Bool {
    let count = text.utf8CodeUnitCount
    guard range.count == count else { return false }
    let left = SixteenBytes(bytes, at: range.lowerBound).folded(count)
    return left == SixteenBytes(text).folded(count)
  }
}
