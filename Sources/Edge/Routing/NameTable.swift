import MartletBytes

/// A hash table of names in which the case of ASCII letters does not matter.
///
/// Names are hashed and compared sixteen bytes at a time. Only the writer of a configuration puts
/// names in: nobody outside can make many of them collide.
struct NameTable: Sendable {
  private struct Entry: Sendable {
    let hash: UInt64
    let count: Int
    let firstBlock: Int
    let value: Int
  }

  // Entry numbers plus one, 0 where there is none; at least half of the slots are free.
  private var slots: [UInt32] = [0]
  private var entries: [Entry] = []
  private var blocks: [FoldedBytes] = []

  /// Adds a name, unless the table has it.
  mutating func insert(_ name: Span<UInt8>, value: Int) {
    guard self.value(of: name) == nil else { return }
    let hash = Self.hash(name)
    entries.append(
      Entry(hash: hash, count: name.count, firstBlock: blocks.count, value: value)
    )
    for number in 0..<Self.blockCount(name) { blocks.append(Self.block(number, of: name)) }
    if entries.count * 2 > slots.count {
      slots = Array(repeating: 0, count: slots.count * 4)
      for index in entries.indices { place(index) }
    } else {
      place(entries.count - 1)
    }
  }

  private mutating func place(_ index: Int) {
    var slot = Int(truncatingIfNeeded: entries[index].hash &>> 32) & (slots.count - 1)
    while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
    slots[slot] = UInt32(index + 1)
  }

  /// The value of a name.
  ///
  /// - Complexity: O(*n*) in the bytes of the name, with no allocation.
  func value(of name: Span<UInt8>) -> Int? {
    let hash = Self.hash(name)
    let slots = slots.span
    var slot = Int(truncatingIfNeeded: hash &>> 32) & (slots.count &- 1)
    while slots[slot] != 0 {
      let entry = entries[Int(slots[slot]) &- 1]
      if entry.hash == hash, entry.count == name.count, isName(entry, name) { return entry.value }
      slot = (slot &+ 1) & (slots.count &- 1)
    }
    return nil
  }

  private func isName(_ entry: Entry, _ name: Span<UInt8>) -> Bool {
    for number in 0..<Self.blockCount(name)
    where blocks[entry.firstBlock &+ number] != Self.block(number, of: name) {
      return false
    }
    return true
  }

  @inline(__always)
  private static func blockCount(_ name: Span<UInt8>) -> Int { (name.count &+ 15) &>> 4 }

  /// Sixteen bytes of a name; the last ones overlap those before, so that none is read alone.
  @inline(__always)
  private static func block(_ number: Int, of name: Span<UInt8>) -> FoldedBytes {
    guard name.count >= 16 else { return FoldedBytes(name, at: 0, count: name.count) }
    return FoldedBytes(name, at: min(number &<< 4, name.count &- 16), count: 16)
  }

  @inline(__always)
  private static func hash(_ name: Span<UInt8>) -> UInt64 {
    var hash = UInt64(truncatingIfNeeded: name.count)
    for number in 0..<blockCount(name) {
      let block = block(number, of: name)
      hash = (hash ^ block.low) &* 0x9E37_79B9_7F4A_7C15
      hash = (hash ^ hash &>> 32 ^ block.high) &* 0xD6E8_FEB8_6659_FD93
      hash ^= hash &>> 29
    }
    // Slots are taken from the upper half.
    return hash &* 0x9E37_79B9_7F4A_7C15
  }
}
