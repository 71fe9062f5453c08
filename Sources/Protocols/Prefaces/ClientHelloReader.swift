import MartletBytes

/// Reads the ClientHello at the beginning of a connection, which may be spread over several records.
///
/// The caller keeps the bytes of the connection and gives them again with more behind them; a record
/// that was judged is not judged again.
///
/// - Source: RFC 8446, sections 4.1.2 and 5.1.
public struct ClientHelloReader: Sendable {
  /// The longest record, RFC 8446, section 5.1.
  static let recordBytes = 16_384

  private let limits: ClientHelloLimits
  /// The message as far as its records are complete.
  private var message: [UInt8] = []
  /// Where the next record begins.
  private var offset = 0
  private var recordCount = 0

  /// Creates a reader that stands at the beginning of a connection.
  public init(limits: ClientHelloLimits = ClientHelloLimits()) {
    self.limits = limits
  }

  /// Goes on with `bytes`: those of the calls before, and what came since.
  ///
  /// - Returns: The hello, or nil when it is not complete yet.
  /// - Throws: ``ClientHelloError``, as soon as no further byte could mend it.
  /// - Complexity: O(*n*) in the bytes, over all calls together.
  public mutating func read(_ bytes: Span<UInt8>) throws(ClientHelloError) -> ClientHello? {
    while true {
      let start = offset + 5
      if bytes.count > offset, bytes[offset] != 0x16 { throw .notAHandshake }
      if bytes.count > offset + 1, bytes[offset + 1] != 3 { throw .unknownVersion }
      if bytes.count > offset + 2, bytes[offset + 2] > 4 { throw .unknownVersion }
      guard bytes.count >= start else { return nil }
      let length = Int(bytes.number16(at: offset + 3))
      guard (1...Self.recordBytes).contains(length) else { throw .refusedRecord }
      guard recordCount < limits.recordCount else { throw .tooManyParts }
      guard message.count + length <= limits.messageBytes else { throw .tooLarge }
      // What a record that is still coming holds is judged as soon as it can be.
      if message.isEmpty, bytes.count > start, bytes[start] != 1 { throw .notAHello }
      if message.isEmpty, length >= 4, bytes.count >= start + 4 {
        guard Int(bytes.number24(at: start + 1)) + 4 <= limits.messageBytes else { throw .tooLarge }
      }
      guard bytes.count >= start + length else { return nil }
      message.append(copying: bytes.extracting(start..<start + length))
      offset = start + length
      recordCount += 1
      guard message.count >= 4 else { continue }
      let count = Int(message.span.number24(at: 1)) + 4
      guard count <= limits.messageBytes else { throw .tooLarge }
      guard message.count >= count else { continue }
      // Nothing follows a hello until it was answered.
      guard message.count == count else { throw .malformed }
      return try hello()
    }
  }

  private func hello() throws(ClientHelloError) -> ClientHello {
    let bytes = message.span
    var parts = HelloParts(range: 4..<bytes.count)
    var hello = ClientHello(byteCount: offset)
    let version = try parts.number16(bytes)
    guard version >> 8 == 3 else { throw .unknownVersion }
    _ = try parts.take(32)
    guard try parts.vector8(bytes).count <= 32 else { throw .malformed }
    let ciphers = try parts.vector16(bytes)
    guard !ciphers.isEmpty, ciphers.count.isMultiple(of: 2) else { throw .malformed }
    guard !(try parts.vector8(bytes).isEmpty) else { throw .malformed }
    hello.versions = [version]
    // Clients from before TLS 1.2 may send none.
    guard !parts.isEmpty else { return hello }
    var extensions = HelloParts(range: try parts.vector16(bytes))
    guard parts.isEmpty else { throw .malformed }
    var seen: Set<UInt16> = []
    while !extensions.isEmpty {
      guard seen.count < limits.extensionCount else { throw .tooManyParts }
      let type = try extensions.number16(bytes)
      let range = try extensions.vector16(bytes)
      guard seen.insert(type).inserted else { throw .repeatedExtension }
      switch type {
      case 0: hello.serverName = try serverName(bytes, range)
      case 16: hello.protocols = try protocols(bytes, range)
      case 43: hello.versions = try versions(bytes, range)
      default: break
      }
    }
    return hello
  }

  // MARK: Extensions

  private func serverName(
    _ bytes: Span<UInt8>,
    _ range: Range<Int>
  ) throws(ClientHelloError) -> String {
    var parts = HelloParts(range: range)
    var list = HelloParts(range: try parts.vector16(bytes))
    guard parts.isEmpty else { throw .malformed }
    // No type but the name of a host was ever defined, and of each type there is one.
    guard try list.number8(bytes) == 0 else { throw .malformed }
    var name = try list.vector16(bytes)
    guard list.isEmpty else { throw .malformed }
    if name.count > 1, bytes[name.upperBound - 1] == 0x2E {
      name = name.lowerBound..<name.upperBound - 1
    }
    guard (1...253).contains(name.count) else { throw .refusedName }
    var text: [UInt8] = []
    var labelBytes = 0
    for index in name {
      let byte = lowercased(bytes[index])
      switch byte {
      case 0x2E:
        guard labelBytes > 0 else { throw .refusedName }
        labelBytes = 0
      case 0x30...0x39, 0x61...0x7A, 0x2D, 0x5F:
        labelBytes += 1
        guard labelBytes <= 63 else { throw .refusedName }
      default: throw .refusedName
      }
      text.append(byte)
    }
    guard labelBytes > 0 else { throw .refusedName }
    return String(decoding: text, as: UTF8.self)
  }

  private func protocols(
    _ bytes: Span<UInt8>,
    _ range: Range<Int>
  ) throws(ClientHelloError) -> [[UInt8]] {
    var parts = HelloParts(range: range)
    var list = HelloParts(range: try parts.vector16(bytes))
    guard parts.isEmpty, !list.isEmpty else { throw .malformed }
    var protocols: [[UInt8]] = []
    while !list.isEmpty {
      let name = try list.vector8(bytes)
      guard !name.isEmpty else { throw .malformed }
      guard protocols.count < limits.protocolCount else { throw .tooManyParts }
      protocols.append(Array(copying: bytes.extracting(name)))
    }
    return protocols
  }

  private func versions(
    _ bytes: Span<UInt8>,
    _ range: Range<Int>
  ) throws(ClientHelloError) -> [UInt16] {
    var parts = HelloParts(range: range)
    var list = HelloParts(range: try parts.vector8(bytes))
    guard parts.isEmpty, !list.isEmpty else { throw .malformed }
    var versions: [UInt16] = []
    while !list.isEmpty {
      guard versions.count < limits.versionCount else { throw .tooManyParts }
      versions.append(try list.number16(bytes))
    }
    // Values that clients send so that nobody gets used to a fixed list, RFC 8701.
    return versions.filter { $0 & 0x0F0F != 0x0A0A }
  }
}

/// A cursor over a part of the message; it never leaves that part.
private struct HelloParts {
  private(set) var range: Range<Int>

  init(range: Range<Int>) { self.range = range }

  var isEmpty: Bool { range.isEmpty }

  /// The next `count` bytes.
  mutating func take(_ count: Int) throws(ClientHelloError) -> Range<Int> {
    guard count <= range.count else { throw .malformed }
    let taken = range.lowerBound..<range.lowerBound + count
    range = taken.upperBound..<range.upperBound
    return taken
  }

  mutating func number8(_ bytes: Span<UInt8>) throws(ClientHelloError) -> UInt8 {
    bytes[try take(1).lowerBound]
  }

  mutating func number16(_ bytes: Span<UInt8>) throws(ClientHelloError) -> UInt16 {
    bytes.number16(at: try take(2).lowerBound)
  }

  /// Bytes behind their length in one byte.
  mutating func vector8(_ bytes: Span<UInt8>) throws(ClientHelloError) -> Range<Int> {
    try take(Int(try number8(bytes)))
  }

  /// Bytes behind their length in two bytes.
  mutating func vector16(_ bytes: Span<UInt8>) throws(ClientHelloError) -> Range<Int> {
    try take(Int(try number16(bytes)))
  }
}
