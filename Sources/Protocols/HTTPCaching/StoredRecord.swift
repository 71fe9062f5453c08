import MartletBytes

/// A stored response as a disk keeps it: everything but the content, with the sums of that.
///
/// ```
///   0 magic             8 sum of all that follows
///  16 length of head   20 length of what stands between here and the table
///  24 length of content 32 number
///  40 key, terms, status line, fields, validators, Vary, variant, tags, and of a part where it is
///     table: the sum of each block of content
/// ```
///
/// Numbers are little-endian. The sum knows the place as well, so that nothing is taken for something else that
/// once stood there.
public struct StoredRecord: Hashable, Sendable {
  /// How long each block of content is but the last one.
  public static let blockBytes = 64 << 10
  /// How many bytes must be there so that the length of a head can be read.
  public static let prefixBytes = 40
  /// The longest head.
  public static let headLimit = 16 << 20
  /// The longest content.
  public static let contentLimit: UInt64 = 64 << 30

  /// Which part of a whole the content is.
  public struct Part: Hashable, Sendable {
    /// Where it begins in the whole.
    public var start: UInt64
    /// How long the whole is.
    public var length: UInt64

    /// Names a part.
    public init(start: UInt64, length: UInt64) {
      self.start = start
      self.length = length
    }
  }

  /// What it is found by.
  public var key: [UInt8]
  /// What decides whether it may be sent.
  public var terms: StoredTerms
  /// The first line without its end.
  public var statusLine: [UInt8]
  /// The fields, each with its end.
  public var lines: [UInt8]
  /// Where in these the value of ETag is; empty without one.
  public var tag: Range<Int>
  /// Where in these the value of Last-Modified is; empty without one.
  public var lastModified: Range<Int>
  /// Which fields of a request it depends on; nil: none.
  public var vary: VaryRule?
  /// What those were.
  public var variant: [UInt8]
  /// What its tags are known by.
  public var tags: [UInt64]
  /// The last purge that it need not be looked at for.
  public var number: UInt64
  /// How long the content is.
  public var contentCount: UInt64
  /// The sums of the blocks of the content.
  public var blocks: [UInt64]
  /// Which part the content is; nil: it is all there is.
  public var part: Part?

  private static let magic: UInt64 = 0x3130_4552_5452_4D0A
  // What a record has that not all of them have.
  private static let hasVary: UInt8 = 1
  private static let isPart: UInt8 = 2

  /// Creates a record.
  public init(
    key: [UInt8],
    terms: StoredTerms,
    statusLine: [UInt8],
    lines: [UInt8],
    tag: Range<Int>,
    lastModified: Range<Int>,
    vary: VaryRule?,
    variant: [UInt8],
    tags: [UInt64],
    number: UInt64,
    contentCount: UInt64,
    blocks: [UInt64],
    part: Part? = nil
  ) {
    self.key = key
    self.terms = terms
    self.statusLine = statusLine
    self.lines = lines
    self.tag = tag
    self.lastModified = lastModified
    self.vary = vary
    self.variant = variant
    self.tags = tags
    self.number = number
    self.contentCount = contentCount
    self.blocks = blocks
    self.part = part
  }

  /// How many blocks a content of so many bytes has.
  public static func blockCount(of contentCount: UInt64) -> Int {
    Int(clamping: (contentCount + UInt64(blockBytes) - 1) / UInt64(blockBytes))
  }

  /// The sum of one block.
  public static func sum(of block: Span<UInt8>) -> UInt64 { XXH64.sum(of: block) }

  /// The bytes of the head, for one place.
  public func encoded(at place: UInt64) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(512 + key.count + lines.count + variant.count + blocks.count * 8)
    bytes.append(little: Self.magic)
    // The sum and the lengths are put in when they are known.
    bytes += [UInt8](repeating: 0, count: 16)
    bytes.append(little: contentCount)
    bytes.append(little: number)
    bytes.append(text: key)
    terms.append(to: &bytes)
    bytes.append(text: statusLine)
    bytes.append(text: lines)
    for number in [tag.lowerBound, tag.count, lastModified.lowerBound, lastModified.count] {
      bytes.append(little: UInt32(clamping: number))
    }
    bytes.append((vary == nil ? 0 : Self.hasVary) | (part == nil ? 0 : Self.isPart))
    bytes.append(text: vary?.encoded ?? [])
    bytes.append(text: variant)
    bytes.append(little: UInt32(clamping: tags.count))
    for tag in tags { bytes.append(little: tag) }
    if let part {
      bytes.append(little: part.start)
      bytes.append(little: part.length)
    }
    let table = bytes.count
    for block in blocks { bytes.append(little: block) }
    bytes.replace(at: 16, by: UInt32(clamping: bytes.count))
    bytes.replace(at: 20, by: UInt32(clamping: table))
    return Self.sealed(bytes, at: place)
  }

  /// The bytes of a head with the sum that they have at a place; fewer than 16 are as they were.
  public static func sealed(_ bytes: [UInt8], at place: UInt64) -> [UInt8] {
    guard bytes.count >= 16 else { return bytes }
    var sealed = bytes
    sealed.replace(at: 8, by: XXH64.sum(of: bytes.span.extracting(16...), seed: place))
    return sealed
  }

  /// How long the head is whose first bytes these are; nil: there is none.
  public static func headCount(_ bytes: Span<UInt8>) -> Int? {
    var reader = RecordReader([UInt8](copying: bytes.extracting(first: min(bytes.count, 24))))
    guard reader.number(UInt64.self) == magic, reader.number(UInt64.self) != nil,
      let count = reader.number(UInt32.self), prefixBytes...headLimit ~= Int(count)
    else { return nil }
    return Int(count)
  }

  /// The key in a head whose first bytes these are, which need not be right; nil: there is none.
  public static func key(_ bytes: [UInt8]) -> [UInt8]? {
    guard bytes.count > prefixBytes else { return nil }
    var reader = RecordReader(bytes)
    guard reader.number(UInt64.self) == magic else { return nil }
    // The sum, two lengths, the length of the content and the number.
    for _ in 0..<4 { _ = reader.number(UInt64.self) }
    return reader.text()
  }

  /// Reads a head of which nothing is missing; nil for what was not written so at this place.
  public init?(encoded bytes: [UInt8], at place: UInt64) {
    guard Self.headCount(bytes.span) == bytes.count else { return nil }
    var reader = RecordReader(bytes)
    _ = reader.number(UInt64.self)
    guard reader.number(UInt64.self) == XXH64.sum(of: bytes.span.extracting(16...), seed: place)
    else { return nil }
    _ = reader.number(UInt32.self)
    guard let table = reader.number(UInt32.self), let count = reader.number(UInt64.self),
      count <= Self.contentLimit, let number = reader.number(UInt64.self),
      let key = reader.text(), let terms = StoredTerms(&reader),
      let statusLine = reader.text(), let lines = reader.text(),
      let tag = reader.range(within: lines.count),
      let lastModified = reader.range(within: lines.count),
      let kind = reader.number(UInt8.self), let names = reader.text(),
      let variant = reader.text(), let tags = reader.words()
    else { return nil }
    if kind & Self.isPart != 0 {
      guard let part = Part(&reader), part.has(count) else { return nil }
      self.part = part
    }
    guard reader.offset == table, bytes.count - reader.offset == Self.blockCount(of: count) * 8
    else { return nil }
    switch kind & ~Self.isPart {
    case Self.hasVary:
      guard let rule = VaryRule(encoded: names.span) else { return nil }
      vary = rule
    case 0 where names.isEmpty: vary = nil
    default: return nil
    }
    var blocks: [UInt64] = []
    blocks.reserveCapacity(Self.blockCount(of: count))
    while let block = reader.number(UInt64.self) { blocks.append(block) }
    self.key = key
    self.terms = terms
    self.statusLine = statusLine
    self.lines = lines
    self.tag = tag
    self.lastModified = lastModified
    self.variant = variant
    self.tags = tags
    self.number = number
    contentCount = count
    self.blocks = blocks
  }
}

extension StoredRecord.Part {
  fileprivate init?(_ reader: inout RecordReader) {
    guard let start = reader.number(UInt64.self), let length = reader.number(UInt64.self) else {
      return nil
    }
    self.init(start: start, length: length)
  }

  /// Whether so many bytes can be this part; none are none.
  fileprivate func has(_ count: UInt64) -> Bool {
    let end = start.addingReportingOverflow(count)
    return count > 0 && !end.overflow && end.partialValue <= length
      && length <= UInt64(Int64.max)
  }
}

/// Reads numbers and texts out of bytes, of which none need be right.
struct RecordReader {
  private let bytes: [UInt8]
  private(set) var offset = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// The next number; nil where there are too few bytes.
  mutating func number<Number: FixedWidthInteger>(_ type: Number.Type) -> Number? {
    let count = Number.bitWidth / 8
    guard bytes.count - offset >= count else { return nil }
    var number: Number = 0
    for index in (offset..<offset + count).reversed() {
      // Eight bits at a time; a number of one byte is only that.
      number =
        count == 1 ? Number(truncatingIfNeeded: bytes[index]) : number << 8 | Number(bytes[index])
    }
    offset += count
    return number
  }

  /// The next text, behind its length.
  mutating func text() -> [UInt8]? {
    guard let count = number(UInt32.self), Int(count) <= bytes.count - offset else { return nil }
    defer { offset += Int(count) }
    return Array(bytes[offset..<offset + Int(count)])
  }

  /// The next words, behind their number.
  mutating func words() -> [UInt64]? {
    guard let count = number(UInt32.self), Int(count) <= (bytes.count - offset) / 8 else {
      return nil
    }
    var words: [UInt64] = []
    words.reserveCapacity(Int(count))
    for _ in 0..<count {
      guard let word = number(UInt64.self) else { return nil }
      words.append(word)
    }
    return words
  }

  /// The next range, which is to lie within the first `limit` places.
  mutating func range(within limit: Int) -> Range<Int>? {
    guard let start = number(UInt32.self), let count = number(UInt32.self),
      Int(start) + Int(count) <= limit
    else { return nil }
    return Int(start)..<Int(start) + Int(count)
  }
}

extension [UInt8] {
  /// Appends a number, its lowest byte first.
  mutating func append(little number: some FixedWidthInteger) {
    for index in 0..<number.bitWidth / 8 {
      append(UInt8(truncatingIfNeeded: number >> (index * 8)))
    }
  }

  /// Appends a text behind its length.
  mutating func append(text: [UInt8]) {
    append(little: UInt32(clamping: text.count))
    self += text
  }

  /// Puts a number in the place of bytes.
  mutating func replace(at offset: Int, by number: some FixedWidthInteger) {
    for index in 0..<number.bitWidth / 8 {
      self[offset + index] = UInt8(truncatingIfNeeded: number >> (index * 8))
    }
  }
}
