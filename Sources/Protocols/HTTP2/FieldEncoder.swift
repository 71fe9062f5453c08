import MartletBytes

/// Compresses heads that are given as the text of HTTP/1.1.
///
/// A field is put into the table when it is sent for the second time: what is different with each
/// message never drives out what is always the same.
///
/// - Source: RFC 7541, sections 2, 5 and 6.
struct FieldEncoder: Sendable {
  /// The most that a table of ours takes, whatever the peer allows.
  static let tableBytes = 4096

  private var table: FieldTable
  private let known = StaticFields.shared
  private let huffman = Huffman.shared
  /// The fields that were sent lately, by their hash.
  private var recent: [Recent] = []
  private var name: [UInt8] = []
  /// The sizes that the peer has to be told with the next block: the least, and the present one.
  private var leastSize: Int?
  private var isResized = false

  private struct Recent: Sendable {
    var hash: UInt32 = 0
    /// What number it was inserted as, from 1; 0: it was only seen.
    var number = 0
  }

  private static let recentCount = 128
  /// A longer value is hardly ever sent twice.
  private static let keptBytes = 512

  init() { table = FieldTable(capacity: Self.tableBytes) }

  /// Follows a change of the peer's settings.
  mutating func allow(tableBytes: Int) {
    let size = min(tableBytes, Self.tableBytes)
    guard size != table.capacity else { return }
    leastSize = min(leastSize ?? size, size)
    isResized = true
    table.resize(to: size)
  }

  /// Appends what a block begins with.
  mutating func begin(into out: inout [UInt8]) {
    guard isResized else { return }
    if let leastSize, leastSize < table.capacity { put(leastSize, bits: 5, mark: 0x20, &out) }
    put(table.capacity, bits: 5, mark: 0x20, &out)
    isResized = false
    leastSize = nil
  }

  /// Appends a status.
  mutating func put(status: UInt16, into out: inout [UInt8]) {
    let number: UInt8
    switch status {
    case 200: number = 8
    case 204: number = 9
    case 206: number = 10
    case 304: number = 11
    case 400: number = 12
    case 404: number = 13
    case 500: number = 14
    default:
      put(StaticFields.status, bits: 4, mark: 0, &out)
      out.append(3)
      out.append(UInt8(0x30 + status / 100 % 10))
      out.append(UInt8(0x30 + status / 10 % 10))
      out.append(UInt8(0x30 + status % 10))
      return
    }
    out.append(0x80 | number)
  }

  /// Appends a pseudo-field whose name has a number; its value is kept if it may come again.
  mutating func put(pseudo number: Int, _ value: Span<UInt8>, into out: inout [UInt8]) {
    put(number, bits: 4, mark: 0, &out)
    put(string: value, into: &out)
  }

  /// Appends a number of the table that every connection knows.
  mutating func put(known number: Int, into out: inout [UInt8]) { out.append(0x80 | UInt8(number)) }

  /// Appends the field whose line `name: value` lies in `range` of `text`; its name has `nameCount`
  /// bytes, and its value begins at `valueStart`.
  mutating func put(
    _ text: Span<UInt8>,
    _ range: Range<Int>,
    nameCount: Int,
    valueStart: Int,
    isSecret: Bool,
    into out: inout [UInt8]
  ) {
    let value = text.extracting(valueStart..<range.upperBound)
    // Only lines in their plain form are kept: what is compared is the line.
    let isPlain = valueStart == range.lowerBound + nameCount + 2
    var isInserted = false
    if !isSecret, isPlain, value.count <= Self.keptBytes {
      let hash = Self.hash(text, range)
      if recent.isEmpty { recent = Array(repeating: Recent(), count: Self.recentCount) }
      let place = Int(hash) & (Self.recentCount - 1)
      if recent[place].hash == hash {
        let age = table.insertedCount - recent[place].number
        if recent[place].number > 0, let entry = table.entry(age),
          table.isSame(entry, as: text, range)
        {
          put(StaticFields.count + 1 + age, bits: 7, mark: 0x80, &out)
          return
        }
        isInserted = true
      }
      recent[place].hash = hash
      recent[place].number = isInserted ? table.insertedCount + 1 : 0
    }
    name.removeAll(keepingCapacity: true)
    for index in range.lowerBound..<range.lowerBound + nameCount {
      name.append(lowercased(text[index]))
    }
    let number = known.number(ofName: name.span)
    if isInserted {
      put(number, bits: 6, mark: 0x40, &out)
      table.insert(text.extracting(range), nameCount: nameCount, kind: .regular)
    } else {
      put(number, bits: 4, mark: isSecret ? 0x10 : 0, &out)
    }
    if number == 0 { put(string: name.span, into: &out) }
    put(string: value, into: &out)
  }

  /// Appends a string, coded if that is shorter.
  private func put(string: Span<UInt8>, into out: inout [UInt8]) {
    let coded = huffman.byteCount(of: string)
    if coded < string.count {
      put(coded, bits: 7, mark: 0x80, &out)
      huffman.encode(string, into: &out)
    } else {
      put(string.count, bits: 7, mark: 0, &out)
      out.append(copying: string)
    }
  }

  /// Appends a number with a prefix of `bits` bits behind `mark`.
  private func put(_ number: Int, bits: UInt8, mark: UInt8, _ out: inout [UInt8]) {
    let mask = Int(UInt8(1) << bits - 1)
    guard number >= mask else {
      out.append(mark | UInt8(number))
      return
    }
    out.append(mark | UInt8(mask))
    var rest = number - mask
    while rest >= 0x80 {
      out.append(UInt8(rest & 0x7F) | 0x80)
      rest >>= 7
    }
    out.append(UInt8(rest))
  }

  private static func hash(_ text: Span<UInt8>, _ range: Range<Int>) -> UInt32 {
    var hash: UInt64 = UInt64(range.count) &* 0x9E37_79B9_7F4A_7C15
    var offset = range.lowerBound
    while offset < range.upperBound {
      let piece = SixteenBytes(text, at: offset).first(min(16, range.upperBound - offset))
      hash = (hash ^ piece.low) &* 0xFF51_AFD7_ED55_8CCD
      hash = (hash ^ hash >> 29 ^ piece.high) &* 0xC4CE_B9FE_1A85_EC53
      offset += 16
    }
    // Never 0, which means an empty place.
    return UInt32(truncatingIfNeeded: hash >> 32) | 1 << 31
  }
}
