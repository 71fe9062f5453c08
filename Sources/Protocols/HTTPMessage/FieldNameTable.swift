import MartletBytes

extension FieldName {
  /// The field with this name; upper and lower case are the same.
  ///
  /// - Complexity: O(1); a name of more than 32 bytes is ``other`` at once.
  public init(_ bytes: Span<UInt8>) {
    self = FieldNameTable.shared.name(in: bytes, at: 0, count: bytes.count)
  }

  /// The field whose name is the `count` bytes of `bytes` from `offset` on.
  ///
  /// The range must lie within `bytes`. Bytes behind it are not looked at, yet where they exist the
  /// look-up is faster than over a span that ends with the name.
  public init(in bytes: Span<UInt8>, at offset: Int, count: Int) {
    self = FieldNameTable.shared.name(in: bytes, at: offset, count: count)
  }
}

/// The names of fields by a hash of their first sixteen bytes and their length.
struct FieldNameTable: Sendable {
  private struct Entry {
    var first: FoldedBytes
    // The last sixteen bytes of a name of 17 to 32; those of shorter names are all in `first`.
    var last: FoldedBytes
    var count: Int
    var name: FieldName
  }

  static let shared = FieldNameTable()

  /// The spelling of each name, by raw value.
  let texts: [StaticString]

  // 256 slots with the number of an entry, or 0; the entry 0 is never found.
  private let slots: [UInt8]
  private let entries: [Entry]

  private init() {
    var texts = [StaticString](repeating: "", count: FieldName.allCases.count)
    var slots = [UInt8](repeating: 0, count: 256)
    let empty = [0 as UInt8]
    let none = FoldedBytes(empty.span, at: 0, count: 0)
    var entries = [Entry(first: none, last: none, count: -1, name: .other)]
    for (name, text) in FieldName.spellings {
      texts[Int(name.rawValue)] = text
      let bytes = Array(text.description.utf8)
      let first = FoldedBytes(bytes.span, at: 0, count: min(bytes.count, 16))
      var last = none
      if bytes.count > 16 { last = FoldedBytes(bytes.span, at: bytes.count - 16, count: 16) }
      var slot = Self.slot(of: first, count: bytes.count)
      while slots[slot] != 0 { slot = (slot + 1) & 255 }
      slots[slot] = UInt8(entries.count)
      entries.append(Entry(first: first, last: last, count: bytes.count, name: name))
    }
    self.texts = texts
    self.slots = slots
    self.entries = entries
  }

  @inline(__always)
  private static func slot(of first: FoldedBytes, count: Int) -> Int {
    let mixed = (first.low ^ (first.high &* 0xFF51_AFD7_ED55_8CCD)) &* 0x9E37_79B9_7F4A_7C15
    return Int(truncatingIfNeeded: (mixed &>> 56) ^ UInt64(truncatingIfNeeded: count)) & 255
  }

  /// The field whose name is the `count` bytes of `bytes` from `offset` on.
  @inline(__always)
  func name(in bytes: Span<UInt8>, at offset: Int, count: Int) -> FieldName {
    guard count <= 32 else { return .other }
    let first = FoldedBytes(bytes, at: offset, count: min(count, 16))
    var slot = Self.slot(of: first, count: count)
    // Three quarters of the slots are empty, so this ends, and soon.
    while true {
      let number = slots[slot]
      guard number != 0 else { return .other }
      let entry = entries[Int(number)]
      if entry.first == first, entry.count == count {
        if count <= 16 { return entry.name }
        if FoldedBytes(bytes, at: offset &+ count &- 16, count: 16) == entry.last {
          return entry.name
        }
      }
      slot = (slot &+ 1) & 255
    }
  }
}
