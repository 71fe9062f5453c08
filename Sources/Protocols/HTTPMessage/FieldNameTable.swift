public import MartletBytes

extension FieldName {
  /// The field with this name; upper and lower case are the same.
  ///
  /// - Complexity: O(1); a name of more than 32 bytes is ``other`` at once.
  public init(_ bytes: Span<UInt8>) {
    self.init(in: bytes, at: 0, count: bytes.count)
  }

  /// The field whose name is the `count` bytes of `bytes` from `offset` on.
  ///
  /// The range must lie within `bytes`. Bytes behind it are not looked at.
  public init(in bytes: Span<UInt8>, at offset: Int, count: Int) {
    let end = offset + count
    let name = FieldNameTable.shared.name(in: bytes, at: offset, count: count)
    // The table takes a control byte for the byte above it.
    let isName = ByteSearch.firstControl(in: bytes, from: offset, to: end) == nil
    self = isName ? name : .other
  }
}

/// The names of fields by a hash of their first sixteen bytes and their length.
///
/// A parser keeps the table, which saves the question whether it is there for every field.
public final class FieldNameTable: Sendable {
  @usableFromInline
  struct Entry: Sendable {
    @usableFromInline var first = SixteenBytes(low: 0, high: 0)
    @usableFromInline var count: UInt8 = 0
    @usableFromInline var name = FieldName.other

    init() {}
  }

  /// The only table.
  public static let shared = FieldNameTable()

  /// The spelling of each name, by raw value.
  let texts: [StaticString]

  /// What is behind the first sixteen bytes of each name, by raw value.
  private let rests: [SixteenBytes]

  /// 256 places, of which a name takes the first free one from that of its hash on.
  @usableFromInline let entries: InlineArray<256, Entry>

  private init() {
    var texts = [StaticString](repeating: "", count: FieldName.allCases.count)
    var rests = [SixteenBytes](repeating: SixteenBytes(low: 0, high: 0), count: texts.count)
    var entries = InlineArray<256, Entry>(repeating: Entry())
    for (name, text) in FieldName.spellings {
      texts[Int(name.rawValue)] = text
      let bytes = Array(text.description.utf8)
      precondition(bytes.count <= 32, "a known name has 32 bytes at most")
      var entry = Entry()
      entry.first = SixteenBytes(bytes.span, at: 0).folded(bytes.count)
      if bytes.count > 16 {
        rests[Int(name.rawValue)] = SixteenBytes(bytes.span, at: 16).folded(bytes.count - 16)
      }
      entry.count = UInt8(bytes.count)
      entry.name = name
      var place = Self.place(of: entry.first, count: bytes.count)
      while entries[place].count != 0 { place = (place &+ 1) & 255 }
      entries[place] = entry
    }
    self.texts = texts
    self.rests = rests
    self.entries = entries
  }

  @inlinable @inline(__always)
  static func place(of first: SixteenBytes, count: Int) -> Int {
    let mixed = (first.low ^ (first.high &* 0xFF51_AFD7_ED55_8CCD)) &* 0x9E37_79B9_7F4A_7C15
    return Int(truncatingIfNeeded: (mixed &>> 56) ^ UInt64(truncatingIfNeeded: count)) & 255
  }

  /// The field whose name is the `count` bytes of `bytes` from `offset` on, which hold no control
  /// byte; with one, it may be taken for another name.
  @inlinable @inline(__always)
  public func name(in bytes: Span<UInt8>, at offset: Int, count: Int) -> FieldName {
    guard count <= 16 else { return longName(in: bytes, at: offset, count: count) }
    return name(SixteenBytes(bytes, at: offset), count: count)
  }

  /// The field whose name is the first `count` bytes of `bytes`, at most sixteen, which hold no
  /// control byte.
  @inlinable @inline(__always)
  public func name(_ bytes: SixteenBytes, count: Int) -> FieldName {
    let first = bytes.folded(count)
    var place = Self.place(of: first, count: count)
    // Two thirds of the places are empty, so this ends, and soon.
    while true {
      let entry = entries[place]
      if entry.first == first, Int(entry.count) == count { return entry.name }
      guard entry.count != 0 else { return .other }
      place = (place &+ 1) & 255
    }
  }

  /// The same for a name of more than sixteen bytes.
  @usableFromInline
  func longName(in bytes: Span<UInt8>, at offset: Int, count: Int) -> FieldName {
    guard count <= 32 else { return .other }
    let first = SixteenBytes(bytes, at: offset).folded(16)
    var place = Self.place(of: first, count: count)
    while true {
      let entry = entries[place]
      guard entry.count != 0 else { return .other }
      if entry.first == first, Int(entry.count) == count {
        let rest = SixteenBytes(bytes, at: offset &+ 16).folded(count &- 16)
        if rest == rests[Int(entry.name.rawValue)] { return entry.name }
      }
      place = (place &+ 1) & 255
    }
  }
}
