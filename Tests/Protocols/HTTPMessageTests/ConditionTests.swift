import HTTPMessage
import Testing

/// A head with these fields, and the bytes that it points into.
private struct Asked {
  var head = RequestHead()
  var bytes: [UInt8] = []

  init(_ fields: [(FieldName, String)]) { self.init(.get, fields) }

  init(_ method: HTTPMessage.Method, _ fields: [(FieldName, String)]) {
    head.method = method
    for (name, value) in fields {
      let start = bytes.count
      bytes += Array(value.utf8)
      head.fields.append(
        FieldLine(
          name: name,
          nameRange: ByteRange(start..<start),
          valueRange: ByteRange(start..<bytes.count),
          lineEnd: UInt16(bytes.count),
          isHopByHop: false
        )
      )
    }
  }

  func outcome(_ tag: String = "\"a\"", modified: Int64 = 1000) -> Preconditions.Outcome {
    let tag = Array(tag.utf8)
    return Preconditions(of: head).outcome(
      for: Preconditions.Validators(
        tag: tag.span,
        modified: HTTPDate(secondsSince1970: modified)
      ),
      now: now,
      in: bytes.span
    )
  }

  func missing() -> Preconditions.Outcome {
    Preconditions(of: head).outcome(for: .missing, now: now, in: bytes.span)
  }

  func range(_ tag: String = "\"a\"", modified: Int64 = 1000) -> String? {
    let tag = Array(tag.utf8)
    let range = Preconditions(of: head).range(
      of: Preconditions.Validators(
        tag: tag.span,
        modified: HTTPDate(secondsSince1970: modified)
      ),
      now: now,
      in: bytes.span
    )
    return range.map { String(decoding: bytes[$0], as: UTF8.self) }
  }
}

private let now = HTTPDate(secondsSince1970: 2000)

private func date(_ seconds: Int64) -> String {
  let text = HTTPDate(secondsSince1970: seconds).text
  var bytes: [UInt8] = []
  for index in text.bytes.indices { bytes.append(text.bytes[index]) }
  return String(decoding: bytes, as: UTF8.self)
}

@Suite("Preconditions: RFC 9110, section 13") struct PreconditionTests {
  @Test(
    "If-Match asks for the very bytes: 13.1.1",
    arguments: [
      ("\"a\"", "\"a\"", true), ("\"b\"", "\"a\"", false), ("\"b\", \"a\"", "\"a\"", true),
      ("W/\"a\"", "\"a\"", false), ("\"a\"", "W/\"a\"", false), ("*", "\"a\"", true),
      ("*", "", true), ("\"a\"", "", false), ("a", "\"a\"", false), ("", "\"a\"", false),
      ("\"a\" \"b\"", "\"a\"", false), ("\"x,y\", \"a\"", "\"a\"", true),
      (",,\"a\",", "\"a\"", true),
    ]
  )
  func ifMatch(value: String, tag: String, holds: Bool) {
    #expect(Asked([(.ifMatch, value)]).outcome(tag) == (holds ? .proceed : .failed))
    #expect(Asked(.put, [(.ifMatch, value)]).outcome(tag) == (holds ? .proceed : .failed))
  }

  @Test("If-Match needs something that is there: 13.1.1")
  func ifMatchMissing() {
    #expect(Asked(.put, [(.ifMatch, "*")]).missing() == .failed)
    #expect(Asked(.put, [(.ifNoneMatch, "*")]).missing() == .proceed)
    #expect(Asked(.put, [(.ifNoneMatch, "\"a\"")]).missing() == .proceed)
  }

  @Test(
    "If-None-Match compares what stands for the same meaning: 13.1.2",
    arguments: [
      ("\"a\"", "\"a\"", true), ("W/\"a\"", "\"a\"", true), ("\"a\"", "W/\"a\"", true),
      ("W/\"a\"", "W/\"a\"", true), ("\"b\"", "\"a\"", false), ("\"b\",\"a\"", "\"a\"", true),
      ("*", "\"a\"", true), ("nonsense", "\"a\"", false), ("w/\"a\"", "\"a\"", false),
      ("\"a", "\"a\"", false), ("\"\"", "\"\"", true),
    ]
  )
  func ifNoneMatch(value: String, tag: String, matches: Bool) {
    let asked = [(FieldName.ifNoneMatch, value)]
    #expect(Asked(asked).outcome(tag) == (matches ? .notModified : .proceed))
    #expect(Asked(.head, asked).outcome(tag) == (matches ? .notModified : .proceed))
    #expect(Asked(.put, asked).outcome(tag) == (matches ? .failed : .proceed))
  }

  @Test("the tags of several fields are one list: 5.3")
  func severalFields() {
    let asked = [(FieldName.ifNoneMatch, "\"x\""), (.ifNoneMatch, "\"a\"")]
    #expect(Asked(asked).outcome() == .notModified)
  }

  @Test(
    "If-Modified-Since compares whole seconds, and dates that are none are ignored: 13.1.3",
    arguments: [
      (date(1000), true), (date(1001), true), (date(999), false), ("yesterday", false),
      ("", false), (date(1000) + ", " + date(1000), false), ("Thu Jan  1 00:16:40 1970", true),
      ("Thursday, 01-Jan-70 00:16:40 GMT", true),
    ]
  )
  func ifModifiedSince(value: String, isOld: Bool) {
    let asked = [(FieldName.ifModifiedSince, value)]
    #expect(Asked(asked).outcome() == (isOld ? .notModified : .proceed))
    #expect(Asked(.put, asked).outcome() == .proceed)
  }

  @Test("a date that is written twice is ignored: 13.1.3")
  func repeatedDate() {
    let asked = [(FieldName.ifModifiedSince, date(1000)), (.ifModifiedSince, date(1000))]
    #expect(Asked(asked).outcome() == .proceed)
  }

  @Test(
    "If-Unmodified-Since: 13.1.4",
    arguments: [(date(1000), true), (date(1001), true), (date(999), false), ("nonsense", true)]
  )
  func ifUnmodifiedSince(value: String, holds: Bool) {
    let asked = [(FieldName.ifUnmodifiedSince, value)]
    #expect(Asked(asked).outcome() == (holds ? .proceed : .failed))
    #expect(Asked(.delete, asked).outcome() == (holds ? .proceed : .failed))
  }

  @Test("tags come before dates: 13.2.2")
  func order() {
    // If-Match is met, so that the date does not count; and the other way round.
    #expect(
      Asked([(.ifMatch, "\"a\""), (.ifUnmodifiedSince, date(1))]).outcome() == .proceed
    )
    #expect(
      Asked([(.ifNoneMatch, "\"b\""), (.ifModifiedSince, date(1999))]).outcome() == .proceed
    )
    #expect(
      Asked([(.ifNoneMatch, "\"a\""), (.ifModifiedSince, date(1))]).outcome() == .notModified
    )
    // What must hold is asked first.
    #expect(Asked([(.ifMatch, "\"b\""), (.ifNoneMatch, "\"a\"")]).outcome() == .failed)
    #expect(
      Asked([(.ifUnmodifiedSince, date(1)), (.ifNoneMatch, "\"a\"")]).outcome() == .failed
    )
  }

  @Test(
    "If-Range takes a strong tag or the exact date: 13.1.5",
    arguments: [
      ("\"a\"", "\"a\"", true), ("W/\"a\"", "W/\"a\"", false), ("\"a\"", "W/\"a\"", false),
      ("\"b\"", "\"a\"", false), (date(1000), "\"a\"", true), (date(1001), "\"a\"", false),
      (date(999), "\"a\"", false), ("nonsense", "\"a\"", false), ("\"a\", \"b\"", "\"a\"", false),
    ]
  )
  func ifRange(value: String, tag: String, holds: Bool) {
    let asked = Asked([(.range, "bytes=0-1"), (.ifRange, value)])
    #expect(asked.range(tag) == (holds ? "bytes=0-1" : nil))
  }

  @Test("a date of this very second is no strong validator: 8.8.2.2")
  func youngDate() {
    let asked = Asked([(.range, "bytes=0-1"), (.ifRange, date(2000))])
    #expect(asked.range(modified: 2000) == nil)
  }

  @Test("Range counts for GET alone, and once: 14.2")
  func ranges() {
    #expect(Asked([(.range, "bytes=0-1")]).range() == "bytes=0-1")
    #expect(Asked(.head, [(.range, "bytes=0-1")]).range() == nil)
    #expect(Asked([(.range, "bytes=0-1"), (.range, "bytes=2-3")]).range() == nil)
    #expect(Asked([]).range() == nil)
  }

  @Test("whatever stands in the fields, nothing breaks")
  func randomValues() {
    var random = SystemRandomNumberGenerator()
    let alphabet = Array("\"W/*,ab \\\t0:GMT".utf8) + [0x80, 0xFF]
    let names: [FieldName] = [
      .ifMatch, .ifNoneMatch, .ifModifiedSince, .ifUnmodifiedSince, .ifRange, .range,
    ]
    for _ in 0..<5000 {
      let fields = (0..<Int.random(in: 0...4, using: &random)).map { _ in
        let count = Int.random(in: 0...12, using: &random)
        let bytes = (0..<count).map { _ in
          alphabet[Int.random(in: 0..<alphabet.count, using: &random)]
        }
        return (names[Int.random(in: 0..<names.count, using: &random)], bytes)
      }
      var asked = Asked([])
      for (name, bytes) in fields {
        let start = asked.bytes.count
        asked.bytes += bytes
        asked.head.fields.append(
          FieldLine(
            name: name,
            nameRange: ByteRange(start..<start),
            valueRange: ByteRange(start..<asked.bytes.count),
            lineEnd: UInt16(asked.bytes.count),
            isHopByHop: false
          )
        )
      }
      let outcome = asked.outcome()
      // Without a field that asks nothing can fail.
      let asksForOld = fields.contains { $0.0 == .ifNoneMatch || $0.0 == .ifModifiedSince }
      let asksForSame = fields.contains { $0.0 == .ifMatch || $0.0 == .ifUnmodifiedSince }
      #expect(outcome != .notModified || asksForOld)
      #expect(outcome != .failed || asksForSame)
      _ = asked.range()
    }
  }
}

@Suite("Ranges: RFC 9110, section 14") struct RangeSelectionTests {
  private func select(_ text: String, of length: Int64 = 10_000) -> RangeSelection {
    let bytes = Array(text.utf8)
    return RangeSelection(bytes.span, length: length)
  }

  @Test(
    "a range is what its two ends say: 14.1.2",
    arguments: [
      ("bytes=0-499", 0..<500), ("bytes=500-999", 500..<1000), ("bytes=-500", 9500..<10_000),
      ("bytes=9500-", 9500..<10_000), ("bytes=0-0", 0..<1), ("bytes=-1", 9999..<10_000),
      ("bytes=0-99999", 0..<10_000), ("bytes=-99999", 0..<10_000), ("BYTES=1-2", 1..<3),
      ("bytes= 1-2", 1..<3), ("bytes=1-2,", 1..<3), ("bytes=9999-9999", 9999..<10_000),
      ("bytes=0-99999999999999999999999", 0..<10_000), ("bytes=1-2, 20000-", 1..<3),
      ("bytes=00000000000000000001-2", 1..<3),
    ] as [(String, Range<Int64>)]
  )
  func single(text: String, range: Range<Int64>) {
    #expect(select(text) == .single(range))
  }

  @Test(
    "several ranges come in the order asked for: 14.2",
    arguments: [
      ("bytes=0-0,-1", [0..<1, 9999..<10_000]), ("bytes=500-600,1-2", [500..<601, 1..<3]),
      ("bytes=1-2, 5-6 ,,8-9", [1..<3, 5..<7, 8..<10]),
    ] as [(String, [Range<Int64>])]
  )
  func several(text: String, ranges: [Range<Int64>]) {
    #expect(select(text) == .several(ranges))
  }

  @Test(
    "what breaks the grammar, or is another unit, is as if it were not there: 14.2",
    arguments: [
      "", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=1", "bytes=2-1", "lines=1-2",
      "bytes 1-2", "bytes=1-2-3", "bytes=1 - 2", "bytes=--1", "bytes=1-2;3-4", "bytes=+1-2",
      "bytes=0x1-2", "bytes=1-2,x",
    ]
  )
  func ignored(text: String) {
    #expect(select(text) == .whole)
  }

  @Test(
    "what is not there cannot be had: 15.5.17",
    arguments: ["bytes=10000-", "bytes=20000-30000", "bytes=-0", "bytes=10000-, -0"]
  )
  func unsatisfiable(text: String) {
    #expect(select(text) == .unsatisfiable)
  }

  @Test("nothing has no part")
  func empty() {
    #expect(select("bytes=0-", of: 0) == .unsatisfiable)
    #expect(select("bytes=-5", of: 0) == .whole)
  }

  @Test("more ranges than are sensible are answered whole: 14.2")
  func bounded() {
    var sixteen = "bytes="
    var expected: [Range<Int64>] = []
    for start in stride(from: Int64(0), to: 160, by: 10) {
      sixteen += "\(start)-\(start),"
      expected.append(start..<start + 1)
    }
    #expect(select(sixteen) == .several(expected))
    #expect(select(sixteen + ",500-500") == .whole)
    // Ranges that lie in each other: two may, more may not.
    #expect(select("bytes=0-9,5-14,8-20") == .several([0..<10, 5..<15, 8..<21]))
    #expect(select("bytes=0-9,5-14,8-20,9-9") == .whole)
    // More bytes than there are.
    #expect(select("bytes=0-,0-") == .whole)
    #expect(select("bytes=0-,0-,5-6", of: .max) == .whole)
  }

  @Test("a selection lies in the representation and has no empty part")
  func random() {
    var random = SystemRandomNumberGenerator()
    let alphabet = Array("0123456789-,= ".utf8)
    for _ in 0..<20_000 {
      let count = Int.random(in: 0...16, using: &random)
      let text =
        Array("bytes=".utf8)
        + (0..<count).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &random)] }
      let length = Int64.random(in: 0...100, using: &random)
      let parts: [Range<Int64>]
      switch RangeSelection(text.span, length: length) {
      case .single(let range): parts = [range]
      case .several(let ranges):
        parts = ranges
        #expect(ranges.count > 1 && ranges.count <= RangeSelection.rangeCount)
        #expect(ranges.reduce(0) { $0 + Int64($1.count) } <= length)
      case .whole, .unsatisfiable: parts = []
      }
      for part in parts {
        #expect(!part.isEmpty && part.lowerBound >= 0 && part.upperBound <= length)
      }
    }
  }
}

@Suite("Accept-Encoding: RFC 9110, section 12.5.3") struct AcceptedCodingTests {
  private func weights(_ text: String) -> [Int] {
    let bytes = Array(text.utf8)
    let accepted = AcceptedCodings(bytes.span)
    return [.identity, .gzip, .brotli, .zstandard].map { accepted.weight(of: $0) }
  }

  @Test(
    "each coding has its weight",
    arguments: [
      ("", [1, 0, 0, 0]), ("gzip", [1, 1000, 0, 0]),
      ("gzip, br;q=0.5, zstd;q=0.001", [1, 1000, 500, 1]),
      ("*", [1, 1000, 1000, 1000]), ("identity;q=0, *;q=0", [0, 0, 0, 0]),
      ("*;q=0", [0, 0, 0, 0]), ("gzip;q=0, *", [1, 0, 1000, 1000]), ("GZIP", [1, 1000, 0, 0]),
      ("x-gzip", [1, 1000, 0, 0]), ("br;Q=0.25", [1, 0, 250, 0]), ("br ; q=0.25", [1, 0, 250, 0]),
      ("identity;q=1, gzip;q=0.5", [1000, 500, 0, 0]), ("gzip;q=1.5", [1, 0, 0, 0]),
      ("gzip;q=x", [1, 0, 0, 0]), ("gzip;q=0.1234", [1, 0, 0, 0]), ("deflate", [1, 0, 0, 0]),
      ("gzip;level=1;q=0.5", [1, 500, 0, 0]), ("gzip;q=1.000", [1, 1000, 0, 0]),
    ] as [(String, [Int])]
  )
  func weight(text: String, expected: [Int]) {
    #expect(weights(text) == expected)
  }

  @Test(
    "codings with a dictionary are taken by name only: RFC 9842, section 6.1",
    arguments: [
      ("*", [0, 0]), ("gzip, dcb, dcz", [1000, 1000]), ("DCZ;q=0.5, *", [0, 500]), ("br", [0, 0]),
    ]
  )
  func dictionaries(text: String, expected: [Int]) {
    let bytes = Array(text.utf8)
    let accepted = AcceptedCodings(bytes.span)
    let weights = [AcceptedCodings.Coding.dictionaryBrotli, .dictionaryZstandard]
      .map { accepted.weight(of: $0) }
    #expect(weights == expected)
  }
}
