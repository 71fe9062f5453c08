/// A hash table of byte strings that is written once and read without allocation.
///
/// The reader hashes and compares, so that one table serves keys of every form. Only the writer of a
/// configuration puts keys in: nobody outside can make many of them collide.
struct KeyTable: Sendable {
  private struct Entry: Sendable {
    let hash: UInt64
    let tag: Int
    let start: Int
    let count: Int
    let value: Int
  }

  // Entry numbers plus one, 0 where there is none; at least half of the slots are free.
  private var slots: [UInt32] = [0]
  private var entries: [Entry] = []
  private var bytes: [UInt8] = []

  var isEmpty: Bool { entries.isEmpty }

  /// Adds a key that the table does not have yet with this tag.
  mutating func insert(_ key: [UInt8], hash: UInt64, value: Int, tag: Int = 0) {
    entries.append(
      Entry(hash: hash, tag: tag, start: bytes.count, count: key.count, value: value)
    )
    bytes.append(contentsOf: key)
    if entries.count * 2 > slots.count {
      slots = Array(repeating: 0, count: slots.count * 4)
      for index in entries.indices { place(index) }
    } else {
      place(entries.count - 1)
    }
  }

  private mutating func place(_ index: Int) {
    var slot = Self.slot(entries[index].hash, slots.count)
    while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
    slots[slot] = UInt32(index + 1)
  }

  /// Where the search for a hash begins: its upper bits, which depend on every byte of the key.
  @inline(__always)
  private static func slot(_ hash: UInt64, _ count: Int) -> Int {
    Int(truncatingIfNeeded: hash &>> 32) & (count &- 1)
  }

  /// The value of the key of `count` bytes with this hash and tag that `isKey` says to be equal.
  @inline(__always)
  func value(hash: UInt64, count: Int, tag: Int = 0, where isKey: (Span<UInt8>) -> Bool) -> Int? {
    var slot = Self.slot(hash, slots.count)
    while true {
      let number = slots[slot]
      guard number != 0 else { return nil }
      let entry = entries[Int(number) &- 1]
      if entry.hash == hash, entry.tag == tag, entry.count == count,
        isKey(bytes.span.extracting(entry.start..<entry.start &+ entry.count))
      {
        return entry.value
      }
      slot = (slot &+ 1) & (slots.count &- 1)
    }
  }
}

/// A hash that is built byte by byte (FNV-1a), and mixed once more at the end.
struct ByteHash {
  private var state: UInt64 = 0xCBF2_9CE4_8422_2325

  @inline(__always)
  mutating func add(_ byte: UInt8) {
    state = (state ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
  }

  /// The hash of the bytes so far, for keys of the kind `tag`.
  @inline(__always)
  func value(tag: Int = 0) -> UInt64 {
    let mixed = (state ^ UInt64(truncatingIfNeeded: tag) &* 0xD6E8_FEB8_6659_FD93)
    return (mixed ^ mixed &>> 32) &* 0x9E37_79B9_7F4A_7C15
  }
}
