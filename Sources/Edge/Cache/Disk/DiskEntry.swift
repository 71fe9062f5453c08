import MartletBytes

/// A line of the journal that each segment of a disk has: what was written into it, or what must be forgotten.
///
/// ```
///   0 word   8 variant   16 offset   24 length   32 number   40 kind   48 sum
/// ```
///
/// All have the same length, so that one that is broken does not hide those behind it. The sum knows the
/// segment and the place.
public struct DiskEntry: Hashable, Sendable {
  /// What it is about.
  public enum Kind: UInt64, Sendable {
    /// The segment begins.
    case opening = 1
    /// An answer was written.
    case answer = 2
    /// Answers with this word, and with a variant other than 0 only those with that, are gone.
    case forget = 3
    /// Something was purged: what, stands at the offset.
    case purge = 4
    /// Nothing comes behind this.
    case seal = 5
    /// Nothing comes behind this but answers that were coming, and the end.
    case retirement = 6
  }

  /// How many bytes each takes.
  public static let byteCount = 56

  /// What it is about.
  public var kind: Kind
  /// What the key is known by.
  public var word: UInt64 = 0
  /// What the variant is known by.
  public var variant: UInt64 = 0
  /// Where in the segment it begins.
  public var offset: UInt64 = 0
  /// How long it is.
  public var length: UInt64 = 0
  /// The last purge that an answer need not be looked at for, or the number of a purge.
  public var number: UInt64 = 0

  /// Creates an entry.
  public init(
    _ kind: Kind,
    word: UInt64 = 0,
    variant: UInt64 = 0,
    offset: UInt64 = 0,
    length: UInt64 = 0,
    number: UInt64 = 0
  ) {
    self.kind = kind
    self.word = word
    self.variant = variant
    self.offset = offset
    self.length = length
    self.number = number
  }

  private static func seed(_ segment: UInt64, _ place: Int) -> UInt64 {
    segment &* 0x9E37_79B9_7F4A_7C15 ^ UInt64(truncatingIfNeeded: place)
  }

  /// The bytes of the entry as the one at `place` of a segment.
  public func encoded(at place: Int, of segment: UInt64) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Self.byteCount)
    for number in [word, variant, offset, length, number, kind.rawValue] {
      bytes.append(word: number)
    }
    bytes.append(word: XXH64.sum(of: bytes.span, seed: Self.seed(segment, place)))
    return bytes
  }

  /// Reads the entry at `place` of a segment, whose journal `bytes` is; nil for one that is broken.
  public init?(_ bytes: Span<UInt8>, at place: Int, of segment: UInt64) {
    let start = place * Self.byteCount
    guard place >= 0, bytes.count >= start + Self.byteCount else { return nil }
    let own = bytes.extracting(start..<start + Self.byteCount)
    let (first, second) = (SixteenBytes(own, at: 0), SixteenBytes(own, at: 16))
    let (third, sum) = (SixteenBytes(own, at: 32), SixteenBytes(own, at: 48).low)
    guard
      sum
        == XXH64.sum(
          of: own.extracting(0..<Self.byteCount - 8),
          seed: Self.seed(segment, place)
        ),
      let kind = Kind(rawValue: third.high)
    else { return nil }
    self.kind = kind
    (word, variant) = (first.low, first.high)
    (offset, length) = (second.low, second.high)
    number = third.low
  }
}

extension [UInt8] {
  /// Appends a word, its lowest byte first.
  mutating func append(word: UInt64) {
    for index in 0..<8 { append(UInt8(truncatingIfNeeded: word >> UInt64(index * 8))) }
  }

  /// The word at a place; nil where there are too few bytes.
  func word(at offset: Int) -> UInt64? {
    guard offset >= 0, count - offset >= 8 else { return nil }
    var word: UInt64 = 0
    for index in (0..<8).reversed() { word = word << 8 | UInt64(self[offset + index]) }
    return word
  }
}
