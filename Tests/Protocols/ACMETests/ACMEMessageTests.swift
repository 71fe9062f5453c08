import ACME
import JSON
import MartletBytes
import Testing

@Suite("What is said to authorities and by them")
struct ACMEMessageTests {
  @Test("names a key by the SHA-256 of its parts in the order of RFC 7638")
  func thumbprint() {
    var key = testKey
    key.digest = { $0 }
    let text = key.thumbprint.flatMap { Base64URL.decoded(Array($0.utf8).span) } ?? []
    #expect(
      String(decoding: text, as: UTF8.self)
        == "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE\","
        + "\"y\":\"AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI\"}"
    )
    #expect(key.authorization(of: "abc")?.hasPrefix("abc.") == true)
  }

  @Test("takes tokens in form for such, and nothing else")
  func tokens() {
    #expect(ACMEProof.isToken("aZ09-_"))
    #expect(ACMEProof.isToken(String(repeating: "a", count: 128)))
    for text in ["", "a.b", "a/b", "a b", "ä", String(repeating: "a", count: 129)] {
      #expect(!ACMEProof.isToken(text), "\(text)")
    }
  }

  @Test(
    "refuses a directory that names no place, or one that is not asked over TLS",
    arguments: [
      "{}", "[]",
      "{\"newNonce\":\"http://a/n\",\"newOrder\":\"https://a/o\",\"newAccount\":\"https://a/a\"}",
      "{\"newNonce\":\"https://a/ n\",\"newOrder\":\"https://a/o\",\"newAccount\":\"https://a/a\"}",
    ]
  )
  func directories(text: String) {
    #expect(ACMEDirectory(ACMEAnswer(status: 200, body: Array(text.utf8)).object) == nil)
  }

  @Test("keeps what an authority says on one line of visible characters, not too long")
  func texts() {
    let failure = ACMEFailure(
      .refused,
      "a\r\nb\u{1B}[2J\u{9B}" + String(repeating: "c", count: 9999)
    )
    #expect(failure.description.unicodeScalars.allSatisfy { $0.value >= 0x20 })
    #expect(failure.description.hasPrefix("a  b [2J "))
    #expect(failure.description.unicodeScalars.count == ACMELimits.textCount)
  }

  @Test("reads the keys of external accounts in both forms of Base64")
  func externalKeys() {
    #expect(ACMEExternalAccount(name: "a", keyText: "-_8")?.key == [0xFB, 0xFF])
    #expect(ACMEExternalAccount(name: "a", keyText: "+/8=")?.key == [0xFB, 0xFF])
    #expect(ACMEExternalAccount(name: "a", keyText: "")?.key == nil)
    #expect(ACMEExternalAccount(name: "a", keyText: "a b")?.key == nil)
  }
}

@Suite("Answers of authorities over HTTP/1.1")
struct ACMEAnswerTests {
  private static let texts = [
    "HTTP/1.1 201 Created\r\nReplay-Nonce: abc\r\nLocation: https://a/1\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nreplay-nonce: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    "HTTP/1.1 429 No\r\nRetry-After: 120\r\nContent-Length: 2\r\n\r\n{}",
    "HTTP/1.1 103 Early\r\nLink: <a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nRetry-After: Thu, 01 Jan 1970 00:10:00 GMT\r\nConnection: close\r\n\r\nto the end",
  ]

  private func read(_ parts: [[UInt8]]) throws -> ACMEAnswer {
    var reader = ACMEAnswerReader(.post, now: 0)
    for part in parts {
      if let answer = try reader.receive(part.span) { return answer }
    }
    return try reader.end()
  }

  @Test("are the same however the bytes are split", arguments: texts)
  func splits(text: String) throws {
    let bytes = Array(text.utf8)
    let whole = try read([bytes])
    #expect(whole.status >= 200)
    for cut in 1..<bytes.count {
      #expect(try read([Array(bytes[..<cut]), Array(bytes[cut...])]) == whole, "cut at \(cut)")
    }
    #expect(try read(bytes.map { [$0] }) == whole)
  }

  @Test("have their fields")
  func fields() throws {
    let first = try read([Array(Self.texts[0].utf8)])
    #expect(
      first
        == ACMEAnswer(status: 201, nonce: "abc", location: "https://a/1", body: Array("hello".utf8))
    )
    #expect(try read([Array(Self.texts[2].utf8)]).retryAfter == 120)
    #expect(try read([Array(Self.texts[4].utf8)]).retryAfter == 600)
  }

  @Test("are refused when they are cut off, too long, or not in form")
  func refusals() throws {
    for text in Self.texts.prefix(4) {
      let bytes = Array(text.utf8)
      #expect(throws: ACMEFailure.self) { try read([Array(bytes.dropLast())]) }
    }
    #expect(throws: ACMEFailure.self) { try read([Array("SSH-2.0-x\r\n\r\n".utf8)]) }
    let head = Array("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n".utf8)
    let block = [UInt8](repeating: 0x61, count: 64 << 10)
    #expect(throws: ACMEFailure.self) {
      try read([head] + [[UInt8]](repeating: block, count: 20))
    }
  }

  @Test("are read or refused, whatever comes", arguments: 0..<32)
  func noise(seed: Int) {
    var random = SplitMix(UInt64(seed))
    for text in Self.texts {
      var bytes = Array(text.utf8)
      for _ in 0..<4 {
        bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(random.next() & 255)
      }
      _ = try? read([bytes])
    }
  }
}
