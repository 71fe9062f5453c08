// Invariant of this file: `memory` has `capacity` bytes, which this value alone owns and frees; the
// first `count` are initialised. Every write stands behind `reserve`, which sees to its room, and
// every read from a span stays below the span's count.

// A value that owns its memory alone may go to another thread; the compiler cannot know it of a
// pointer.
/// Bytes of text that grow at their end.
///
/// It is an array that cannot be copied, so that appending never asks who else holds it. Growing is
/// the only thing that allocates; a buffer that is emptied keeps its room.
@safe
public struct TextBuffer: ~Copyable, @unchecked Sendable {
  private var memory: UnsafeMutableRawPointer

  /// How many bytes fit before the buffer grows.
  public private(set) var capacity: Int

  /// How many bytes it holds.
  public private(set) var count = 0

  /// Creates an empty buffer with room for `capacity` bytes.
  public init(capacity: Int = 256) {
    precondition(capacity >= 0, "room is not negative")
    self.capacity = max(capacity, 16)
    unsafe memory = UnsafeMutableRawPointer.allocate(byteCount: self.capacity, alignment: 16)
  }

  deinit { unsafe memory.deallocate() }

  /// The bytes held.
  public var bytes: Span<UInt8> {
    @_lifetime(borrow self)
    get {
      let span = unsafe Span<UInt8>(
        _unsafeStart: memory.assumingMemoryBound(to: UInt8.self),
        count: count
      )
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }

  /// The bytes held, for a system call that reads them.
  public var storage: UnsafeRawBufferPointer {
    unsafe UnsafeRawBufferPointer(start: memory, count: count)
  }

  /// Whether it holds nothing.
  public var isEmpty: Bool { count == 0 }

  /// Forgets everything but the first `kept` bytes, and keeps the room.
  public mutating func truncate(to kept: Int) {
    precondition(kept >= 0 && kept <= count, "more bytes than there are")
    count = kept
  }

  /// Sees to it that `more` bytes fit without growing.
  @inline(__always)
  public mutating func reserve(_ more: Int) {
    if capacity &- count < more { grow(more) }
  }

  @inline(never)
  private mutating func grow(_ more: Int) {
    let wanted = max(capacity * 2, count + more)
    let larger = UnsafeMutableRawPointer.allocate(byteCount: wanted, alignment: 16)
    unsafe larger.copyMemory(from: memory, byteCount: count)
    unsafe memory.deallocate()
    unsafe memory = larger
    capacity = wanted
  }

  /// Appends a byte.
  @inline(__always)
  public mutating func append(_ byte: UInt8) {
    reserve(1)
    unsafe memory.storeBytes(of: byte, toByteOffset: count, as: UInt8.self)
    count &+= 1
  }

  /// Appends the text of a literal.
  @inline(__always)
  public mutating func append(_ text: StaticString) {
    let length = text.utf8CodeUnitCount
    reserve(length)
    unsafe (memory + count).copyMemory(from: text.utf8Start, byteCount: length)
    count &+= length
  }

  /// Appends a copy of `span`.
  public mutating func append(_ span: Span<UInt8>) {
    reserve(span.count)
    unsafe span.withUnsafeBufferPointer { source in
      guard let start = source.baseAddress else { return }
      unsafe (memory + count).copyMemory(from: start, byteCount: source.count)
    }
    count &+= span.count
  }

  /// Appends the UTF-8 form of a string.
  @inline(__always)
  public mutating func append(utf8 text: String) { append(text.utf8.span) }
}

extension TextBuffer {
  private static let zeros: UInt64 = 0x3030_3030_3030_3030

  /// The eight digits of a number below 10^8, a byte each, the first in the lowest byte.
  ///
  /// One division splits the number into two of four digits; then multiplying by 10,486 / 2^20 splits
  /// both into two of two digits at once, and by 103 / 2^10 all four into single digits.
  @inline(__always)
  private static func digits(_ number: UInt64) -> UInt64 {
    let fours = number / 10_000 | (number % 10_000) &<< 32
    let hundreds = (fours &* 10_486) &>> 20 & 0x0000_007F_0000_007F
    let twos = hundreds | (fours &- hundreds &* 100) &<< 16
    let tens = (twos &* 103) &>> 10 & 0x000F_000F_000F_000F
    return tens | (twos &- tens &* 10) &<< 8
  }

  /// Appends the bytes of a word from the lowest on, of which `length` are kept.
  @inline(__always)
  private mutating func append(word: UInt64, length: Int) {
    reserve(8)
    unsafe memory.storeBytes(of: word.littleEndian, toByteOffset: count, as: UInt64.self)
    count &+= length
  }

  /// Appends a number in decimal digits.
  public mutating func append(decimal number: UInt64) {
    if number < 10 {
      append(0x30 &+ UInt8(truncatingIfNeeded: number))
    } else if number < 100_000_000 {
      let digits = Self.digits(number)
      let skipped = digits.trailingZeroBitCount & ~7
      append(word: (digits | Self.zeros) &>> UInt64(skipped), length: 8 &- skipped &>> 3)
    } else {
      append(decimal: number / 100_000_000)
      append(number % 100_000_000, digits: 8)
    }
  }

  /// Appends a number with its sign, if that is negative, in decimal digits.
  public mutating func append(decimal number: Int64) {
    if number < 0 { append(0x2D) }
    append(decimal: number.magnitude)
  }

  /// Appends a number below 10^8 with leading zeros: its last `length` digits, at most eight.
  @inline(__always)
  mutating func append(_ number: UInt64, digits length: Int) {
    append(
      word: (Self.digits(number) | Self.zeros) &>> UInt64(64 &- 8 &* length),
      length: length
    )
  }

  /// Microseconds below ten seconds as the eight bytes of `0.001250`.
  @inline(__always)
  private static func shortSeconds(_ micros: UInt64) -> UInt64 {
    // Of eight digits the first is 0: seven and the point are left.
    let digits = digits(micros) | zeros
    return digits &>> 8 & 0xFF | 0x2E00 | digits & ~0xFFFF
  }

  /// Writes a duration below ten seconds over the eight bytes at `offset`, as ``append(seconds:)``
  /// would.
  ///
  /// - Returns: Whether it is below ten seconds; else nothing is written.
  @inline(__always)
  mutating func overwrite(seconds nanoseconds: UInt64, at offset: Int) -> Bool {
    precondition(offset >= 0 && offset &+ 8 <= count, "a place in what is written")
    guard nanoseconds < 10_000_000_000 else { return false }
    let word = Self.shortSeconds(nanoseconds / 1000)
    unsafe memory.storeBytes(of: word.littleEndian, toByteOffset: offset, as: UInt64.self)
    return true
  }

  /// Appends nanoseconds as seconds with six decimal places, rounded down: `0.001250`.
  public mutating func append(seconds nanoseconds: UInt64) {
    let micros = nanoseconds / 1000
    if micros < 10_000_000 {
      append(word: Self.shortSeconds(micros), length: 8)
    } else {
      append(decimal: micros / 1_000_000)
      append(0x2E)
      append(micros % 1_000_000, digits: 6)
    }
  }

  /// Appends the sixteen hexadecimal digits of a number.
  public mutating func append(hex number: UInt64) {
    reserve(16)
    // Each half of the number becomes eight bytes of one digit each, the highest first.
    var shift: UInt64 = 32
    for _ in 0..<2 {
      var nibbles = number &>> shift & 0xFFFF_FFFF
      nibbles = (nibbles | nibbles &<< 16) & 0x0000_FFFF_0000_FFFF
      nibbles = (nibbles | nibbles &<< 8) & 0x00FF_00FF_00FF_00FF
      nibbles = (nibbles | nibbles &<< 4) & 0x0F0F_0F0F_0F0F_0F0F
      // Adding 6 carries into bit 4 for the digits a to f.
      let letters = (nibbles &+ 0x0606_0606_0606_0606) &>> 4 & 0x0101_0101_0101_0101
      let text = nibbles &+ 0x3030_3030_3030_3030 &+ letters &* 0x27
      unsafe memory.storeBytes(of: text.bigEndian, toByteOffset: count, as: UInt64.self)
      count &+= 8
      shift = 0
    }
  }
}

extension TextBuffer {
  /// Appends bytes of `text` from `start` on, up to the first that no quoted text may hold as it is.
  ///
  /// Those are the control bytes, the quotation mark, the backslash, DEL and everything above.
  ///
  /// - Returns: The offset of the byte at which it stopped, or the count of `text`.
  mutating func appendPlain(_ text: Span<UInt8>, from start: Int) -> Int {
    precondition(start >= 0 && start <= text.count, "a place in the text")
    let length = text.count &- start
    reserve(length)
    let target = unsafe memory + count
    let copied = unsafe text.withUnsafeBytes { source in
      guard let first = source.baseAddress else { return 0 }
      return unsafe Self.copyPlain(from: first + start, to: target, count: length)
    }
    count &+= copied
    return start &+ copied
  }

  /// Copies bytes up to the first that is not plain; returns how many.
  ///
  /// It may write behind those, but not behind `count`: the caller has both.
  @inline(__always)
  private static func copyPlain(
    from source: UnsafeRawPointer,
    to target: UnsafeMutableRawPointer,
    count: Int
  ) -> Int {
    var offset = 0
    if count >= 16 {
      while offset &+ 16 <= count {
        if let stop = unsafe copySixteen(source + offset, target + offset) {
          return offset &+ stop
        }
        offset &+= 16
      }
      guard offset < count else { return count }
      // The last sixteen bytes again: those before `offset` are known to be plain.
      offset = count &- 16
      if let stop = unsafe copySixteen(source + offset, target + offset) { return offset &+ stop }
      return count
    }
    if count >= 8 {
      if let stop = unsafe copyEight(source, target) { return stop }
      offset = count &- 8
      if let stop = unsafe copyEight(source + offset, target + offset) { return offset &+ stop }
      return count
    }
    if count >= 4 {
      // Four bytes from each end in one word; they overlap as they may.
      let end = count &- 4
      let low = unsafe source.loadUnaligned(as: UInt32.self)
      let high = unsafe source.loadUnaligned(fromByteOffset: end, as: UInt32.self)
      if special(UInt64(low) | UInt64(high) &<< 32) == 0 {
        unsafe target.storeBytes(of: low, as: UInt32.self)
        unsafe target.storeBytes(of: high, toByteOffset: end, as: UInt32.self)
        return count
      }
    }
    while offset < count {
      let byte = unsafe source.load(fromByteOffset: offset, as: UInt8.self)
      if byte &- 0x20 >= 0x5F || byte == 0x22 || byte == 0x5C { return offset }
      unsafe target.storeBytes(of: byte, toByteOffset: offset, as: UInt8.self)
      offset &+= 1
    }
    return count
  }

  /// Copies sixteen bytes; returns the place of the first that is not plain, if one is not.
  ///
  /// The constants name their whole type: else the compiler takes the form of the comparison that
  /// goes byte by byte.
  @inline(__always)
  private static func copySixteen(
    _ source: UnsafeRawPointer,
    _ target: UnsafeMutableRawPointer
  ) -> Int? {
    let block = unsafe source.loadUnaligned(as: SIMD16<UInt8>.self)
    unsafe target.storeBytes(of: block, as: SIMD16<UInt8>.self)
    let special =
      (block .< SIMD16<UInt8>(repeating: 0x20)) .| (block .> SIMD16<UInt8>(repeating: 0x7E))
      .| (block .== SIMD16<UInt8>(repeating: 0x22)) .| (block .== SIMD16<UInt8>(repeating: 0x5C))
    // A mask is sixteen bytes of all ones or all zeros, as are two words of eight.
    let words = unsafe unsafeBitCast(special, to: SIMD2<UInt64>.self)
    if words[0] | words[1] == 0 { return nil }
    return words[0] != 0
      ? words[0].trailingZeroBitCount &>> 3 : 8 &+ words[1].trailingZeroBitCount &>> 3
  }

  /// Copies eight bytes; returns the place of the first that is not plain, if one is not.
  @inline(__always)
  private static func copyEight(
    _ source: UnsafeRawPointer,
    _ target: UnsafeMutableRawPointer
  ) -> Int? {
    let word = unsafe source.loadUnaligned(as: UInt64.self)
    unsafe target.storeBytes(of: word, as: UInt64.self)
    let special = special(UInt64(littleEndian: word))
    return special == 0 ? nil : special.trailingZeroBitCount &>> 3
  }

  /// Marks bytes that are not plain by their highest bit; only the lowest mark is certain.
  ///
  /// Taking away from every byte at once borrows out of those that are less, from the lowest on:
  /// below the first mark nothing was borrowed.
  @inline(__always)
  private static func special(_ word: UInt64) -> UInt64 {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let control = word &- ones &* 0x20
    let quote = (word ^ ones &* 0x22) &- ones
    let backslash = (word ^ ones &* 0x5C) &- ones
    let delete = (word ^ ones &* 0x7F) &- ones
    return (((control | quote) | (backslash | delete)) & ~word | word) & (ones &* 0x80)
  }
}
