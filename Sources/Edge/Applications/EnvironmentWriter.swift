import HTTPMessage
import MartletBytes
import MartletSystem

/// Writes the variables of CGI that PEP 3333 asks for.
///
/// First come those that a client says again with its next request, each as its name, a zero, its value, a zero: a
/// worker takes them apart once. Behind them are the values of the others, in an order that both know.
///
/// - Source: RFC 3875, section 4.1; PEP 3333, "environ Variables".
struct EnvironmentWriter {
  private(set) var bytes: [UInt8]
  /// Where the fields are that were written.
  private var fields: [(name: Range<Int>, value: Range<Int>)] = []

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// Writes what a head of HTTP/1.1 says, which is known to be in order.
  ///
  /// - Returns: How long the first part is, in bytes.
  mutating func write(
    _ head: Span<UInt8>,
    _ context: WorkerRequest.Context,
    contentLength: UInt64?,
    _ known: KnownFields
  ) throws(WorkerRequestError) -> Int {
    let start = bytes.count
    let lineEnd = ByteSearch.firstIndex(of: 0x0A, in: head, from: 0) ?? head.count
    let hasType = putCommon(head.extracting(lineEnd..<head.count), context, known)
    let commonLength = bytes.count - start
    let length = contentLength.flatMap { $0 > 0 || hasType ? $0 : nil }
    try writeOwn(head.extracting(0..<lineEnd), context, contentLength: length)
    return commonLength
  }

  /// Replaces the two bytes at a place by a number.
  mutating func replace(at place: Int, by number: Int) {
    bytes[place] = UInt8(truncatingIfNeeded: number)
    bytes[place + 1] = UInt8(truncatingIfNeeded: number >> 8)
  }

  /// Writes bytes as they are.
  mutating func put(_ more: [UInt8]) { bytes += more }

  /// Writes the fields, and what is known of the server, as it was written for an earlier request if there was one.
  ///
  /// - Returns: Whether the content's type is said.
  private mutating func putCommon(
    _ text: Span<UInt8>,
    _ context: WorkerRequest.Context,
    _ known: KnownFields
  ) -> Bool {
    guard let sum = KnownFields.sum(of: text) else { return writeCommon(text, context) }
    if let written = known.written(text, withSum: sum, in: context) {
      bytes += written.bytes
      return written.hasType
    }
    let start = bytes.count
    let hasType = writeCommon(text, context)
    if known.keeps(sum: sum) {
      let written = KnownFields.Written(text, context, as: bytes[start...], hasType: hasType)
      known.keep(written, withSum: sum)
    }
    return hasType
  }

  /// Writes the fields, which begin with the end of the line before them, and what is known of the server.
  ///
  /// - Returns: Whether the content's type is said.
  private mutating func writeCommon(
    _ head: Span<UInt8>,
    _ context: WorkerRequest.Context
  ) -> Bool {
    fields.reserveCapacity(16)
    var end = 0
    var hasType = false
    var host = 0..<0
    while end + 1 < head.count {
      let start = end + 1
      end = ByteSearch.firstIndex(of: 0x0A, in: head, from: start) ?? head.count
      guard let colon = ByteSearch.firstIndex(of: 0x3A, in: head, from: start), colon < end else {
        break
      }
      let value = Self.trimmed(colon + 1..<end, in: head)
      switch Self.kind(of: head.extracting(start..<colon)) {
      case .contentType:
        if !hasType { put("CONTENT_TYPE", head.extracting(value)) }
        hasType = true
      case .dropped: break
      case .host:
        host = value
        putField(head.extracting(start..<colon), head.extracting(value))
      case .other: putField(head.extracting(start..<colon), head.extracting(value))
      }
    }
    put("SCRIPT_NAME", context.scriptName.span)
    writeServer(head.extracting(host), context)
    return hasType
  }

  /// Writes what no other request says: method, path, query, target, length, address, port, identifier.
  private mutating func writeOwn(
    _ line: Span<UInt8>,
    _ context: WorkerRequest.Context,
    contentLength: UInt64?
  ) throws(WorkerRequestError) {
    let first = ByteSearch.firstIndex(of: 0x20, in: line, from: 0) ?? line.count
    let start = min(first + 1, line.count)
    let last = ByteSearch.firstIndex(of: 0x20, in: line, from: start) ?? line.count
    let question = ByteSearch.firstIndex(of: 0x3F, in: line, from: start)
    let pathEnd = min(question ?? last, last)
    putValue(line.extracting(0..<first))
    try putDecoded(line.extracting(start..<pathEnd))
    bytes.append(0)
    putValue(line.extracting(min(pathEnd + 1, last)..<last))
    bytes += context.scriptName
    putValue(line.extracting(start..<last))
    if let contentLength { putDecimal(contentLength) }
    bytes.append(0)
    putClient(context.client)
    // The last value has no zero behind it: the reader splits at zeros.
    if let (high, low) = context.identifier { putHexadecimal(high, low) }
  }

  private mutating func putClient(_ client: SocketAddress?) {
    switch client {
    case .ipv4(let host, _):
      for shift: UInt32 in [24, 16, 8] {
        putDecimal(UInt64(host >> shift & 255))
        bytes.append(0x2E)
      }
      putDecimal(UInt64(host & 255))
    case .some(let client): bytes += client.hostText.utf8
    case nil: break
    }
    bytes.append(0)
    if let port = client?.port, port > 0 { putDecimal(UInt64(port)) }
    bytes.append(0)
  }

  private mutating func writeServer(_ host: Span<UInt8>, _ context: WorkerRequest.Context) {
    let isSecure = context.scheme.count == 5
    var nameEnd = host.count
    var place = host.count
    while place > 0, host[place - 1] != 0x3A, host[place - 1] != 0x5D { place -= 1 }
    if place > 0, host[place - 1] == 0x3A { nameEnd = place - 1 }
    if nameEnd == 0 {
      put("SERVER_NAME", context.serverName.span)
    } else {
      put("SERVER_NAME", host.extracting(0..<nameEnd))
    }
    if nameEnd < host.count, place < host.count {
      put("SERVER_PORT", host.extracting(place..<host.count))
    } else {
      put("SERVER_PORT", isSecure ? Self.securePort.span : Self.plainPort.span)
    }
    put("SERVER_PROTOCOL", context.version.span)
    if isSecure { put("HTTPS", Self.on.span) }
    put("wsgi.url_scheme", context.scheme.span)
  }

  private static let plainPort = Array("80".utf8)
  private static let securePort = Array("443".utf8)
  private static let on = Array("on".utf8)

  // MARK: Fields

  private enum Kind {
    case contentType, host, dropped, other
  }

  private static func kind(of name: Span<UInt8>) -> Kind {
    switch name.count {
    case 4 where equalIgnoringCase(name, hostName.span): return .host
    case 5 where equalIgnoringCase(name, proxyName.span): return .dropped
    case 12 where equalIgnoringCase(name, typeName.span): return .contentType
    // What was in chunks has come whole, and its length is known.
    case 14 where equalIgnoringCase(name, lengthName.span): return .dropped
    case 17 where equalIgnoringCase(name, codingName.span): return .dropped
    default: break
    }
    // `X_Real_IP` would become what `X-Real-IP` becomes.
    return ByteSearch.firstIndex(of: 0x5F, in: name, from: 0) == nil ? .other : .dropped
  }

  private static let hostName = Array("host".utf8)
  // `HTTP_PROXY` means something else to programs that look at their environment.
  private static let proxyName = Array("proxy".utf8)
  private static let typeName = Array("content-type".utf8)
  private static let lengthName = Array("content-length".utf8)
  private static let codingName = Array("transfer-encoding".utf8)
  private static let cookieName = Array("cookie".utf8)

  private mutating func putField(_ name: Span<UInt8>, _ value: Span<UInt8>) {
    let start = bytes.count
    bytes.append(environmentNameOf: name)
    if let earlier = fields.firstIndex(where: { isSame($0.name, start..<bytes.count) }) {
      let isCookie = name.count == 6 && equalIgnoringCase(name, Self.cookieName.span)
      bytes.removeLast(bytes.count - start)
      join(value, to: earlier, with: isCookie ? [0x3B, 0x20] : [0x2C, 0x20])
      return
    }
    let nameEnd = bytes.count
    bytes.append(0)
    bytes.append(copying: value)
    fields.append((start..<nameEnd, nameEnd + 1..<bytes.count))
    bytes.append(0)
  }

  private func isSame(_ left: Range<Int>, _ right: Range<Int>) -> Bool {
    left.count == right.count && bytes[left].elementsEqual(bytes[right])
  }

  /// Writes a further value behind those that a field has.
  private mutating func join(_ value: Span<UInt8>, to index: Int, with separator: [UInt8]) {
    let more = separator + Array(copying: value)
    let end = fields[index].value.upperBound
    bytes.insert(contentsOf: more, at: end)
    fields[index].value = fields[index].value.lowerBound..<end + more.count
    for later in fields.indices where later > index {
      let (name, value) = fields[later]
      fields[later] = (
        name.lowerBound + more.count..<name.upperBound + more.count,
        value.lowerBound + more.count..<value.upperBound + more.count
      )
    }
  }

  // MARK: Bytes

  private mutating func put(_ name: String, _ value: Span<UInt8>) {
    bytes += name.utf8
    bytes.append(0)
    putValue(value)
  }

  private mutating func putDecimal(_ number: UInt64) {
    if number >= 10 { putDecimal(number / 10) }
    bytes.append(0x30 + UInt8(number % 10))
  }

  private mutating func putHexadecimal(_ high: UInt64, _ low: UInt64) {
    let start = bytes.count
    bytes += Self.noDigits
    var digits = bytes.mutableSpan
    var (high, low) = (high, low)
    for index in (start..<start + 16).reversed() {
      digits[index] = Self.letter(of: high)
      digits[index + 16] = Self.letter(of: low)
      high >>= 4
      low >>= 4
    }
  }

  private static let noDigits = [UInt8](repeating: 0x30, count: 32)

  private static func letter(of number: UInt64) -> UInt8 {
    let digit = UInt8(truncatingIfNeeded: number) & 15
    return digit < 10 ? 0x30 + digit : 0x57 + digit
  }

  private mutating func putValue(_ value: Span<UInt8>) {
    bytes.append(copying: value)
    bytes.append(0)
  }

  /// The bytes that a path means: `%2F` is a slash.
  private mutating func putDecoded(_ path: Span<UInt8>) throws(WorkerRequestError) {
    var index = 0
    while index < path.count {
      let byte = path[index]
      if byte == 0x25, index + 2 < path.count, let high = Self.digit(path[index + 1]),
        let low = Self.digit(path[index + 2])
      {
        guard high | low > 0 else { throw .zeroByte }
        bytes.append(high << 4 | low)
        index += 3
      } else {
        bytes.append(byte)
        index += 1
      }
    }
  }

  private static func digit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte - 0x30
    case 0x41...0x46: byte - 0x37
    case 0x61...0x66: byte - 0x57
    default: nil
    }
  }

  private static func trimmed(_ range: Range<Int>, in bytes: Span<UInt8>) -> Range<Int> {
    var (start, end) = (range.lowerBound, range.upperBound)
    while start < end, bytes[start] == 0x20 || bytes[start] == 0x09 { start += 1 }
    while end > start, bytes[end - 1] <= 0x20 { end -= 1 }
    return start..<end
  }
}
