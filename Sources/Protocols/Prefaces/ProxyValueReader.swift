import MartletBytes

/// The types of values, on the wire.
enum ProxyValueType {
  static let alpn: UInt8 = 0x01
  static let authority: UInt8 = 0x02
  static let checksum: UInt8 = 0x03
  static let padding: UInt8 = 0x04
  static let uniqueID: UInt8 = 0x05
  static let tls: UInt8 = 0x20
  static let tlsVersion: UInt8 = 0x21
  static let tlsCommonName: UInt8 = 0x22
  static let tlsCipher: UInt8 = 0x23
  static let tlsSignatureAlgorithm: UInt8 = 0x24
  static let tlsKeyAlgorithm: UInt8 = 0x25
  static let networkNamespace: UInt8 = 0x30
}

/// Reads the values of a block of version 2, one after the other.
struct ProxyValueReader {
  let limits: ProxyHeaderLimits
  private var count = 0
  private var values = ProxyValues()
  private var hasChecksum = false

  init(limits: ProxyHeaderLimits) {
    self.limits = limits
  }

  /// Reads what stands in `block` from `start` to its end.
  mutating func read(
    _ block: Span<UInt8>,
    from start: Int
  ) throws(ProxyHeaderError) -> ProxyValues {
    var offset = start
    while offset < block.count {
      let (type, range) = try next(block, &offset, end: block.count)
      switch type {
      case ProxyValueType.alpn: try set(\.alpn, block.extracting(range), text: false)
      case ProxyValueType.authority: try setAuthority(block.extracting(range))
      case ProxyValueType.checksum: try check(block, range)
      case ProxyValueType.padding: break
      case ProxyValueType.uniqueID:
        guard values.uniqueID == nil else { throw .repeatedValue }
        guard range.count <= limits.uniqueIDBytes else { throw .refusedValue }
        values.uniqueID = Array(copying: block.extracting(range))
      case ProxyValueType.tls: try readTLS(block, range)
      case ProxyValueType.networkNamespace: try set(\.networkNamespace, block.extracting(range))
      default:
        values.others.append(
          ProxyValue(type: type, bytes: Array(copying: block.extracting(range)))
        )
      }
    }
    return values
  }

  /// The type and the place of the value at `offset`, which is moved behind it.
  private mutating func next(
    _ block: Span<UInt8>,
    _ offset: inout Int,
    end: Int
  ) throws(ProxyHeaderError) -> (UInt8, Range<Int>) {
    count += 1
    guard count <= limits.valueCount else { throw .tooManyValues }
    guard end - offset >= 3 else { throw .malformedValues }
    let length = Int(block.number16(at: offset + 1))
    let start = offset + 3
    guard length <= end - start else { throw .malformedValues }
    offset = start + length
    return (block[start - 3], start..<start + length)
  }

  private mutating func set(
    _ path: WritableKeyPath<ProxyValues, [UInt8]?>,
    _ value: Span<UInt8>,
    text: Bool = true
  ) throws(ProxyHeaderError) {
    guard values[keyPath: path] == nil else { throw .repeatedValue }
    values[keyPath: path] = try text ? visible(value) : bounded(value)
  }

  private func bounded(_ value: Span<UInt8>) throws(ProxyHeaderError) -> [UInt8] {
    guard value.count <= limits.valueBytes else { throw .refusedValue }
    return Array(copying: value)
  }

  /// A text without control bytes, which a log or a field could be broken with.
  private func visible(_ value: Span<UInt8>) throws(ProxyHeaderError) -> [UInt8] {
    for index in value.indices where value[index] < 0x20 || value[index] == 0x7F {
      throw .refusedValue
    }
    return try bounded(value)
  }

  /// A host: what is no part of a name or an address has no business here.
  private mutating func setAuthority(_ value: Span<UInt8>) throws(ProxyHeaderError) {
    for index in value.indices where !Self.authorityBytes.contains(value[index]) {
      throw .refusedValue
    }
    try set(\.authority, value)
  }

  private static let authorityBytes = ByteClass { byte in
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x80...0xFF: true
    case 0x2D, 0x2E, 0x3A, 0x5B, 0x5D, 0x5F: true
    default: false
    }
  }

  /// Compares the checksum with that of the block, in which its own four bytes count as zeros.
  private mutating func check(
    _ block: Span<UInt8>,
    _ range: Range<Int>
  ) throws(ProxyHeaderError) {
    guard !hasChecksum else { throw .repeatedValue }
    hasChecksum = true
    guard range.count == 4 else { throw .malformedValues }
    var sum = CRC32C()
    sum.update(block.extracting(0..<range.lowerBound))
    sum.updateZeros(4)
    sum.update(block.extracting(range.upperBound..<block.count))
    guard sum.value == block.number32(at: range.lowerBound) else { throw .wrongChecksum }
  }

  private mutating func readTLS(
    _ block: Span<UInt8>,
    _ range: Range<Int>
  ) throws(ProxyHeaderError) {
    guard values.tls == nil else { throw .repeatedValue }
    guard range.count >= 5 else { throw .malformedValues }
    let client = block[range.lowerBound]
    var tls = ProxyTLS(
      isEncrypted: client & 1 != 0,
      hasCertificate: client & 2 != 0,
      hasSessionCertificate: client & 4 != 0,
      verification: block.number32(at: range.lowerBound + 1)
    )
    var offset = range.lowerBound + 5
    while offset < range.upperBound {
      let (type, part) = try next(block, &offset, end: range.upperBound)
      guard let path = Self.tlsParts[type] else { continue }
      guard tls[keyPath: path] == nil else { throw .repeatedValue }
      tls[keyPath: path] = try visible(block.extracting(part))
    }
    values.tls = tls
  }

  private static let tlsParts: [UInt8: any WritableKeyPath<ProxyTLS, [UInt8]?> & Sendable] = [
    ProxyValueType.tlsVersion: \.version,
    ProxyValueType.tlsCommonName: \.commonName,
    ProxyValueType.tlsCipher: \.cipher,
    ProxyValueType.tlsSignatureAlgorithm: \.signatureAlgorithm,
    ProxyValueType.tlsKeyAlgorithm: \.keyAlgorithm,
  ]
}
