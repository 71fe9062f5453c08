import CSV
import Testing

@Suite("CSV, RFC 4180")
struct CSVReaderTests {
  /// The records of a table that comes in these parts.
  private func records(
    _ parts: [[UInt8]],
    keeping wanted: Int? = nil,
    limit: Int = 1 << 20
  ) throws -> [[String]] {
    var reader = CSVReader(keeping: wanted, recordBytes: limit)
    var records: [[String]] = []
    func take(_ fields: [[UInt8]]) {
      records.append(fields.map { String(decoding: $0, as: UTF8.self) })
    }
    for part in parts {
      var offset = 0
      while case .record = try reader.next(in: part.span, at: &offset) { take(reader.fields) }
    }
    if try reader.end() { take(reader.fields) }
    return records
  }

  /// The same by the quick way where it can go, which keeps one field, from the second record on.
  private func plainRecords(_ parts: [[UInt8]], keeping wanted: Int) throws -> [[String]] {
    var header = CSVReader()
    var reader = CSVReader(keeping: wanted, line: 2)
    var records: [[String]] = []
    var isBehindHeader = false
    func take(_ reader: CSVReader) {
      records.append(reader.fields.map { String(decoding: $0, as: UTF8.self) })
    }
    for part in parts {
      var offset = 0
      while !isBehindHeader, case .record = try header.next(in: part.span, at: &offset) {
        isBehindHeader = true
      }
      while isBehindHeader {
        if let record = try reader.nextPlain(in: part.span, at: &offset) {
          var fields = Array(repeating: "", count: record.fieldCount)
          if let place = record.place {
            fields[wanted] = String(decoding: part[place], as: UTF8.self)
          }
          records.append(fields)
        } else if case .record = try reader.next(in: part.span, at: &offset) {
          take(reader)
        } else {
          break
        }
      }
    }
    if isBehindHeader, try reader.end() { take(reader) }
    return records
  }

  @Test(
    "reads the same by the quick way, however the bytes are cut",
    arguments: tables.filter { !$0.0.hasPrefix("\u{FEFF}") }
  )
  func quick(text: String, expected: [[String]]) throws {
    let bytes = Array("id,name\n".utf8) + Array(text.utf8)
    for wanted in 0..<3 {
      let kept = try records([Array("id\n".utf8) + Array(text.utf8)], keeping: wanted).dropFirst()
      for cut in 0...bytes.count {
        let found = try plainRecords(
          [Array(bytes[..<cut]), Array(bytes[cut...])],
          keeping: wanted
        )
        #expect(found == Array(kept), "cut at \(cut), field \(wanted)")
      }
    }
  }

  @Test("the quick way has the same limit, and counts the same lines")
  func quickLimit() throws {
    let bytes = Array("12345678,\n12,\n".utf8)
    var reader = CSVReader(keeping: 0, recordBytes: 10, line: 2)
    var offset = 0
    #expect(try reader.nextPlain(in: bytes.span, at: &offset)?.place == 0..<8)
    #expect(try reader.nextPlain(in: bytes.span, at: &offset)?.place == 10..<12)
    #expect(reader.line == 4)
    reader = CSVReader(keeping: 0, recordBytes: 9, line: 2)
    offset = 0
    #expect(throws: CSVFailure(reason: .recordTooLong, line: 2)) {
      _ = try reader.nextPlain(in: bytes.span, at: &offset)
    }
  }

  private static let tables: [(String, [[String]])] = [
    ("a,b\nc,d\n", [["a", "b"], ["c", "d"]]),
    ("a,b\r\nc,d", [["a", "b"], ["c", "d"]]),
    ("\"a,\"\"1\"\"\",\"b\r\nc\"\r\n", [["a,\"1\"", "b\r\nc"]]),
    (",\n\n\r\n,,\n\"\"\n", [["", ""], ["", "", ""], [""]]),
    ("\u{FEFF}id,name\n1,\"\"\n", [["id", "name"], ["1", ""]]),
    ("\u{FEFF}\"id\"\n", [["id"]]),
    ("a\rb,\r\n", [["a\rb", ""]]),
    ("ï,x", [["ï", "x"]]),
    ("", []),
  ]

  @Test("reads the same however the bytes are cut", arguments: tables)
  func cuts(text: String, expected: [[String]]) throws {
    let bytes = Array(text.utf8)
    #expect(try records([bytes]) == expected)
    #expect(try records(bytes.map { [$0] }) == expected)
    for cut in bytes.indices {
      #expect(
        try records([Array(bytes[..<cut]), Array(bytes[cut...])]) == expected,
        "cut at \(cut)"
      )
    }
  }

  @Test("keeps one field where only one is wanted", arguments: [0, 1, 2])
  func keepsOne(wanted: Int) throws {
    let all = [["id", "name", "x"], ["1", "a\nb", ""], ["2", "c", "\"y\""], ["z"]]
    let text = "id,name,x\n1,\"a\nb\",\n2,c,\"\"\"y\"\"\"\nz\n"
    let kept = all.map { record in
      record.enumerated().map { $0.offset == wanted ? $0.element : "" }
    }
    #expect(try records([Array(text.utf8)], keeping: wanted) == kept)
  }

  @Test(
    "refuses what two readers could read otherwise, and names the line",
    arguments: [
      ("a\nb\"c\n", CSVFailure(reason: .quoteWithinField, line: 2)),
      ("\"a\"b\n", CSVFailure(reason: .textBehindQuote, line: 1)),
      ("\"a\"\r\"b\n", CSVFailure(reason: .textBehindQuote, line: 1)),
      ("a\n\"b\nc", CSVFailure(reason: .openQuote, line: 3)),
    ]
  )
  func refuses(text: String, failure: CSVFailure) {
    #expect(throws: failure) { try records([Array(text.utf8)]) }
  }

  @Test("refuses a record beyond the limit, and not one at it")
  func limit() throws {
    #expect(try records([Array("abc\nabc\n".utf8)], limit: 4) == [["abc"], ["abc"]])
    #expect(throws: CSVFailure(reason: .recordTooLong, line: 2)) {
      try records([Array("abc\nabcd\n".utf8)], limit: 4)
    }
  }

  @Test("reads tabs as it reads commas")
  func tabs() throws {
    var reader = CSVReader(separator: 0x09)
    var offset = 0
    _ = try reader.next(in: Array("a,b\tc\n".utf8).span, at: &offset)
    #expect(reader.fields == [Array("a,b".utf8), Array("c".utf8)])
  }
}
