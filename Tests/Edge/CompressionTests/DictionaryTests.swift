import Compression
import HTTP1
import HTTPMessage
import Testing

@Suite("Dictionaries, RFC 9842")
struct DictionaryTests {
  private let digest = DictionaryDigest((0..<32).map { UInt8($0) })

  private func request(_ fields: [String]) throws -> (RequestHead, [UInt8]) {
    let lines = (["GET / HTTP/1.1", "Host: a"] + fields).map { $0 + "\r\n" }.joined() + "\r\n"
    let bytes = Array(lines.utf8)
    var (parser, head) = (RequestParser(limits: HeadLimits()), RequestHead())
    let isParsed = try parser.parse(bytes.span, into: &head)
    try #require(isParsed)
    return (head, bytes)
  }

  private func response(_ fields: [String]) throws -> (ResponseHead, [UInt8]) {
    let lines = (["HTTP/1.1 200 OK", "Content-Length: 0"] + fields).map { $0 + "\r\n" }.joined()
    let bytes = Array((lines + "\r\n").utf8)
    var (parser, head) = (ResponseParser(limits: HeadLimits()), ResponseHead())
    let isParsed = try parser.parse(bytes.span, answering: .get, into: &head)
    try #require(isParsed)
    return (head, bytes)
  }

  @Test(
    "the client's is named by its digest, in one form",
    arguments: [
      (["Available-Dictionary: :AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=:"], true),
      (["available-dictionary:  :AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=:;a=1 "], true),
      (["Available-Dictionary: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="], false),
      (["Available-Dictionary: :AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==:"], false),
      (["Available-Dictionary: :AAEC-wQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=:"], false),
      (
        [
          "Available-Dictionary: :AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=:",
          "Available-Dictionary: :AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=:",
        ], false
      ), ([], false),
    ]
  )
  func digests(fields: [String], isNamed: Bool) throws {
    let (head, bytes) = try request(fields)
    #expect(DictionaryDigest(of: head, in: bytes.span) == (isNamed ? digest : nil))
    #expect(digest?.bytes == (0..<32).map { UInt8($0) })
  }

  @Test(
    "an answer offers itself as one by a pattern of its own origin",
    arguments: [
      ("match=\"/app/*/main.js\"", true),
      ("match=\"/a\", match-dest=(\"document\" \"script\")", true),
      ("match=\"/a\", id=\"x\\\"y\", type=raw, new=?1", true), ("match=\"/:name/{b}?\"", true),
      ("match=\"/a\", type=zip", false), ("match=\"/(a|b)\"", false), ("id=\"a\"", false),
      ("match=\"https://b.example/*\"", false), ("match=\"//b.example/*\"", false),
      ("match=/a", false), ("match=\"/a\", match-dest=document", false), ("match=\"/a\",", false),
      ("match=\"/a{b{c}}\"", false), ("match=\"/a{b\"", false), ("match=\"/a\\\\\"", false),
      ("match=\"/a\", id=\"\(String(repeating: "i", count: 1024))\"", true),
      ("match=\"/a\", id=\"\(String(repeating: "i", count: 1025))\"", false), ("", false),
    ]
  )
  func offers(value: String, isOffered: Bool) throws {
    let field = "Use-As-Dictionary: \(value)"
    #expect(try self.isOffered([field]) == isOffered)
    #expect(try self.isOffered([field, field]) == false)
  }

  private func isOffered(_ fields: [String]) throws -> Bool {
    let (head, bytes) = try response(fields)
    return DictionaryUse.isOffered(by: head, in: bytes.span)
  }

  @Test("what is written of one is what is read")
  func fieldValue() throws {
    let use = DictionaryUse(match: "/a*", destinations: ["document", "style"], id: "a\"\\b")
    #expect(
      use.text == #"match="/a*", match-dest=("document" "style"), id="a\"\\b""#
    )
    #expect(try isOffered(["Use-As-Dictionary: \(use.text)"]))
  }

  @Test(
    "one is used where whoever asks may read the answer: RFC 9842, section 9.3.3",
    arguments: [
      ([], nil, true), (["Sec-Fetch-Site: same-origin"], nil, true),
      (["Sec-Fetch-Site: cross-site"], nil, true),
      (["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"], nil, true),
      (["Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: no-cors"], "*", false),
      (["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors"], "*", false),
      (
        ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors", "Origin: https://b.example"], nil,
        false
      ),
      (
        ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors", "Origin: https://b.example"],
        "https://b.example", true
      ),
      (
        ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors", "Origin: https://b.example"], "*",
        true
      ),
      (
        ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors", "Origin: https://b.example"],
        "https://c.example", false
      ),
    ] as [([String], String?, Bool)]
  )
  func readability(fields: [String], allowed: String?, isAllowed: Bool) throws {
    let (asked, askedBytes) = try request(fields)
    let (answer, bytes) = try response(allowed.map { ["Access-Control-Allow-Origin: \($0)"] } ?? [])
    #expect(
      CompressionRules.allowsDictionary(answer, in: bytes.span, to: asked, in: askedBytes.span)
        == isAllowed
    )
  }

  /// What is coded against a dictionary, with what stands in front of it.
  private func coded(
    _ body: [UInt8],
    _ dictionary: CompressionDictionary,
    _ coding: ContentCoding = .dictionaryZstandard,
    length: Int?,
    by coder: BodyCoder? = nil
  ) throws -> [UInt8] {
    let kind = BodyCoder.Kind(coding, level: 5, length: length)
    let coder = try #require(coder ?? BodyCoder(kind))
    try coder.begin(length: length, against: dictionary)
    var (all, start) = ([UInt8](), 0)
    while true {
      start += coder.take(body.span.extracting(start..<body.count))
      let outcome = coder.run(start == body.count ? .end : .more)
      all += coder.output.bytes
      coder.output.removeAll()
      if outcome == .done, start == body.count { return all }
      try #require(outcome == .done || outcome == .full)
    }
  }

  @Test(
    "what a body has in common with one takes next to nothing",
    arguments: [5000, 60_000, 900_000],
    [true, false]
  )
  func common(count: Int, isLengthKnown: Bool) throws {
    let digest = try #require(digest)
    let old = text(count)
    let dictionary = try #require(
      CompressionDictionary(old, digest, for: [(.dictionaryZstandard, 5)])
    )
    #expect(dictionary.codings == [.dictionaryZstandard] && dictionary.byteCount > count)
    let body = Array(old.prefix(count / 2)) + text(500, seed: 9) + Array(old.suffix(count / 2))
    let bytes = try coded(body, dictionary, length: isLengthKnown ? body.count : nil)
    #expect(bytes.prefix(40).elementsEqual([0x5E, 0x2A, 0x4D, 0x18, 0x20, 0, 0, 0] + digest.bytes))
    #expect(bytes.count < 1500)
    // Without it, that is refused.
    let decoder = try #require(Decoder(.zstandard))
    #expect(throws: CodingError.malformed) { try decoded(decoder, [bytes]) }
    #expect(Decoder(.dictionaryZstandard) == nil)
  }

  @Test("bytes in the form of Zstandard's own dictionaries are just bytes here")
  func form() throws {
    let digest = try #require(digest)
    let old = [0x37, 0xA4, 0x30, 0xEC] + text(20_000)
    let dictionary = try #require(
      CompressionDictionary(old, digest, for: [(.dictionaryZstandard, 3)])
    )
    let kind = BodyCoder.Kind(.dictionaryZstandard, level: 3, length: nil)
    let coder = try #require(BodyCoder(kind))
    for _ in 0..<3 {
      #expect(try coded(text(20_000), dictionary, length: nil, by: coder).count < 200)
    }
  }

  @Test("a coder takes another dictionary for each body, and memory is what was foretold")
  func reuse() throws {
    let digest = try #require(digest)
    let kind = BodyCoder.Kind(.dictionaryZstandard, level: 5, length: nil)
    let coder = try #require(BodyCoder(kind))
    for seed in 1...3 as ClosedRange<UInt64> {
      let old = text(50_000, seed: seed)
      let dictionary = try #require(
        CompressionDictionary(old, digest, for: [(.dictionaryZstandard, 5)])
      )
      #expect(try coded(old, dictionary, length: nil, by: coder).count < 200)
      let other = try coded(text(50_000, seed: 77), dictionary, length: nil, by: coder)
      #expect(other.count > 5000)
    }
    #expect(coder.byteCount <= BodyCoder.byteCount(of: kind))
    for length in [1000, 1_000_000, 9_000_000] {
      for level in [1, 3, 4, 9, 15] {
        let kind = BodyCoder.Kind(.dictionaryZstandard, level: level, length: length)
        let coder = try #require(BodyCoder(kind))
        let old = text(300_000)
        let dictionary = try #require(
          CompressionDictionary(old, digest, for: [(.dictionaryZstandard, level)])
        )
        _ = try coded(text(length), dictionary, length: length, by: coder)
        #expect(coder.byteCount <= BodyCoder.byteCount(of: kind), "\(length) at \(level)")
      }
    }
  }

  @Test("there is none of nothing, and none for codings that know none")
  func none() throws {
    let digest = try #require(digest)
    #expect(CompressionDictionary([], digest, for: [(.dictionaryZstandard, 3)]) == nil)
    #expect(CompressionDictionary([1], digest, for: [(.gzip, 3), (.zstandard, 3)]) == nil)
    #expect(CompressionDictionary.isSupported(.dictionaryZstandard))
    #expect(!CompressionDictionary.isSupported(.zstandard))
    let isBrotli = CompressionDictionary.isSupported(.dictionaryBrotli)
    #expect(isBrotli == CompressionDictionary.isBrotliSupported)
    let brotli = CompressionDictionary(text(9000), digest, for: [(.dictionaryBrotli, 5)])
    #expect((brotli != nil) == isBrotli)
    if let brotli {
      let bytes = try coded(text(9000), brotli, .dictionaryBrotli, length: nil)
      #expect(bytes.prefix(36).elementsEqual([0xFF, 0x44, 0x43, 0x42] + digest.bytes))
      #expect(bytes.count < 200)
    }
  }
}
