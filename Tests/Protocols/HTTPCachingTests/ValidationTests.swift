import HTTPCaching
import HTTPMessage
import Testing

@Suite("Validation: RFC 9111, section 4.3")
struct ValidationTests {
  private func conditions(_ tag: String, _ date: String) -> String {
    let tag = Array(tag.utf8)
    let date = Array(date.utf8)
    var lines: [UInt8] = []
    Validation.append(tag: tag.span, lastModified: date.span, to: &lines)
    return text(lines)
  }

  @Test("the origin is asked with all that is known: 4.3.1")
  func sent() {
    #expect(conditions("\"a\"", "") == "If-None-Match: \"a\"\r\n")
    #expect(conditions("W/\"a\"", "x") == "If-None-Match: W/\"a\"\r\nIf-Modified-Since: x\r\n")
    #expect(conditions("", "x") == "If-Modified-Since: x\r\n")
    #expect(conditions("a", "") == "")
    var lines: [UInt8] = []
    Validation.append(tags: [Array("\"a\"".utf8), [], Array("W/\"b\"".utf8)], to: &lines)
    #expect(text(lines) == "If-None-Match: \"a\", W/\"b\"\r\n")
    lines = []
    Validation.append(tags: [], to: &lines)
    #expect(lines.isEmpty)
  }

  @Test(
    "a 304 is about the response that its validators name: 4.3.4",
    arguments: [
      ("\"a\"", nil, ["ETag: \"a\""], true), ("\"a\"", nil, ["ETag: \"b\""], false),
      ("\"a\"", nil, ["ETag: W/\"a\""], true), ("W/\"a\"", nil, ["ETag: W/\"a\""], true),
      ("W/\"a\"", nil, ["ETag: \"a\""], false), ("", nil, ["ETag: \"a\""], false),
      ("\"a\"", nil, ["A: b"], true), ("\"a\"", nil, ["ETag: a"], true),
      ("", -5, ["Last-Modified: \(date(-5))"], true),
      ("", -5, ["Last-Modified: \(date(-4))"], false),
      ("\"a\"", -5, ["ETag: \"a\"", "Last-Modified: \(date(-4))"], true),
      ("", nil, ["Last-Modified: \(date(-4))"], true), ("", -5, ["Last-Modified: x"], true),
    ] as [(String, Int64?, [String], Bool)]
  )
  func about(tag: String, modified: Int64?, fields: [String], holds: Bool) {
    let tag = Array(tag.utf8)
    let response = Answered(304, fields: fields)
    let outcome = Validation.outcome(
      tag: tag.span,
      lastModified: modified.map { later(Double($0)).date },
      by: response.head,
      in: response.bytes.span,
      now: now.date
    )
    #expect(outcome == (holds ? .holds : .isOther))
  }

  private func merged(_ stored: [String], _ update: [String]) -> String {
    let old = Answered(200, fields: stored)
    let new = Answered(304, fields: update)
    return text(
      HeadUpdate.merged(
        old.head.fields,
        in: old.bytes.span,
        with: new.head,
        in: new.bytes.span,
        by: CachePolicy()
      )
    )
  }

  @Test("a 304 replaces the fields that it has, and leaves the others: 3.2, 4.3.4")
  func update() {
    #expect(
      merged(
        ["A: 1", "B: 1", "b: 2", "Cache-Control: max-age=1", "C: 1"],
        ["B: 3", "Cache-Control: max-age=9", "D: 1", "D: 2"]
      ) == "A: 1\r\nC: 1\r\nB: 3\r\nCache-Control: max-age=9\r\nD: 1\r\nD: 2\r\n"
    )
  }

  @Test(
    "what describes the stored content stays with it: 3.2",
    arguments: [
      ("Content-Length: 5", "Content-Length: 0"), ("Content-Type: a/b", "Content-Type: c/d"),
      ("Content-Encoding: gzip", "Content-Encoding: br"),
      ("Content-Range: bytes 0-1/2", "Content-Range: bytes 0-1/3"),
    ]
  )
  func kept(stored: String, update: String) {
    #expect(merged([stored], [update]) == stored + "\r\n")
    #expect(merged(["A: b"], [update]) == "A: b\r\n")
  }

  @Test("what is not stored does not come with a 304 either: 3.1")
  func excluded() {
    #expect(
      merged(
        ["A: 1", "Set-Cookie: a=b"],
        [
          "Connection: x", "X: 1", "Age: 5", "Keep-Alive: a",
          "Cache-Control: max-age=1, private=\"set-cookie\"", "Set-Cookie: c=d",
        ]
      ) == "A: 1\r\nSet-Cookie: a=b\r\nCache-Control: max-age=1, private=\"set-cookie\"\r\n"
    )
  }

  @Test("an updated response is fresh by its new head, and as old as that: 4.3.4")
  func refreshed() throws {
    let stored = ["Cache-Control: max-age=60", "Date: \(date(-100))", "ETag: \"a\""]
    let update = Answered(304, "Cache-Control: max-age=90", "Date: \(date())", "Age: 7")
    let lines = merged(stored, ["Cache-Control: max-age=90", "Date: \(date())", "Age: 7"])
    let head = Answered(
      200,
      fields: lines.split(separator: "\r\n").map { String($0) }
    )
    let storing = CachePolicy().refreshing(
      head.head,
      in: head.bytes.span,
      with: update.head,
      in: update.bytes.span,
      for: Asked().cached(),
      requestTime: now,
      responseTime: now
    )
    guard case .store(let terms) = storing else {
      Issue.record("not stored: \(storing)")
      return
    }
    #expect(terms.status == 200 && terms.age(at: now) == 7 && terms.timeToLive(at: now) == 83)
    #expect(terms.rules.contains(.hasStrongTag))
  }

  @Test(
    "a response to HEAD is about the stored content unless it says otherwise: 4.3.5",
    arguments: [
      (["ETag: \"a\"", "Content-Length: 5"], true), (["ETag: \"b\""], false),
      (["Content-Length: 6"], false), (["A: b"], true), (["Last-Modified: \(date())"], false),
    ]
  )
  func head(fields: [String], isUpdate: Bool) {
    let stored = Answered(200, "ETag: \"a\"", "Content-Length: 5")
    let head = Answered(200, fields: fields)
    #expect(
      Validation.isUpdate(
        of: stored.head.fields,
        in: stored.bytes.span,
        by: head.head,
        in: head.bytes.span
      ) == isUpdate
    )
  }

  @Test("conditions and parts of a client are not asked of the origin when all is wanted")
  func leftOut() {
    #expect(Validation.leavesOut(.ifNoneMatch) && Validation.leavesOut(.range))
    #expect(!Validation.leavesOut(.acceptEncoding) && !Validation.leavesOut(.other))
  }
}
