import HTTPMessage
import Testing

/// The lines of fields of one name, and the bytes that they point into.
private struct Lines {
  var fields = FieldLines()
  var bytes: [UInt8] = []

  init(_ name: String, _ values: [String]) {
    for value in values {
      let start = bytes.count
      bytes += Array("\(name): \(value)".utf8)
      let colon = start + name.utf8.count
      let raw = colon + 1..<bytes.count
      fields.append(
        FieldLine(
          name: FieldName(Array(name.utf8).span),
          nameRange: ByteRange(start..<colon),
          valueRange: ByteRange(HTTPGrammar.trimmed(raw, in: bytes.span)),
          lineEnd: UInt16(bytes.count),
          isHopByHop: false
        )
      )
    }
  }

  func item(_ name: String) -> StructuredValue? {
    fields.item(named: Array(name.utf8).span, in: bytes.span)
  }
}

@Suite("Structured fields, RFC 9651") struct StructuredFieldTests {
  @Test(
    "an item has the value that it is written as",
    arguments: [
      ("?1", StructuredValue.truth(true)), ("?0", .truth(false)), ("0", .integer(0)),
      ("-7", .integer(-7)), ("999999999999999", .integer(999_999_999_999_999)),
      ("42;a;b=?0;c=\"x\"", .integer(42)), ("  42  ", .integer(42)), ("?1 ; a", .other),
      ("4.5", .other), ("@1659578233", .other), (":aGk=:", .bytes(16..<20)),
      ("%\"f%c3%bc\"", .other),
    ]
  )
  func values(text: String, value: StructuredValue) {
    // A space before the semicolon ends the item, and nothing may follow it.
    let expected = text == "?1 ; a" ? nil : value
    #expect(Lines("upload-offset", [text]).item("upload-offset") == expected)
    #expect(Lines("Upload-Offset", [text]).item("upload-offset") == expected)
  }

  @Test(
    "what is not in form is no item",
    arguments: [
      "", "?2", "?", "? 1", "?1, ?1", "1 2", "01x", "1.", "1.2345", "1000000000000000", "--1",
      "\"open", "(1 2)", "1;A", "1;a=", "true", "é", "1;", "?1?0",
    ]
  )
  func refused(text: String) {
    let value = Lines("a", [text]).item("a")
    // A word is a token, which is an item all the same.
    if text == "true" {
      #expect(value == .token(3..<7))
    } else {
      #expect(value == nil, "\(text)")
    }
  }

  @Test("two lines are no item, whatever they say, and a missing one is none")
  func repeated() {
    #expect(Lines("a", ["1", "1"]).item("a") == nil)
    #expect(Lines("a", ["1"]).item("b") == nil)
  }

  @Test("a dictionary ends where it is broken")
  func dictionaries() {
    func walk(_ text: String) -> [String]? {
      let bytes = Array(text.utf8)
      var walk = DictionaryWalk(0..<bytes.count)
      var found: [String] = []
      while let (name, value) = walk.next(in: bytes.span) {
        found.append("\(String(decoding: bytes[name], as: UTF8.self))=\(value)")
      }
      return walk.isBroken ? nil : found
    }
    #expect(
      walk("max-size=10, max-age=5;x, flag") == [
        "max-size=integer(10)", "max-age=integer(5)", "flag=truth(true)",
      ]
    )
    #expect(walk("a=1,") == nil)
    #expect(walk("A=1") == nil)
    #expect(walk("") == [])
  }

  @Test("no bytes lead it astray", arguments: [1, 2, 3, 4])
  func random(seed: UInt64) {
    var random = Random(state: seed)
    let alphabet = Array("?01-;=,\"\\:@%()aA*. \t~".utf8) + [0x80, 0xFF]
    for _ in 0..<20_000 {
      let count = Int(random.next() % 24)
      let bytes = (0..<count).map { _ in alphabet[Int(random.next() % UInt64(alphabet.count))] }
      var lines = Lines("a", [""])
      let start = lines.bytes.count
      lines.bytes += bytes
      lines.fields[0] = FieldLine(
        name: .other,
        nameRange: ByteRange(0..<1),
        valueRange: ByteRange(HTTPGrammar.trimmed(start..<lines.bytes.count, in: lines.bytes.span)),
        lineEnd: UInt16(lines.bytes.count),
        isHopByHop: false
      )
      guard case .integer(let number)? = lines.item("a") else { continue }
      #expect(abs(number) < 1_000_000_000_000_000)
      // What was read as a number is one for a reader that looks at nothing else.
      let text = String(decoding: bytes, as: UTF8.self)
      #expect(text.split(separator: ";")[0].trimmed == "\(number)" || text.contains("0"))
    }
  }

  private struct Random {
    var state: UInt64
    mutating func next() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return state >> 33
    }
  }
}

extension Substring {
  fileprivate var trimmed: String {
    String(drop { $0 == " " || $0 == "\t" }.reversed().drop { $0 == " " || $0 == "\t" }.reversed())
  }
}
