import Compression
import HTTP1
import HTTPMessage
import Testing

/// A request and an answer, as they were parsed.
private struct Case {
  var request = RequestHead()
  var requestBytes: [UInt8]
  var response = ResponseHead()
  var bytes: [UInt8]

  init(_ answer: [String], status: Int = 200, to request: [String] = []) throws {
    let first = "GET / HTTP/1.1\r\nHost: shop.example\r\n"
    requestBytes = Array((first + request.map { $0 + "\r\n" }.joined() + "\r\n").utf8)
    bytes = Array(
      ("HTTP/1.1 \(status) OK\r\n" + answer.map { $0 + "\r\n" }.joined() + "\r\n").utf8
    )
    var requests = RequestParser(limits: HeadLimits())
    var (asked, answered) = (RequestHead(), ResponseHead())
    let isAsked = try requests.parse(requestBytes.span, into: &asked)
    var responses = ResponseParser(limits: HeadLimits())
    let isAnswered = try responses.parse(bytes.span, answering: .get, into: &answered)
    try #require(isAsked && isAnswered)
    (self.request, response) = (asked, answered)
  }

  func verdict(
    _ rules: CompressionRules = CompressionRules(),
    isPublic: Bool = false
  ) -> CodingVerdict {
    var refusal: CodingRefusal?
    return rules.verdict(
      on: response,
      in: bytes.span,
      to: request,
      in: requestBytes.span,
      isPublic: isPublic,
      refusal: &refusal
    )
  }

  func head(_ verdict: CodingVerdict) -> String {
    var head: [UInt8] = []
    CodedHead.append(response, in: bytes.span, verdict, to: &head)
    return String(decoding: head, as: UTF8.self)
  }
}

private let html = ["Content-Type: text/html; charset=utf-8", "Content-Length: 5000"]
private let all = ["Accept-Encoding: gzip, deflate, br, zstd"]

@Suite("What is coded, RFC 9110 sections 8.4 and 12.5.3")
struct RulesTests {
  @Test(
    "the coding is the one that the client likes most, and ours among equals",
    arguments: [
      ("gzip, deflate, br, zstd", CodingVerdict.encode(.zstandard)),
      ("gzip, br", .encode(.brotli)), ("gzip", .encode(.gzip)), ("GZIP", .encode(.gzip)),
      ("x-gzip", .encode(.gzip)), ("*", .encode(.zstandard)),
      ("zstd;q=0.5, gzip;q=0.8", .encode(.gzip)), ("zstd;q=0, *", .encode(.brotli)),
      ("gzip;q=0.001", .encode(.gzip)), ("gzip;q=0", .vary), ("*;q=0", .vary), ("", .vary),
      ("identity", .vary), ("deflate", .vary), ("gzip;q=0.5, identity", .vary),
      ("gzip, identity", .encode(.gzip)), ("identity;q=0, gzip;q=0.1", .encode(.gzip)),
      ("identity;q=0", .vary), ("gzip;q=2", .vary), ("gzip;q=x", .vary),
      ("br;q=0.2,gzip;q=0.2", .encode(.brotli)),
    ]
  )
  func chooses(accepted: String, verdict: CodingVerdict) throws {
    #expect(try Case(html, to: ["Accept-Encoding: \(accepted)"]).verdict() == verdict)
  }

  @Test("without the field nothing is coded")
  func none() throws { #expect(try Case(html).verdict() == .vary) }

  @Test(
    "answers that are no content, or whole in another way, stay as they are",
    arguments: [
      (200, ["Content-Encoding: gzip"], CodingVerdict.leave),
      (200, ["Content-Encoding: aes128gcm"], .leave),
      (200, ["Cache-Control: max-age=3, no-transform"], .leave),
      (200, ["Cache-Control: No-Transform"], .leave), (206, ["Content-Range: bytes 0-1/3"], .vary),
      (404, [], .encode(.zstandard)), (500, [], .encode(.zstandard)),
    ]
  )
  func stays(status: Int, fields: [String], verdict: CodingVerdict) throws {
    #expect(try Case(html + fields, status: status, to: all).verdict() == verdict)
  }

  @Test("answers without a body have nothing to be coded", arguments: [204, 304])
  func empty(status: Int) throws {
    #expect(try Case(["ETag: \"a\""], status: status, to: all).verdict() == .leave)
  }

  @Test("a client may ask for no change")
  func noTransform() throws {
    #expect(try Case(html, to: all + ["Cache-Control: no-transform"]).verdict() == .vary)
  }

  @Test("HTTP/1.0 gets bodies as they are")
  func oldVersion() throws {
    var old = try Case(html, to: all)
    old.request.version = .http10
    #expect(old.verdict() == .vary)
  }

  @Test(
    "the type decides, whatever its parameters and letters are",
    arguments: [
      ("text/html", true), ("TEXT/Plain ; charset=x", true), ("application/json", true),
      ("application/ld+json", true), ("application/problem+JSON; a=b", true),
      ("image/svg+xml", true), ("application/wasm", true), ("font/ttf", true),
      ("text/event-stream", true), ("image/png", false), ("font/woff2", false),
      ("application/octet-stream", false), ("text", false), ("", false),
      ("application/grpc+json", false), ("application/zip", false), ("xtext/html", false),
    ]
  )
  func types(type: String, isCoded: Bool) throws {
    let answer = try Case(["Content-Type: \(type)", "Content-Length: 5000"], to: all)
    #expect(answer.verdict() == (isCoded ? .encode(.zstandard) : .leave))
    #expect(
      try Case(["Content-Length: 5000"], to: all).verdict() == .leave,
      "without a type nothing is known"
    )
  }

  @Test("a body is long enough at the limit, and where its length is not known")
  func length() throws {
    func verdict(_ framing: String) throws -> CodingVerdict {
      try Case(["Content-Type: text/html", framing], to: all).verdict()
    }
    #expect(try verdict("Content-Length: 1023") == .leave)
    #expect(try verdict("Content-Length: 1024") == .encode(.zstandard))
    #expect(try verdict("Transfer-Encoding: chunked") == .encode(.zstandard))
    #expect(try verdict("A: b") == .encode(.zstandard))
  }

  @Test(
    "what a page of another site asks for in its user's name stays as it is",
    arguments: [
      (["Cookie: a=b", "Sec-Fetch-Site: cross-site"], true),
      (["Cookie: a=b", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"], true),
      (["Authorization: Basic YTpi", "Sec-Fetch-Site: cross-site"], true),
      (["Cookie: a=b", "Referer: https://evil.example/"], true),
      (["Cookie: a=b", "Referer: https://shop.example.evil/"], true),
      (["Cookie: a=b", "Referer: https://shop.example@evil.example/"], true),
      (["Cookie: a=b", "Origin: null"], true), (["Cookie: a=b", "Referer: shop.example"], true),
      (
        [
          "Cookie: a=b", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate",
          "Sec-Fetch-User: ?1",
        ], false
      ),
      (["Sec-Fetch-Site: cross-site"], false), (["Cookie: a=b"], false),
      (["Cookie: a=b", "Sec-Fetch-Site: same-origin", "Referer: https://evil.example/"], false),
      (["Cookie: a=b", "Sec-Fetch-Site: same-site"], false),
      (["Cookie: a=b", "Sec-Fetch-Site: none"], false),
      (["Cookie: a=b", "Referer: https://shop.example/a?b"], false),
      (["Cookie: a=b", "Origin: https://SHOP.example"], false),
    ]
  )
  func foreign(fields: [String], isForeign: Bool) throws {
    let answer = try Case(html, to: all + fields)
    #expect(CompressionRules.isForeign(answer.request, in: answer.requestBytes.span) == isForeign)
    #expect(answer.verdict() == (isForeign ? .vary : .encode(.zstandard)))
    #expect(answer.verdict(isPublic: true) == .encode(.zstandard))
    var rules = CompressionRules()
    rules.sparesForeign = false
    #expect(answer.verdict(rules) == .encode(.zstandard))
  }

  @Test(
    "a 304 about the weak tag of a coded answer confirms that one",
    arguments: [
      ("W/\"a\"", CodingVerdict.confirm), ("\"a\"", .leave), ("\"b\", W/\"a\"", .confirm),
      ("W/\"b\"", .leave), ("*", .leave),
    ]
  )
  func confirms(known: String, verdict: CodingVerdict) throws {
    let answer = try Case(["ETag: \"a\""], status: 304, to: all + ["If-None-Match: \(known)"])
    #expect(answer.verdict() == verdict)
    if verdict == .confirm {
      #expect(
        answer.head(verdict) == "HTTP/1.1 304 OK\r\nETag: W/\"a\"\r\nVary: Accept-Encoding\r\n"
      )
    }
  }

  @Test("what the client does not take is decoded where that is wanted")
  func decodes() throws {
    var rules = CompressionRules()
    rules.decodes = true
    let coded = html + ["Content-Encoding: br"]
    #expect(try Case(coded).verdict(rules) == .decode(.brotli))
    #expect(try Case(coded, to: ["Accept-Encoding: gzip"]).verdict(rules) == .decode(.brotli))
    #expect(try Case(coded, to: ["Accept-Encoding: br"]).verdict(rules) == .vary)
    #expect(try Case(coded, to: ["Accept-Encoding: identity;q=0"]).verdict(rules) == .vary)
    #expect(try Case(html + ["Content-Encoding: br, gzip"]).verdict(rules) == .leave)
    #expect(try Case(coded + ["Content-Encoding: gzip"]).verdict(rules) == .leave)
    #expect(try Case(coded + ["Cache-Control: no-transform"]).verdict(rules) == .leave)
    #expect(try Case(html + ["Content-Encoding: compress"]).verdict(rules) == .leave)
  }
}

@Suite("The head of a coded answer")
struct CodedHeadTests {
  @Test("loses what was true of other bytes, and says what is")
  func rewrites() throws {
    let answer = try Case(
      html + [
        "ETag: \"strong\"", "Accept-Ranges: bytes", "Content-Digest: sha-256=:YQ==:",
        "repr-digest: sha-256=:YQ==:", "Digest: sha-256=YQ==", "Content-MD5: YQ==", "X-Kept: a",
      ],
      to: all
    )
    #expect(
      answer.head(.encode(.brotli)) == """
        HTTP/1.1 200 OK\r
        Content-Type: text/html; charset=utf-8\r
        ETag: W/"strong"\r
        X-Kept: a\r
        Content-Encoding: br\r
        Vary: Accept-Encoding\r

        """
    )
  }

  @Test("of one that is decoded has no coding any more")
  func decoded() throws {
    let answer = try Case(
      ["Content-Encoding: gzip", "Transfer-Encoding: chunked", "ETag: W/\"weak\""]
    )
    #expect(
      answer.head(.decode(.gzip))
        == "HTTP/1.1 200 OK\r\nETag: W/\"weak\"\r\nVary: Accept-Encoding\r\n"
    )
  }

  @Test(
    "says once what it depends on",
    arguments: [
      ("Vary: Accept-Encoding", true), ("vary: Origin, accept-encoding", true), ("Vary: *", true),
      ("Vary: Origin", false), ("Vary: X-Accept-Encoding", false),
    ]
  )
  func varies(field: String, isEnough: Bool) throws {
    let answer = try Case([field, "Content-Length: 3"])
    let missing = CodedHead.missingVary(answer.response, in: answer.bytes.span)
    #expect(missing.isEmpty == isEnough)
    let added = isEnough ? "" : "Vary: Accept-Encoding\r\n"
    #expect(answer.head(.vary) == "HTTP/1.1 200 OK\r\n\(field)\r\nContent-Length: 3\r\n" + added)
  }

  @Test(
    "says that it depends on the client's dictionary too where it may: RFC 9842, section 6.2",
    arguments: [
      ("Vary: Accept-Encoding", "Vary: Available-Dictionary\r\n"),
      ("Vary: available-dictionary", "Vary: Accept-Encoding\r\n"),
      ("Vary: Origin", "Vary: Accept-Encoding, Available-Dictionary\r\n"),
      ("Vary: accept-encoding, available-dictionary", ""), ("Vary: *", ""),
    ]
  )
  func variesByDictionary(field: String, line: String) throws {
    let answer = try Case([field, "Content-Length: 3"])
    let missing = CodedHead.missingVary(
      answer.response,
      in: answer.bytes.span,
      dependsOnDictionary: true
    )
    #expect(String(decoding: missing, as: UTF8.self) == line)
  }

  @Test("trailers lose the digests of other bytes")
  func trailers() {
    let lines = "X-Time: 3\r\nContent-Digest: sha-256=:YQ==:\r\nServer-Timing: a\r\n"
    let kept = CodedHead.trailers(Array(lines.utf8))
    #expect(String(decoding: kept, as: UTF8.self) == "X-Time: 3\r\nServer-Timing: a\r\n")
    #expect(CodedHead.trailers([]) == [])
  }
}

@Suite("Patterns of media types")
struct MediaPatternTests {
  @Test(
    "are read, or refused",
    arguments: [
      ("text/html", true), ("text/*", true), ("*+json", true), ("*/*", true), ("*", false),
      ("text", false), ("/", false), ("text/", false), ("*/json", false), ("a*b/c", false),
      ("text/html;q=1", false), ("text/ht ml", false), ("", false), ("*/*/*", false),
    ]
  )
  func reads(text: String, isPattern: Bool) {
    #expect((MediaPattern(text) != nil) == isPattern)
  }

  @Test("of the usual types can all be read")
  func usual() { #expect(MediaPattern.usual.count == MediaPattern.usualNames.count) }
}
