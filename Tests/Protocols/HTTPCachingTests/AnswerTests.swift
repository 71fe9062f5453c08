import HTTPCaching
import HTTPMessage
import Testing

@Suite("What of a stored response is sent: RFC 9111, section 4.3.2")
struct AnswerTests {
  private func answer(
    _ asked: [String],
    method: String = "GET",
    stored: [String] = ["ETag: \"a\"", "Last-Modified: \(date(-1000))"],
    status: Int = 200,
    length: Int64? = 10
  ) throws -> StoredAnswer {
    let request = Asked(fields: asked, method: method)
    let response = Answered(
      status,
      fields: stored + ["Cache-Control: max-age=60", "Date: \(date(-5))"]
    )
    let tag = response.head.first(.eTag).map { Array(response.bytes[$0.valueRange.range]) } ?? []
    return StoredAnswer(
      to: request.head,
      in: request.bytes.span,
      from: try #require(response.terms()),
      tag: tag.span,
      length: length,
      now: now
    )
  }

  @Test(
    "conditions of a client are answered by what is stored",
    arguments: [
      ([], .whole), (["If-None-Match: \"a\""], .notModified),
      (["If-None-Match: \"1\", \"a\", \"2\""], .notModified),
      (["If-None-Match: \"b\""], .whole), (["If-None-Match: *"], .notModified),
      (["If-None-Match: W/\"a\""], .notModified),
      (["If-Modified-Since: \(date(-1000))"], .notModified),
      (["If-Modified-Since: \(date(-999))"], .notModified),
      (["If-Modified-Since: \(date(-1001))"], .whole),
      // RFC 9110, section 13.1.3: a tag makes the date not count.
      (["If-None-Match: \"a\"", "If-Modified-Since: \(date(-2000))"], .notModified),
      (["If-None-Match: \"b\"", "If-Modified-Since: \(date())"], .whole),
      // RFC 9110, sections 13.1.1 and 13.1.4: only the origin knows that they do not hold.
      (["If-Match: \"a\""], .whole), (["If-Match: \"b\""], .askOrigin),
      (["If-Unmodified-Since: \(date(-1000))"], .whole),
      (["If-Unmodified-Since: \(date(-1001))"], .askOrigin),
    ] as [([String], StoredAnswer)]
  )
  func conditions(asked: [String], expected: StoredAnswer) throws {
    #expect(try answer(asked) == expected)
    #expect(try answer(asked, method: "HEAD") == expected)
  }

  @Test("without Last-Modified a response is as old as its Date: 4.3.2")
  func byDate() throws {
    #expect(try answer(["If-Modified-Since: \(date(-5))"], stored: []) == .notModified)
    #expect(try answer(["If-Modified-Since: \(date(-6))"], stored: []) == .whole)
  }

  @Test(
    "parts come from what is stored whole: RFC 9110, section 14.2",
    arguments: [
      (["Range: bytes=0-1"], .part(0..<2)), (["Range: bytes=1-"], .part(1..<10)),
      (["Range: bytes=-1"], .part(9..<10)), (["Range: bytes=0-1,4-5"], .parts([0..<2, 4..<6])),
      (["Range: bytes=10-"], .unsatisfiable), (["Range: lines=1-2"], .whole),
      (["Range: bytes=0-1", "If-Range: \"a\""], .part(0..<2)),
      (["Range: bytes=0-1", "If-Range: \"b\""], .whole),
      (["Range: bytes=0-1", "If-Range: \(date(-1000))"], .part(0..<2)),
      (["Range: bytes=0-1", "If-None-Match: \"a\""], .notModified),
    ] as [([String], StoredAnswer)]
  )
  func parts(asked: [String], expected: StoredAnswer) throws {
    #expect(try answer(asked) == expected)
    #expect(try answer(asked.filter { $0.hasPrefix("Range") }, method: "HEAD") == .whole)
    // While it is being filled, nobody knows how long it is.
    #expect(try answer(asked, length: nil) == (expected == .notModified ? .notModified : .whole))
  }

  @Test("without Last-Modified no date makes a part safe: RFC 9110, section 13.1.5")
  func ifRangeByDate() throws {
    let asked = ["Range: bytes=0-1", "If-Range: \(date(-5))"]
    #expect(try answer(asked, stored: []) == .whole)
  }

  @Test("what is no success has no conditions and no parts: RFC 9110, section 13.2.1")
  func otherStatuses() throws {
    for status in [301, 404, 410] {
      #expect(try answer(["If-None-Match: \"a\""], status: status) == .whole)
      #expect(try answer(["Range: bytes=0-1"], status: status) == .whole)
    }
    #expect(try answer(["Range: bytes=0-1"], status: 203) == .whole)
    #expect(try answer(["If-None-Match: \"a\""], status: 203) == .notModified)
  }

  @Test("a 304 has the fields that a cache needs: RFC 9110, section 15.4.5")
  func fieldsOf304() {
    for name in [
      FieldName.eTag, .date, .vary, .cacheControl, .expires, .contentLocation, .lastModified,
    ] {
      #expect(StoredAnswer.isSentWith304(name))
    }
    #expect(!StoredAnswer.isSentWith304(.contentLength))
    #expect(!StoredAnswer.isSentWith304(.contentType))
  }
}

@Suite("Parts: RFC 9111, sections 3.3 and 3.4; RFC 9110, section 14.4")
struct PartTests {
  @Test(
    "Content-Range says which part it is",
    arguments: [
      ("bytes 0-4/10", 0..<5, 10), ("bytes 0-4/*", 0..<5, nil), ("BYTES 9-9/10", 9..<10, 10),
      ("bytes */10", nil, 10),
    ] as [(String, Range<Int64>?, Int64?)]
  )
  func contentRange(value: String, range: Range<Int64>?, length: Int64?) {
    let bytes = Array(value.utf8)
    let read = ContentRange(bytes.span)
    #expect(read?.range == range && read?.length == length && read != nil)
  }

  @Test(
    "what contradicts itself is none",
    arguments: [
      "", "bytes", "bytes 0-4", "bytes 5-4/10", "bytes 0-10/10", "bytes */*", "bytes -4/10",
      "bytes 0-/10", "bytes 0-4/", "bytes 0-4/x", "lines 0-4/10", "bytes  0-4/10", "bytes=0-4/10",
      "bytes 0-9999999999999999999/*", "bytes 0-4/10 ", "bytes 0-4/10,",
    ]
  )
  func malformed(value: String) {
    let bytes = Array(value.utf8)
    #expect(ContentRange(bytes.span) == nil)
  }

  @Test("parts that touch or overlap become one")
  func merging() {
    var parts = PartSet()
    let kept = [10..<20, 30..<40, 50..<60].map { parts.insert($0) }
    #expect(kept == [true, true, true])
    #expect(parts.ranges == [10..<20, 30..<40, 50..<60])
    _ = parts.insert(20..<30)
    #expect(parts.ranges == [10..<40, 50..<60])
    _ = parts.insert(0..<55)
    #expect(parts.ranges == [0..<60])
    #expect(parts.contains(0..<60) && !parts.contains(0..<61) && parts.contains(70..<70))
    #expect(parts.missing(of: 50..<70) == [60..<70])
  }

  @Test("parts agree with a set of single bytes, whatever is put in")
  func random() {
    var random = SystemRandomNumberGenerator()
    for _ in 0..<500 {
      var parts = PartSet()
      var bytes: Set<Int64> = []
      for _ in 0..<Int.random(in: 1...20, using: &random) {
        let start = Int64.random(in: 0..<100, using: &random)
        let part = start..<start + Int64.random(in: 0..<12, using: &random)
        let isKept = parts.insert(part)
        #expect(isKept)
        bytes.formUnion(part)
      }
      #expect(Set(parts.ranges.flatMap { Array($0) }) == bytes)
      for (left, right) in zip(parts.ranges, parts.ranges.dropFirst()) {
        #expect(left.upperBound < right.lowerBound)
      }
      let start = Int64.random(in: 0..<120, using: &random)
      let wanted = start..<start + Int64.random(in: 0..<40, using: &random)
      let missing = parts.missing(of: wanted)
      #expect(Set(missing.flatMap { Array($0) }) == Set(wanted).subtracting(bytes))
      #expect(parts.contains(wanted) == missing.isEmpty)
    }
  }

  @Test("more holes than are kept are refused, and nothing is lost")
  func bounded() {
    var parts = PartSet()
    for index in 0..<Int64(PartSet.limit) {
      let isKept = parts.insert(index * 10..<index * 10 + 1)
      #expect(isKept)
    }
    let before = parts
    let isTooMany = !parts.insert(5..<6)
    #expect(isTooMany && parts == before)
    let isTouching = parts.insert(1..<2)
    #expect(isTouching)
  }

  @Test(
    "only a strong tag says that parts belong together: 3.4",
    arguments: [
      ("\"a\"", "\"a\"", true), ("\"a\"", "\"b\"", false), ("W/\"a\"", "W/\"a\"", false),
      ("", "", false), ("a", "a", false),
    ]
  )
  func combining(left: String, right: String, mayCombine: Bool) {
    let left = Array(left.utf8)
    let right = Array(right.utf8)
    #expect(PartSet.mayCombine(left.span, right.span) == mayCombine)
  }
}
