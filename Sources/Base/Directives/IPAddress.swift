/// An address of the Internet Protocol.
public enum IPAddress: Hashable, Sendable {
  /// A host as a 32-bit number in host order.
  case ipv4(UInt32)
  /// A host as two 64-bit numbers in host order.
  case ipv6(UInt64, UInt64)

  /// This machine, as `127.0.0.1`.
  public static let loopback = IPAddress.ipv4(0x7F00_0001)

  /// The address as two words; an IPv4 address as `::ffff:a.b.c.d`.
  public var words: (UInt64, UInt64) {
    switch self {
    case .ipv4(let host): (0, 0xFFFF_0000_0000 | UInt64(host))
    case .ipv6(let high, let low): (high, low)
    }
  }

  /// Reads `192.0.2.1` or `2001:db8::1`, without brackets, port or zone.
  ///
  /// IPv4 numbers are decimal, without leading zeros: `010.0.0.1` is read as octal by some and as
  /// decimal by others, so it is refused.
  ///
  /// - Returns: The address, or nil if `text` is none.
  public init?(_ text: some StringProtocol) {
    let bytes = Array(text.utf8.prefix(64))
    if bytes.contains(UInt8(ascii: ":")) {
      guard let (high, low) = Self.ipv6Words(bytes) else { return nil }
      self = .ipv6(high, low)
    } else {
      guard let host = Self.ipv4Host(bytes[...]) else { return nil }
      self = .ipv4(host)
    }
  }

  private static func ipv4Host(_ bytes: ArraySlice<UInt8>) -> UInt32? {
    let parts = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard parts.count == 4 else { return nil }
    var host: UInt32 = 0
    for part in parts {
      guard (1...3).contains(part.count), part.count == 1 || part.first != UInt8(ascii: "0") else {
        return nil
      }
      var number: UInt32 = 0
      for byte in part {
        guard (0x30...0x39).contains(byte) else { return nil }
        number = number * 10 + UInt32(byte - 0x30)
      }
      guard number < 256 else { return nil }
      host = host << 8 | number
    }
    return host
  }

  /// The groups of one side of `::`, of which the last may be an IPv4 address.
  private static func groups(_ bytes: ArraySlice<UInt8>, endsAddress: Bool) -> [UInt16]? {
    guard !bytes.isEmpty else { return [] }
    let parts = bytes.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
    guard parts.count <= 8 else { return nil }
    var groups: [UInt16] = []
    for (index, part) in parts.enumerated() {
      if endsAddress, index == parts.count - 1, part.contains(UInt8(ascii: ".")) {
        guard let host = ipv4Host(part) else { return nil }
        groups += [UInt16(host >> 16), UInt16(host & 0xFFFF)]
        continue
      }
      guard (1...4).contains(part.count), part.first != UInt8(ascii: "+"),
        let group = UInt16(String(decoding: part, as: UTF8.self), radix: 16)
      else { return nil }
      groups.append(group)
    }
    return groups
  }

  private static func ipv6Words(_ bytes: [UInt8]) -> (UInt64, UInt64)? {
    let colon = UInt8(ascii: ":")
    var gap: Int?
    for index in bytes.indices.dropLast() where bytes[index] == colon && bytes[index + 1] == colon {
      // A second gap, or three colons in a row.
      guard gap == nil else { return nil }
      gap = index
    }
    var groups: [UInt16]
    if let gap {
      guard let front = Self.groups(bytes[..<gap], endsAddress: false),
        let back = Self.groups(bytes[(gap + 2)...], endsAddress: true),
        front.count + back.count < 8
      else { return nil }
      groups = front + Array(repeating: 0, count: 8 - front.count - back.count) + back
    } else {
      guard let all = Self.groups(bytes[...], endsAddress: true), all.count == 8 else { return nil }
      groups = all
    }
    let high = groups[..<4].reduce(UInt64(0)) { $0 << 16 | UInt64($1) }
    let low = groups[4...].reduce(UInt64(0)) { $0 << 16 | UInt64($1) }
    return (high, low)
  }
}

extension IPAddress: CustomStringConvertible {
  /// The address as text; IPv6 in the form of RFC 5952.
  public var description: String {
    switch self {
    case .ipv4(let host):
      return "\(host >> 24).\(host >> 16 & 255).\(host >> 8 & 255).\(host & 255)"
    case .ipv6(let high, let low):
      if high == 0, low >> 32 == 0xFFFF {
        return "::ffff:\(IPAddress.ipv4(UInt32(truncatingIfNeeded: low)))"
      }
      let shifts: [UInt64] = [48, 32, 16, 0]
      let groups = shifts.map { high >> $0 & 0xFFFF } + shifts.map { low >> $0 & 0xFFFF }
      let gap = Self.longestZeros(groups)
      let texts = groups.map { String($0, radix: 16) }
      guard !gap.isEmpty else { return texts.joined(separator: ":") }
      return texts[..<gap.lowerBound].joined(separator: ":") + "::"
        + texts[gap.upperBound...].joined(separator: ":")
    }
  }

  /// The longest run of two or more zero groups, the first of several.
  private static func longestZeros(_ groups: [UInt64]) -> Range<Int> {
    var longest = 0..<0
    var start = 0
    while start < groups.count {
      let end = groups[start...].firstIndex { $0 != 0 } ?? groups.count
      if end - start > max(longest.count, 1) { longest = start..<end }
      start = max(end, start + 1)
    }
    return longest
  }
}

/// A block of addresses that share their first bits, as `192.0.2.0/24`.
public struct Network: Hashable, Sendable {
  /// The first address of the block.
  public let address: IPAddress
  /// How many leading bits are shared: 0 to 32 for IPv4, 0 to 128 for IPv6.
  public let prefixBits: Int

  /// Creates the network of the first `prefixBits` bits of `address`.
  ///
  /// - Returns: The network, or nil when the address has no so many bits or has a bit set behind
  ///   them.
  public init?(_ address: IPAddress, prefixBits: Int) {
    let width = if case .ipv4 = address { 32 } else { 128 }
    guard (0...width).contains(prefixBits) else { return nil }
    self.address = address
    self.prefixBits = prefixBits
    let (high, low) = address.words
    let mask = masks
    guard high & ~mask.0 == 0, low & ~mask.1 == 0 else { return nil }
  }

  /// Reads `192.0.2.0/24`, `2001:db8::/32` or one address.
  ///
  /// - Returns: The network, or nil if `text` is none.
  public init?(_ text: some StringProtocol) {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let first = parts.first, let address = IPAddress(first) else { return nil }
    let width = if case .ipv4 = address { 32 } else { 128 }
    var bits = width
    if parts.count == 2 {
      guard parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(parts[1])
      else { return nil }
      bits = number
    }
    self.init(address, prefixBits: bits)
  }

  /// Creates the network of the first `bits` bits of `address`, whatever stands behind them.
  ///
  /// - Returns: The network, or nil when the address has no so many bits.
  public init?(_ address: IPAddress, keepingBits bits: Int) {
    let width = if case .ipv4 = address { 32 } else { 128 }
    guard (0...width).contains(bits) else { return nil }
    switch address {
    case .ipv4(let host):
      self.init(.ipv4(bits == 0 ? 0 : host & ~UInt32(0) << (32 - UInt32(bits))), prefixBits: bits)
    case .ipv6(let high, let low):
      // A shift by 64 or more gives 0.
      let keptHigh = high & UInt64.max << (64 - min(bits, 64))
      let keptLow = low & UInt64.max << (128 - max(bits, 64))
      self.init(.ipv6(keptHigh, keptLow), prefixBits: bits)
    }
  }

  private var masks: (UInt64, UInt64) {
    // An IPv4 network lies in ::ffff:0:0/96.
    let bits = if case .ipv4 = address { prefixBits + 96 } else { prefixBits }
    let high = bits >= 64 ? UInt64.max : ~(UInt64.max >> UInt64(bits))
    let low = bits <= 64 ? 0 : bits == 128 ? UInt64.max : ~(UInt64.max >> UInt64(bits - 64))
    return (high, low)
  }

  /// Whether `address` lies in the network; `::ffff:a.b.c.d` counts as the IPv4 address it holds.
  public func contains(_ address: IPAddress) -> Bool {
    contains(words: address.words)
  }

  /// Whether the address with these words (see ``IPAddress/words``) lies in the network.
  public func contains(words: (UInt64, UInt64)) -> Bool {
    let (high, low) = self.address.words
    let mask = masks
    return words.0 & mask.0 == high && words.1 & mask.1 == low
  }
}

extension Network: CustomStringConvertible {
  /// The network as it is written in a configuration.
  public var description: String { "\(address)/\(prefixBits)" }
}
