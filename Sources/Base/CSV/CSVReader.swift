import MartletBytes

/// What is wrong with a table, and in which line.
public struct CSVFailure: Error, Hashable, Sendable, CustomStringConvertible {
  /// What can be wrong.
  public enum Reason: String, Hashable, Sendable {
    /// A quote stands within a field that does not begin with one.
    case quoteWithinField = "a quote stands within a field that does not begin with one"
    /// Something follows the quote that closes a field.
    case textBehindQuote = "text follows the quote that closes a field"
    /// The table ends within quotes.
    case openQuote = "the table ends within quotes"
    /// A record is longer than the limit.
    case recordTooLong = "a record is too long"
  }

  /// What is wrong.
  public var reason: Reason
  /// The line, counted from 1; a field with line ends has several.
  public var line: Int

  /// Creates a finding.
  public init(reason: Reason, line: Int) {
    self.reason = reason
    self.line = line
  }

  /// The place and what is wrong there.
  public var description: String { "line \(line): \(reason.rawValue)" }
}

/// Reads a table record by record.
///
/// Fields stand in double quotes if they hold a separator, a quote, which is doubled, or a line end; lines end
/// with CR LF or LF, and empty ones are passed over. A mark of byte order before the first field is dropped.
///
/// - Source: RFC 4180, section 2.
public struct CSVReader: Sendable {
  /// What the caller does next.
  public enum Event: Hashable, Sendable {
    /// Everything given was used: give more, or call ``CSVReader/end()``.
    case needBytes
    /// A record was read: ``CSVReader/fields`` are its fields until the next call.
    case record
  }

  /// A record of which nothing was copied; see ``CSVReader/nextPlain(in:at:)``.
  public struct PlainRecord: Hashable, Sendable {
    /// How many fields it has.
    public var fieldCount: Int
    /// Where the wanted field stands in the bytes given; nil: the record has no such field.
    public var place: Range<Int>?
  }

  private enum State: Sendable {
    case fieldStart
    case plain
    case quoted
    case behindQuote
    /// Behind a quote and the first half of a line end.
    case behindReturn
  }

  private static let mark: [UInt8] = [0xEF, 0xBB, 0xBF]

  /// How many fields the record has that was read.
  public var fieldCount: Int { ends.count }

  /// The fields of the record that was read; of others than the wanted one they are empty.
  public var fields: [[UInt8]] { ends.indices.map { Array(field($0)) } }

  /// The line of the next byte, counted from 1.
  public private(set) var line: Int

  private let separator: UInt8
  private let recordBytes: Int
  private let wanted: Int?
  private var state = State.fieldStart
  /// The content of the record's fields, one behind the other, and where each ends.
  private var content: [UInt8] = []
  private var ends: [Int] = []
  private var isKept: Bool
  private var byteCount = 0
  /// Whether nothing but a line end was read of the record.
  private var isBlank = true
  /// How many bytes of a mark of byte order were read; nil: it cannot come any more.
  private var markCount: Int? = 0
  private var isWhole = false

  /// Creates a reader that stands before the first byte.
  ///
  /// - Parameters:
  ///   - separator: What stands between fields: a comma, or a tab.
  ///   - wanted: The number of the one field that is kept, from 0; nil: all are.
  ///   - recordBytes: The longest record.
  ///   - line: The line of the first byte; behind the first one no mark of byte order can stand.
  public init(
    separator: UInt8 = 0x2C,
    keeping wanted: Int? = nil,
    recordBytes: Int = 1 << 20,
    line: Int = 1
  ) {
    self.line = line
    if line > 1 { markCount = nil }
    self.separator = separator
    self.wanted = wanted
    self.recordBytes = recordBytes
    isKept = wanted == nil || wanted == 0
  }

  /// A field of the record that was read, by its number from 0.
  public func field(_ number: Int) -> ArraySlice<UInt8> {
    content[(number > 0 ? ends[number - 1] : 0)..<ends[number]]
  }

  /// Takes the next step in `bytes`, from `offset` on, and moves `offset` behind what it used.
  ///
  /// - Throws: ``CSVFailure``; where the next record begins is not known then.
  /// - Complexity: O(*n*) in the bytes used.
  public mutating func next(
    in bytes: Span<UInt8>,
    at offset: inout Int
  ) throws(CSVFailure) -> Event {
    beginRecord()
    while offset < bytes.count {
      if markCount == nil { try takeRun(in: bytes, at: &offset) }
      guard offset < bytes.count else { break }
      let byte = bytes[offset]
      offset += 1
      byteCount += 1
      guard byteCount <= recordBytes else { throw failure(.recordTooLong) }
      if markCount != nil, isMark(byte) { continue }
      switch state {
      case .quoted:
        if byte == 0x22 { state = .behindQuote } else { keep(byte) }
        if byte == 0x0A { line += 1 }
      case .behindQuote where byte == 0x22:
        keep(byte)
        state = .quoted
      case .fieldStart where byte == 0x22:
        isBlank = false
        state = .quoted
      case .behindReturn where byte != 0x0A:
        throw failure(.textBehindQuote)
      default:
        if byte == separator {
          endField()
        } else if byte == 0x0A {
          line += 1
          if endRecord() { return .record }
        } else if state == .behindQuote {
          guard byte == 0x0D else { throw failure(.textBehindQuote) }
          state = .behindReturn
        } else if byte == 0x22 {
          throw failure(.quoteWithinField)
        } else {
          isBlank = isBlank && byte == 0x0D
          state = .plain
          keep(byte)
        }
      }
    }
    return .needBytes
  }

  /// Takes the next record if it stands whole in `bytes` from `offset` on, is not empty and has no quotes, and only
  /// tells where its wanted field stands.
  ///
  /// Most records are of this kind, and cost several times less so.
  ///
  /// - Returns: nil where that is not so, or no one field is wanted: ``next(in:at:)`` takes the step then.
  /// - Throws: ``CSVFailure``: the record is too long.
  /// - Complexity: O(*n*) in the bytes of the record, with no allocation.
  public mutating func nextPlain(
    in bytes: Span<UInt8>,
    at offset: inout Int
  ) throws(CSVFailure) -> PlainRecord? {
    guard let wanted, state == .fieldStart, byteCount == 0, markCount == nil else { return nil }
    beginRecord()
    let separators = ByteSearch.Block(repeating: separator)
    let quotes = ByteSearch.Block(repeating: 0x22)
    let feeds = ByteSearch.Block(repeating: 0x0A)
    var (start, number) = (offset, 0)
    var place: Range<Int>?
    while let end = ByteSearch.firstIndex(
      in: bytes,
      from: start,
      to: bytes.count,
      where: { ($0 .== separators .| $0 .== quotes) .| $0 .== feeds }
    ) {
      let byte = bytes[end]
      if byte == 0x22 { return nil }
      if byte == separator {
        if number == wanted { place = start..<end }
        number &+= 1
        start = end + 1
        continue
      }
      // What begins with a line end may be empty, which the other way knows.
      if end == offset || bytes[offset] == 0x0D { return nil }
      guard end - offset < recordBytes else { throw failure(.recordTooLong) }
      if number == wanted {
        place = start..<(end > start && bytes[end - 1] == 0x0D ? end - 1 : end)
      }
      line += 1
      offset = end + 1
      return PlainRecord(fieldCount: number + 1, place: place)
    }
    return nil
  }

  /// Says that the table ends here.
  ///
  /// - Returns: Whether a last record was read, which had no line end.
  /// - Throws: ``CSVFailure``: it ends within quotes.
  public mutating func end() throws(CSVFailure) -> Bool {
    beginRecord()
    guard state != .quoted else { throw failure(.openQuote) }
    guard byteCount > 0 else { return false }
    return endRecord()
  }

  private mutating func beginRecord() {
    guard isWhole else { return }
    isWhole = false
    content.removeAll(keepingCapacity: true)
    ends.removeAll(keepingCapacity: true)
  }

  /// Takes bytes that are content wherever they stand, as many as there are.
  @inline(__always)
  private mutating func takeRun(
    in bytes: Span<UInt8>,
    at offset: inout Int
  ) throws(CSVFailure) {
    guard state == .fieldStart || state == .plain || state == .quoted else { return }
    let end = firstSpecial(in: bytes, from: offset)
    guard end > offset else { return }
    byteCount += end - offset
    guard byteCount <= recordBytes else { throw failure(.recordTooLong) }
    isBlank = false
    if state == .fieldStart { state = .plain }
    if isKept { content.append(copying: bytes.extracting(offset..<end)) }
    offset = end
  }

  /// Where the first byte stands that may mean something; at the end if none does.
  @inline(__always)
  private func firstSpecial(in bytes: Span<UInt8>, from offset: Int) -> Int {
    let separators = ByteSearch.Block(repeating: separator)
    let quotes = ByteSearch.Block(repeating: 0x22)
    let feeds = ByteSearch.Block(repeating: 0x0A)
    let returns = ByteSearch.Block(repeating: 0x0D)
    return ByteSearch.firstIndex(in: bytes, from: offset, to: bytes.count) { block in
      (block .== separators .| block .== quotes) .| (block .== feeds .| block .== returns)
    } ?? bytes.count
  }

  @inline(__always)
  private mutating func keep(_ byte: UInt8) {
    if isKept { content.append(byte) }
  }

  private mutating func endField() {
    ends.append(content.count)
    isKept = wanted == nil || wanted == ends.count
    isBlank = false
    state = .fieldStart
  }

  /// Ends a record at a line end; false for a line without anything in it.
  private mutating func endRecord() -> Bool {
    // The CR of the line end was kept as the last byte of a plain field.
    if state == .plain, content.count > (ends.last ?? 0), content.last == 0x0D {
      content.removeLast()
    }
    let wasBlank = isBlank
    endField()
    isKept = wanted == nil || wanted == 0
    isBlank = true
    byteCount = 0
    isWhole = !wasBlank
    if wasBlank { ends.removeAll(keepingCapacity: true) }
    return isWhole
  }

  /// Whether a byte belongs to the mark of byte order that may stand before everything.
  private mutating func isMark(_ byte: UInt8) -> Bool {
    guard let count = markCount else { return false }
    if byte == Self.mark[count] {
      markCount = count == 2 ? nil : count + 1
      return true
    }
    // It was none: what looked like it is the first field's.
    markCount = nil
    for byte in Self.mark[..<count] {
      isBlank = false
      state = .plain
      keep(byte)
    }
    return false
  }

  private func failure(_ reason: CSVFailure.Reason) -> CSVFailure {
    CSVFailure(reason: reason, line: line)
  }
}
