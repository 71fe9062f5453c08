import Configuration
import HTTP1
import HTTPMessage
import StaticFiles
import Testing

/// A request as the edge has read it.
private struct Asked {
  let head: RequestHead
  let bytes: [UInt8]

  init(_ lines: String..., query: String = "") throws {
    let all = ["PATCH /a\(query) HTTP/1.1", "Host: a"] + lines
    let bytes = Array((all.joined(separator: "\r\n") + "\r\n\r\n").utf8)
    var parser = RequestParser(limits: HeadLimits())
    var head = RequestHead()
    let isWhole = try parser.parse(bytes.span, into: &head)
    self.head = head
    self.bytes = bytes
    #expect(isWhole)
  }

  var upload: UploadRequest? { UploadRequest(head, in: bytes.span) }
  var saysPart: Bool { UploadRequest.saysPart(head, in: bytes.span) }
}

@Suite("Requests about uploads") struct UploadRequestTests {
  @Test(
    "say what their fields say, in each form that is spoken",
    arguments: [
      ("", "Upload-Complete: ?1", true), ("8", "Upload-Complete: ?0", false),
      ("6", "Upload-Complete: ?1", true), ("4", "Upload-Complete: ?0", false),
      ("3", "Upload-Incomplete: ?0", true), ("3", "Upload-Incomplete: ?1", false),
    ]
  )
  func forms(version: String, field: String, isComplete: Bool) throws {
    let lines = version.isEmpty ? "X: y" : "Upload-Draft-Interop-Version: \(version)"
    let upload = try #require(
      try Asked(lines, field, "upload-offset: 17", "Upload-Length: 100").upload
    )
    #expect(upload.isComplete == isComplete)
    #expect(upload.offset == 17 && upload.length == 100)
    #expect(upload.dialect.number == Int(version))
  }

  @Test(
    "say nothing where a field is not in form",
    arguments: [
      "Upload-Complete: 1", "Upload-Complete: true", "Upload-Complete: ?1, ?1",
      "Upload-Offset: -1", "Upload-Offset: 1.0", "Upload-Length: \"5\"", "Upload-Incomplete: ?1",
    ]
  )
  func ignored(field: String) throws {
    let upload = try #require(try Asked(field).upload)
    #expect(upload.isComplete == nil && upload.offset == nil && upload.length == nil)
  }

  @Test(
    "are not understood in a form that is not spoken",
    arguments: ["2", "9", "x", "?1", "6, 6"]
  )
  func versions(version: String) throws {
    let asked = try Asked("Upload-Draft-Interop-Version: \(version)", "Upload-Complete: ?0")
    #expect(asked.upload == nil)
    #expect(asked.saysPart)
  }

  @Test("tell the length of the whole, and one alone")
  func lengths() throws {
    func length(
      _ fields: String...,
      at offset: Int64 = 0,
      content: BodyLength,
      known: Int64? = nil
    ) throws -> Int64? {
      let upload = try #require(try Asked(fields[0], fields.count > 1 ? fields[1] : "X: y").upload)
      return try upload.wholeLength(at: offset, content: content, known: known)
    }
    #expect(try length("Upload-Complete: ?1", content: .fixed(5)) == 5)
    #expect(try length("Upload-Complete: ?1", at: 7, content: .fixed(5)) == 12)
    #expect(try length("Upload-Complete: ?1", at: 7, content: .none) == 7)
    #expect(try length("Upload-Complete: ?0", content: .fixed(5)) == nil)
    #expect(try length("Upload-Complete: ?1", content: .chunked) == nil)
    #expect(try length("Upload-Complete: ?0", "Upload-Length: 9", content: .fixed(5)) == 9)
    #expect(try length("Upload-Complete: ?0", content: .chunked, known: 9) == 9)
    #expect(throws: UploadLengthConflict()) {
      try length("Upload-Complete: ?1", "Upload-Length: 9", content: .fixed(5))
    }
    #expect(throws: UploadLengthConflict()) {
      try length("Upload-Complete: ?0", "Upload-Length: 9", content: .fixed(5), known: 8)
    }
    #expect(throws: UploadLengthConflict()) {
      try length("Upload-Complete: ?0", "Upload-Length: 9", at: 10, content: .fixed(5))
    }
    #expect(throws: UploadLengthConflict()) {
      try length("Upload-Complete: ?1", at: 1, content: .fixed(.max), known: 5)
    }
  }

  @Test("names have 32 digits, and nothing beside them")
  func names() throws {
    let name = UploadName.random()
    func read(_ query: String) -> UploadName? { UploadName(query: Array(query.utf8).span) }
    #expect(read("upload=\(name)") == name)
    #expect(read("upload=\("\(name)".uppercased())") == nil || "\(name)".allSatisfy(\.isNumber))
    for query in [
      "upload=", "upload=\(name)0", "Upload=\(name)", "upload=\(name)&a", "a&upload=\(name)",
      "upload=../\(name)", "",
    ] {
      #expect(read(query) == nil, "\(query)")
    }
    func isQuery(_ query: String) -> Bool { UploadName.isQuery(Array(query.utf8).span) }
    #expect(isQuery("upload=x") && !isQuery("uploads=x"))
    #expect(Set((0..<100).map { _ in UploadName.random() }).count == 100)
  }

  @Test("bounds are told in the words of each form")
  func limits() throws {
    let limits = UploadLimits(byteCount: 1 << 40, partByteCount: 1024, seconds: 60)
    #expect(
      limits.text(in: .current) == "max-size=1099511627776, max-append-size=1024, max-age=60"
    )
    let older = try #require(UploadDialect(6))
    #expect(limits.text(in: older).hasSuffix("expires=60"))
    let endless = UploadLimits(byteCount: .max, partByteCount: nil, seconds: -1)
    #expect(endless.text(in: .current) == "max-size=999999999999999, max-age=0")
  }

  @Test("a record is read as it was written, and nothing else is one")
  func records() throws {
    let path = try RelativePath(Array("/a%20b/%22c%22".utf8).span)
    var record = UploadRecord(path: path, createdSeconds: 1_700_000_000, length: nil, before: nil)
    #expect(UploadRecord(text: record.text) == record)
    record.length = 1 << 40
    record.state = .finishing
    #expect(UploadRecord(text: record.text) == record)
    let text = record.text
    for end in 0..<text.count - 2 { #expect(UploadRecord(text: Array(text[..<end])) == nil) }
    var random = SystemRandomNumberGenerator()
    for _ in 0..<5000 {
      var changed = text
      changed[Int.random(in: 0..<changed.count, using: &random)] = .random(
        in: 0...255,
        using: &random
      )
      if let read = UploadRecord(text: changed) { #expect(UploadRecord(text: read.text) == read) }
    }
    #expect(UploadRecord(text: [UInt8](repeating: 0x20, count: UploadRecord.byteCount + 1)) == nil)
  }
}
