import MartletBytes

/// A host and its port, as in Host and in targets: `example.com:8080`, `[::1]`.
///
/// Stricter than a URI's authority: names of letters, digits, `-`, `.`, `_` and `~`; no user, no
/// escapes, no empty port. What is left is compared and routed byte by byte.
///
/// - Source: RFC 9110, sections 4.2 and 7.2; RFC 3986, section 3.2.2.
public struct Authority: Hashable, Sendable {
  /// The longest host, as in the name system.
  public static let hostBytes = 255

  /// Where the host lies; an IPv6 address with its brackets.
  public var host: ByteRange

  /// The port, where one is written.
  public var port: UInt16?

  /// Reads what lies in `range` of `bytes`.
  ///
  /// - Throws: ``MessageError`` with ``MessageError/Reason/emptyHost``,
  ///   ``MessageError/Reason/malformedHost``, ``MessageError/Reason/malformedPort`` or
  ///   ``MessageError/Reason/userinfo``.
  public init(_ bytes: Span<UInt8>, in range: Range<Int>) throws(MessageError) {
    guard !range.isEmpty else { throw MessageError(.emptyHost) }
    let end = range.upperBound
    var hostEnd = end
    if bytes[range.lowerBound] == 0x5B {
      hostEnd = try Self.endOfAddress(bytes, in: range)
    } else if let stop = Self.firstForeign(in: bytes, range) {
      guard bytes[stop] == 0x3A else {
        let isUser = ByteSearch.firstIndex(of: 0x40, in: bytes, from: stop, to: end) != nil
        throw MessageError(isUser ? .userinfo : .malformedHost)
      }
      hostEnd = stop
    }
    guard hostEnd > range.lowerBound else { throw MessageError(.emptyHost) }
    guard hostEnd - range.lowerBound <= Self.hostBytes, bytes[range.lowerBound] != 0x2E else {
      throw MessageError(.malformedHost)
    }
    host = ByteRange(range.lowerBound..<hostEnd)
    port = hostEnd == end ? nil : try Self.port(bytes, in: hostEnd + 1..<end)
  }

  /// Whether both name the same host and, where one leaves its port out, the same `defaultPort`.
  ///
  /// Without a default port, a port that is left out is that of the other.
  public static func areSame(
    _ left: Authority,
    _ right: Authority,
    in bytes: Span<UInt8>,
    defaultPort: UInt16?
  ) -> Bool {
    let leftPort = left.port ?? defaultPort ?? right.port
    let rightPort = right.port ?? defaultPort ?? left.port
    return leftPort == rightPort
      && equalIgnoringCase(
        bytes.extracting(left.host.range),
        bytes.extracting(right.host.range)
      )
  }

  /// The first byte that is not of a name.
  private static func firstForeign(in bytes: Span<UInt8>, _ range: Range<Int>) -> Int? {
    typealias Block = ByteSearch.Block
    return ByteSearch.firstIndex(in: bytes, from: range.lowerBound, to: range.upperBound) { block in
      let isLetter = ((block | 0x20) &- 0x61) .< Block(repeating: 26)
      // The bytes from `-` to `9`, of which only the slash is not of a name.
      let isDigit =
        ((block &- 0x2D) .< Block(repeating: 13)) .& (block .!= Block(repeating: 0x2F))
      let isOther = (block .== Block(repeating: 0x5F)) .| (block .== Block(repeating: 0x7E))
      return .!(isLetter .| isDigit .| isOther)
    }
  }

  private static func port(
    _ bytes: Span<UInt8>,
    in range: Range<Int>
  ) throws(MessageError) -> UInt16 {
    var port: UInt32 = 0
    var index = range.lowerBound
    let isTooLong = range.count > 5
    while index < range.upperBound {
      let digit = bytes[index] &- 0x30
      // Five digits cannot overflow.
      guard digit < 10, !isTooLong else {
        let isUser = ByteSearch.firstIndex(of: 0x40, in: bytes, from: index, to: range.upperBound)
        throw MessageError(isUser == nil ? .malformedPort : .userinfo)
      }
      port = port &* 10 &+ UInt32(digit)
      index &+= 1
    }
    guard let port = UInt16(exactly: port), port > 0 else { throw MessageError(.malformedPort) }
    return port
  }

  /// The offset behind the bracket that closes an IPv6 address.
  ///
  /// RFC 3986, section 3.2.2: eight groups of four digits, of which `::` leaves some out, and the
  /// last two perhaps as an IPv4 address. No zone: it means something on one machine only.
  private static func endOfAddress(
    _ bytes: Span<UInt8>,
    in range: Range<Int>
  ) throws(MessageError) -> Int {
    let malformed = MessageError(.malformedHost)
    let start = range.lowerBound + 1
    guard
      let close = ByteSearch.firstIndex(of: 0x5D, in: bytes, from: start, to: range.upperBound)
    else { throw malformed }
    var groups = 0
    var hasGap = false
    var index = start
    while index < close {
      if bytes[index] == 0x3A {
        guard index + 1 < close, bytes[index + 1] == 0x3A, !hasGap else { throw malformed }
        hasGap = true
        index += 2
        continue
      }
      let group = index
      while index < close, hexDigit(bytes[index]) != nil { index += 1 }
      if index < close, bytes[index] == 0x2E {
        guard isIPv4(bytes, in: group..<close) else { throw malformed }
        groups += 2
        index = close
        break
      }
      guard 1...4 ~= index - group else { throw malformed }
      groups += 1
      guard index < close else { break }
      // One colon and a group, or two colons.
      guard bytes[index] == 0x3A, index + 1 < close else { throw malformed }
      if bytes[index + 1] != 0x3A { index += 1 }
    }
    guard hasGap ? groups < 8 : groups == 8 else { throw malformed }
    let end = close + 1
    guard end == range.upperBound || bytes[end] == 0x3A else { throw malformed }
    return end
  }

  private static func isIPv4(_ bytes: Span<UInt8>, in range: Range<Int>) -> Bool {
    var parts = 0
    var value = 0
    var digits = 0
    for index in range.lowerBound...range.upperBound {
      let byte = index < range.upperBound ? bytes[index] : 0x2E
      if byte == 0x2E {
        guard digits > 0, value <= 255 else { return false }
        parts += 1
        value = 0
        digits = 0
      } else {
        guard byte &- 0x30 < 10, digits < 3, !(digits == 1 && value == 0) else { return false }
        value = value * 10 + Int(byte - 0x30)
        digits += 1
      }
    }
    return parts == 4
  }
}
