import MartletBytes

/// Addresses as the line of version 1 writes them.
///
/// Read strictly: a number with a leading zero is octal to some readers, and is refused.
enum AddressText {
  /// A decimal number up to `limit`, without leading zeros.
  private static func number(_ text: Span<UInt8>, limit: UInt32) -> UInt32? {
    guard (1...5).contains(text.count), text.count == 1 || text[0] != 0x30 else { return nil }
    var number: UInt32 = 0
    for index in text.indices {
      guard case 0x30...0x39 = text[index] else { return nil }
      number = number * 10 + UInt32(text[index] - 0x30)
    }
    return number <= limit ? number : nil
  }

  /// A port.
  static func port(_ text: Span<UInt8>) -> UInt16? {
    number(text, limit: 65_535).map { UInt16($0) }
  }

  /// `192.0.2.1`.
  static func ipv4(_ text: Span<UInt8>) -> UInt32? {
    var host: UInt32 = 0
    var start = 0
    for part in 0..<4 {
      var end = start
      while end < text.count, text[end] != 0x2E { end += 1 }
      guard let number = number(text.extracting(start..<end), limit: 255) else { return nil }
      host = host << 8 | number
      if part == 3 { return end == text.count ? host : nil }
      guard end < text.count else { return nil }
      start = end + 1
    }
    return nil
  }

  /// `2001:db8::1`, with at most one `::` and perhaps an IPv4 address as its last 32 bits.
  static func ipv6(_ text: Span<UInt8>) -> (high: UInt64, low: UInt64)? {
    guard (2...45).contains(text.count) else { return nil }
    var groups: [UInt16] = []
    var gap: Int?
    var offset = 0
    if text[0] == 0x3A {
      guard text[1] == 0x3A else { return nil }
      gap = 0
      offset = 2
    }
    while offset < text.count {
      guard groups.count < 8 else { return nil }
      var end = offset
      while end < text.count, text[end] != 0x3A, text[end] != 0x2E { end += 1 }
      if end < text.count, text[end] == 0x2E {
        guard groups.count <= 6, let host = ipv4(text.extracting(offset...)) else { return nil }
        groups += [UInt16(host >> 16), UInt16(host & 0xFFFF)]
        break
      }
      guard let group = group(text.extracting(offset..<end)) else { return nil }
      groups.append(group)
      guard end < text.count else { break }
      offset = end + 1
      // A colon has something behind it: a group, or the second colon of the gap.
      guard offset < text.count else { return nil }
      if text[offset] == 0x3A {
        guard gap == nil else { return nil }
        gap = groups.count
        offset += 1
      }
    }
    if let gap {
      guard groups.count < 8 else { return nil }
      groups.insert(contentsOf: Array(repeating: 0, count: 8 - groups.count), at: gap)
    }
    guard groups.count == 8 else { return nil }
    let high = groups[..<4].reduce(UInt64(0)) { $0 << 16 | UInt64($1) }
    let low = groups[4...].reduce(UInt64(0)) { $0 << 16 | UInt64($1) }
    return (high, low)
  }

  private static func group(_ text: Span<UInt8>) -> UInt16? {
    guard (1...4).contains(text.count) else { return nil }
    var group: UInt16 = 0
    for index in text.indices {
      guard let digit = hexDigit(text[index]) else { return nil }
      group = group << 4 | UInt16(digit)
    }
    return group
  }

  /// Writes an IPv4 host.
  static func text(ipv4 host: UInt32) -> String {
    "\(host >> 24).\(host >> 16 & 255).\(host >> 8 & 255).\(host & 255)"
  }

  /// Writes an IPv6 host, all eight groups: no reader takes it for anything else.
  static func text(ipv6 host: (high: UInt64, low: UInt64)) -> String {
    let shifts: [UInt64] = [48, 32, 16, 0]
    let groups = shifts.map { host.high >> $0 & 0xFFFF } + shifts.map { host.low >> $0 & 0xFFFF }
    return groups.map { String($0, radix: 16) }.joined(separator: ":")
  }
}
