import MartletBytes

/// Decompresses field blocks.
///
/// - Source: RFC 7541, sections 3, 5 and 6.
struct FieldDecoder: Sendable {
  /// The size of the table that our settings allow a peer.
  static let tableBytes = 4096

  private var table = FieldTable(capacity: tableBytes)
  private let known = StaticFields.shared
  private let huffman = Huffman.shared
  /// The line of the field in hand.
  private var line: [UInt8] = []

  init() {}

  /// Why a block cannot be read: the connection is lost with it.
  struct Defect: Error {}

  /// Decodes a whole block into `fields`.
  ///
  /// - Throws: ``Defect``; the tables of the two sides are not the same any more.
  mutating func decode(
    _ block: Span<UInt8>,
    into fields: inout DecodedFields,
    limits: ConnectionLimits
  ) throws(Defect) {
    var offset = 0
    var resizeCount = 0
    var isAtStart = true
    while offset < block.count {
      let first = block[offset]
      if first & 0x80 != 0 {
        let index = try number(block, &offset, bits: 7)
        try addIndexed(index, into: &fields, limits: limits)
      } else if first & 0xE0 == 0x20 {
        // A change of the table's size stands at the beginning; two are enough: section 4.2.
        resizeCount += 1
        let size = try number(block, &offset, bits: 5)
        guard isAtStart, resizeCount <= 2, size <= Self.tableBytes else { throw Defect() }
        table.resize(to: size)
        continue
      } else {
        let isKept = first & 0x40 != 0
        let index = try number(block, &offset, bits: isKept ? 6 : 4)
        try addLiteral(index, isKept: isKept, block, &offset, into: &fields, limits: limits)
      }
      isAtStart = false
    }
  }

  private func addIndexed(
    _ index: Int,
    into fields: inout DecodedFields,
    limits: ConnectionLimits
  ) throws(Defect) {
    guard index > 0 else { throw Defect() }
    if index <= StaticFields.count {
      let entry = known.entry(index)
      let line = entry.start..<entry.start + entry.lineCount
      fields.add(known.bytes.span, line, nameCount: entry.nameCount, entry.kind, limits: limits)
    } else {
      guard let entry = table.entry(index - StaticFields.count - 1) else { throw Defect() }
      let line = table.line(of: entry)
      fields.add(table.bytes.span, line, nameCount: entry.nameCount, entry.kind, limits: limits)
    }
  }

  private mutating func addLiteral(
    _ index: Int,
    isKept: Bool,
    _ block: Span<UInt8>,
    _ offset: inout Int,
    into fields: inout DecodedFields,
    limits: ConnectionLimits
  ) throws(Defect) {
    line.removeAll(keepingCapacity: true)
    var kind: FieldKind
    if index == 0 {
      try string(block, &offset)
      kind = FieldKind(line.span, name: line.indices)
    } else if index <= StaticFields.count {
      let entry = known.entry(index)
      known.copyName(entry, into: &line)
      kind = entry.kind
    } else {
      guard let entry = table.entry(index - StaticFields.count - 1) else { throw Defect() }
      table.copyName(entry, into: &line)
      // What was wrong with its value is not wrong with this one.
      kind =
        entry.kind == .malformedValue ? FieldKind(line.span, name: line.indices) : entry.kind
    }
    let nameCount = line.count
    line.append(0x3A)
    line.append(0x20)
    try string(block, &offset)
    if kind != .malformedName, !kind.isPseudo,
      !FieldKind.isValue(line.span, nameCount + 2..<line.count)
    {
      kind = .malformedValue
    }
    let line = line
    if isKept { table.insert(line.span, nameCount: nameCount, kind: kind) }
    fields.add(line.span, line.indices, nameCount: nameCount, kind, limits: limits)
  }

  /// Reads a number with a prefix of `bits` bits.
  ///
  /// Section 5.1.
  private func number(
    _ block: Span<UInt8>,
    _ offset: inout Int,
    bits: UInt8
  ) throws(Defect) -> Int {
    let mask = UInt8(1) << bits - 1
    var value = Int(block[offset] & mask)
    offset += 1
    guard value == Int(mask) else { return value }
    var shift = 0
    while true {
      // Four bytes are more than any block has.
      guard offset < block.count, shift <= 21 else { throw Defect() }
      let byte = block[offset]
      offset += 1
      value += Int(byte & 0x7F) << shift
      if byte & 0x80 == 0 { return value }
      shift += 7
    }
  }

  /// Appends a string to the line.
  ///
  /// Section 5.2.
  private mutating func string(_ block: Span<UInt8>, _ offset: inout Int) throws(Defect) {
    guard offset < block.count else { throw Defect() }
    let isCoded = block[offset] & 0x80 != 0
    let length = try number(block, &offset, bits: 7)
    guard length <= block.count - offset else { throw Defect() }
    let range = offset..<offset + length
    offset += length
    if isCoded {
      guard huffman.decode(block, range, into: &line) else { throw Defect() }
    } else {
      line.append(copying: block.extracting(range))
    }
  }
}
