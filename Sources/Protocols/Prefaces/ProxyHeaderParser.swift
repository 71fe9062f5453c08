import MartletBytes

/// Reads the PROXY header at the beginning of a connection.
///
/// It keeps nothing: the caller gives the bytes from the first one on, and again with more behind
/// them until there is a header. What it looks at again is bounded: 107 bytes of a line, 16 of a block.
///
/// - Source: The PROXY protocol, versions 1 and 2.
public struct ProxyHeaderParser: Sendable {
  /// A header, and how many bytes it had.
  public struct Parsed: Hashable, Sendable {
    /// What it says.
    public var header: ProxyHeader
    /// In which form it came.
    public var version: ProxyHeader.Version
    /// How many bytes of the connection it was.
    public var byteCount: Int
  }

  /// How much is read.
  public var limits: ProxyHeaderLimits

  /// Creates a parser.
  public init(limits: ProxyHeaderLimits = ProxyHeaderLimits()) {
    self.limits = limits
  }

  /// The longest line of version 1, with its end.
  public static let lineBytes = 107
  /// What a block of version 2 has before its addresses.
  static let fixedBytes = 16
  static let signature: [UInt8] = [
    0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A,
  ]
  static let lineStart: [UInt8] = Array("PROXY ".utf8)

  /// Reads the header that `bytes` begin with.
  ///
  /// - Returns: The header, or nil when it is not complete yet.
  /// - Throws: ``ProxyHeaderError``, as soon as no further byte could mend it.
  /// - Complexity: O(*n*) in the bytes of the header.
  public func parse(_ bytes: Span<UInt8>) throws(ProxyHeaderError) -> Parsed? {
    switch Self.beginning(of: bytes) {
    case .undecided: return nil
    case .other: throw .notAHeader
    case .line: return try parseLine(bytes)
    case .block: return try parseBlock(bytes)
    }
  }

  /// What the first bytes of a connection can be.
  enum Beginning {
    case undecided, line, block, other
  }

  static func beginning(of bytes: Span<UInt8>) -> Beginning {
    guard !bytes.isEmpty else { return .undecided }
    let expected = bytes[0] == signature[0] ? signature : lineStart
    let count = min(bytes.count, expected.count)
    for index in 0..<count where bytes[index] != expected[index] { return .other }
    guard count == expected.count else { return .undecided }
    return count == signature.count ? .block : .line
  }

  // MARK: Version 1

  private func parseLine(_ bytes: Span<UInt8>) throws(ProxyHeaderError) -> Parsed? {
    var end = Self.lineStart.count
    while true {
      guard end < Self.lineBytes else { throw .lineTooLong }
      guard end < bytes.count else { return nil }
      if bytes[end] == 0x0A { throw .malformedLine }
      if bytes[end] == 0x0D { break }
      end += 1
    }
    guard end + 1 < Self.lineBytes else { throw .lineTooLong }
    guard end + 1 < bytes.count else { return nil }
    guard bytes[end + 1] == 0x0A else { throw .malformedLine }
    let header = try lineHeader(bytes, Self.lineStart.count..<end)
    return Parsed(header: header, version: .v1, byteCount: end + 2)
  }

  private func lineHeader(
    _ bytes: Span<UInt8>,
    _ line: Range<Int>
  ) throws(ProxyHeaderError) -> ProxyHeader {
    var words: [Range<Int>] = []
    var start = line.lowerBound
    for index in line where bytes[index] == 0x20 {
      words.append(start..<index)
      start = index + 1
      // UNKNOWN may be followed by anything, which is not read.
      guard words.count < 6 else { break }
    }
    words.append(start..<line.upperBound)
    let family = bytes.extracting(words[0])
    if isEqual(family, Self.unknown) { return ProxyHeader() }
    let isIPv6 = isEqual(family, Self.tcp6)
    guard isIPv6 || isEqual(family, Self.tcp4), words.count == 5,
      let sourcePort = AddressText.port(bytes.extracting(words[3])),
      let targetPort = AddressText.port(bytes.extracting(words[4]))
    else { throw .malformedLine }
    let texts = [(words[1], sourcePort), (words[2], targetPort)]
    var addresses: [ProxyAddress] = []
    for (range, port) in texts {
      let text = bytes.extracting(range)
      if isIPv6 {
        guard let host = AddressText.ipv6(text) else { throw .malformedLine }
        addresses.append(.ipv6(host.high, host.low, port: port))
      } else {
        guard let host = AddressText.ipv4(text) else { throw .malformedLine }
        addresses.append(.ipv4(host, port: port))
      }
    }
    return ProxyHeader(source: addresses[0], destination: addresses[1])
  }

  private static let unknown = Array("UNKNOWN".utf8)
  private static let tcp4 = Array("TCP4".utf8)
  private static let tcp6 = Array("TCP6".utf8)

  private func isEqual(_ bytes: Span<UInt8>, _ word: [UInt8]) -> Bool {
    guard bytes.count == word.count else { return false }
    for index in bytes.indices where bytes[index] != word[index] { return false }
    return true
  }

  // MARK: Version 2

  private func parseBlock(_ bytes: Span<UInt8>) throws(ProxyHeaderError) -> Parsed? {
    guard bytes.count >= Self.fixedBytes else {
      // What is there already may be wrong already.
      if bytes.count > 12 { _ = try command(bytes[12]) }
      return nil
    }
    let command = try command(bytes[12])
    let count = Self.fixedBytes + Int(bytes.number16(at: 14))
    guard count <= limits.headerBytes else { throw .tooLarge }
    guard bytes.count >= count else { return nil }
    let block = bytes.extracting(0..<count)
    var header = ProxyHeader(command: command)
    let valuesStart = try addresses(block, into: &header)
    if command == .proxy {
      var reader = ProxyValueReader(limits: limits)
      header.values = try reader.read(block, from: valuesStart)
    } else {
      // The connection's own addresses count, and nothing that stands here.
      header = .local
    }
    return Parsed(header: header, version: .v2, byteCount: count)
  }

  private func command(_ byte: UInt8) throws(ProxyHeaderError) -> ProxyHeader.Command {
    guard byte >> 4 == 2 else { throw .unknownVersion }
    switch byte & 15 {
    case 0: return .local
    case 1: return .proxy
    default: throw .unknownCommand
    }
  }

  /// Reads the addresses, and returns where the values begin.
  private func addresses(
    _ block: Span<UInt8>,
    into header: inout ProxyHeader
  ) throws(ProxyHeaderError) -> Int {
    let start = Self.fixedBytes
    switch block[13] & 15 {
    case 0, 1: header.transport = .stream
    case 2: header.transport = .datagram
    default: throw .unknownFamily
    }
    let family = block[13] >> 4
    // Without a transport there is no address to believe.
    let isKnown = block[13] & 15 != 0
    switch family {
    case 0: return start
    case 1:
      guard block.count >= start + 12 else { throw .tooShort }
      guard isKnown else { return start + 12 }
      header.source = .ipv4(block.number32(at: start), port: block.number16(at: start + 8))
      header.destination = .ipv4(
        block.number32(at: start + 4),
        port: block.number16(at: start + 10)
      )
      return start + 12
    case 2:
      guard block.count >= start + 36 else { throw .tooShort }
      guard isKnown else { return start + 36 }
      header.source = .ipv6(
        block.number64(at: start),
        block.number64(at: start + 8),
        port: block.number16(at: start + 32)
      )
      header.destination = .ipv6(
        block.number64(at: start + 16),
        block.number64(at: start + 24),
        port: block.number16(at: start + 34)
      )
      return start + 36
    case 3:
      let size = ProxyAddress.pathBytes
      guard block.count >= start + 2 * size else { throw .tooShort }
      guard isKnown else { return start + 2 * size }
      header.source = try path(block.extracting(start..<start + size))
      header.destination = try path(block.extracting(start + size..<start + 2 * size))
      return start + 2 * size
    default: throw .unknownFamily
    }
  }

  /// The path in a field that zeros fill up; a name of the abstract namespace begins with one.
  private func path(_ field: Span<UInt8>) throws(ProxyHeaderError) -> ProxyAddress {
    var end = 0
    while end < field.count, field[end] != 0 || end == 0 { end += 1 }
    // Behind the end only zeros: nothing is smuggled along.
    for index in end..<field.count where field[index] != 0 { throw .refusedValue }
    if end == 1, field[0] == 0 { return .unix([]) }
    let bytes = Array(copying: field.extracting(0..<end))
    for byte in bytes[(bytes[0] == 0 ? 1 : 0)...] where byte < 0x20 || byte == 0x7F {
      throw .refusedValue
    }
    return .unix(bytes)
  }
}

extension Span where Element == UInt8 {
  /// The two bytes at `offset` as a number, the greatest first.
  func number16(at offset: Int) -> UInt16 {
    UInt16(self[offset]) << 8 | UInt16(self[offset + 1])
  }

  /// The three bytes at `offset` as a number, the greatest first.
  func number24(at offset: Int) -> UInt32 {
    UInt32(self[offset]) << 16 | UInt32(number16(at: offset + 1))
  }

  /// The four bytes at `offset` as a number, the greatest first.
  func number32(at offset: Int) -> UInt32 {
    UInt32(number16(at: offset)) << 16 | UInt32(number16(at: offset + 2))
  }

  /// The eight bytes at `offset` as a number, the greatest first.
  func number64(at offset: Int) -> UInt64 {
    UInt64(number32(at: offset)) << 32 | UInt64(number32(at: offset + 4))
  }
}
