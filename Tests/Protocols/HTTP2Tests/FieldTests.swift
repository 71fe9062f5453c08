import HTTP2
import Testing

@Suite("Fields: RFC 7541, and RFC 9113 section 8")
struct FieldTests {
  /// The examples of RFC 7541, appendix C.3 and C.4: three requests on one connection.
  static let requests: [[(plain: String, coded: String)]] = [
    [
      (
        "828684410f7777772e6578616d706c652e636f6d",
        "828684418cf1e3c2e5f23a6ba0ab90f4ff"
      ),
      ("828684be58086e6f2d6361636865", "828684be5886a8eb10649cbf"),
      (
        "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
        "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf"
      ),
    ]
  ]

  @Test("the examples of RFC 7541, appendix C, are read", arguments: [false, true])
  func examples(isCoded: Bool) {
    let subject = Subject.greeted()
    for (index, request) in Self.requests[0].enumerated() {
      let block = Frames.bytes(hex: isCoded ? request.coded : request.plain)
      subject.receive(Frames.frame(FrameKind.headers, 5, UInt32(index * 2 + 1), block))
    }
    #expect(subject.heads[1] == "GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n")
    #expect(
      subject.heads[3]
        == "GET / HTTP/1.1\r\nHost: www.example.com\r\ncache-control: no-cache\r\n\r\n"
    )
    #expect(
      subject.heads[5]
        == "GET /index.html HTTP/1.1\r\nHost: www.example.com\r\ncustom-key: custom-value\r\n\r\n"
    )
  }

  /// The examples of RFC 7541, appendix C.6: three answers, in a table of 256 bytes.
  @Test("entries go when the table is full, as in RFC 7541, appendix C.6")
  func eviction() {
    let answers = [
      "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad17"
        + "1863c78f0b97c8e9ae82ae43d3",
      "4883640effc1c0bf",
      "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b3"
        + "35dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
    ]
    let client = Subject(.client)
    client.receive(Frames.settings())
    for _ in answers {
      _ = client.with {
        $0.open(Array("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n".utf8).span, isSecure: true, isLast: true)
      }
    }
    // Our table may hold 4,096 bytes; the example's peer has chosen to use 256 of them.
    let prefix: [UInt8] = [0x3F, 0xE1, 0x01]
    for (index, answer) in answers.enumerated() {
      let block = (index == 0 ? prefix : []) + Frames.bytes(hex: answer)
      client.receive(Frames.frame(FrameKind.headers, 5, UInt32(index * 2 + 1), block))
    }
    #expect(client.fault == nil)
    let fields =
      "cache-control: private\r\ndate: Mon, 21 Oct 2013 20:13:21 GMT\r\n"
      + "location: https://www.example.com\r\n\r\n"
    #expect(client.heads[1] == "HTTP/1.1 302 \r\n" + fields)
    #expect(client.heads[3] == "HTTP/1.1 307 \r\n" + fields)
    #expect(
      client.heads[5]
        == "HTTP/1.1 200 \r\ncache-control: private\r\ndate: Mon, 21 Oct 2013 20:13:22 GMT\r\n"
        + "location: https://www.example.com\r\ncontent-encoding: gzip\r\n"
        + "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1\r\n\r\n"
    )
  }

  @Test(
    "a block that cannot be read ends the connection",
    arguments: [
      "80", "ff", "bf", "ffffffffff0f", "40", "4085", "008561", "3fe21f",
      "823f01", "202020", "008181ff00", "00018a",
      // A padding of zeros, of a whole byte, and the code for the end.
      "0081ff0000", "0082187f0000", "0084ffffffff0000",
    ]
  )
  func defects(hex: String) {
    let subject = Subject.greeted()
    subject.receive(Frames.frame(FrameKind.headers, 5, 1, Frames.bytes(hex: hex)))
    #expect(subject.fault?.code == .compressionError, "\(subject.story)")
    #expect(subject.frames.last?.goAwayCode == .compressionError)
  }

  @Test("every byte survives the code for strings")
  func everyByte() {
    let client = Subject(.client)
    let server = Subject()
    client.receive(server.written())
    server.receive(client.written())
    var dice = Dice(7)
    for round in 0..<200 {
      let value = (0..<Int.random(in: 1...60, using: &dice)).map { _ in
        round % 2 == 0
          ? UInt8.random(in: 0x21...0x7E, using: &dice)
          : UInt8.random(in: 0x80...0xFF, using: &dice)
      }
      let head = Array("GET / HTTP/1.1\r\nHost: x\r\nX-Bytes: ".utf8) + value + [13, 10, 13, 10]
      guard let stream = client.with({ $0.open(head.span, isSecure: false, isLast: true) }) else {
        Issue.record("no stream")
        return
      }
      server.receive(client.written())
      let id = client.machine.number(of: stream)
      let expected =
        "GET / HTTP/1.1\r\nHost: x\r\nx-bytes: \(String(decoding: value, as: UTF8.self))"
      #expect(server.heads[Int(id)] == expected + "\r\n\r\n", "round \(round)")
      let place = server.places[id] ?? -1
      server.with {
        $0.sendHead(Array("HTTP/1.1 204 X\r\n\r\n".utf8).span, on: place, isLast: true)
        $0.release(place)
      }
      client.receive(server.written())
      client.with { $0.release(stream) }
    }
  }

  struct MalformedHead: Sendable {
    var reason: String
    var fields: [(String, String)]
    init(_ reason: String, _ fields: [(String, String)]) {
      self.reason = reason
      self.fields = fields
    }
  }

  private static let host: (String, String) = (":authority", "example.com")
  private static let path: (String, String) = (":path", "/")
  private static let scheme: (String, String) = (":scheme", "http")
  private static let method: (String, String) = (":method", "GET")

  static let malformedHeads: [MalformedHead] = [
    MalformedHead("missing_method", [scheme, path, host]),
    MalformedHead("missing_scheme", [method, path, host]),
    MalformedHead("missing_path", [method, scheme, host]),
    MalformedHead("missing_path", [method, scheme, (":path", ""), host]),
    MalformedHead("malformed_path", [method, scheme, (":path", "x"), host]),
    MalformedHead("malformed_path", [method, scheme, (":path", "*"), host]),
    MalformedHead("malformed_path", [method, scheme, (":path", "http://a/"), host]),
    MalformedHead(
      "malformed_pseudo_field",
      [method, scheme, (":path", "/ HTTP/1.1\r\nX: y"), host]
    ),
    MalformedHead("malformed_pseudo_field", [method, scheme, (":path", "/a b"), host]),
    MalformedHead("malformed_pseudo_field", [method, scheme, path, (":authority", "a\r\nb")]),
    MalformedHead(
      "malformed_pseudo_field",
      [(":method", "GET /x HTTP/1.1\r\n"), scheme, path, host]
    ),
    MalformedHead("malformed_method", [(":method", "GE(T"), scheme, path, host]),
    MalformedHead("malformed_method", [(":method", ""), scheme, path, host]),
    MalformedHead("unsupported_scheme", [method, (":scheme", "ftp"), path, host]),
    MalformedHead("empty_authority", [method, scheme, path, (":authority", "")]),
    MalformedHead("conflicting_host", [method, scheme, path, host, ("host", "evil.com")]),
    MalformedHead("repeated_host", [method, scheme, path, ("host", "a"), ("host", "a")]),
    MalformedHead("repeated_pseudo_field", [method, method, scheme, path, host]),
    MalformedHead("repeated_pseudo_field", [method, scheme, path, path, host]),
    MalformedHead("unknown_pseudo_field", [method, scheme, path, host, (":status", "200")]),
    MalformedHead("unknown_pseudo_field", [method, scheme, path, host, (":unknown", "1")]),
    MalformedHead(
      "unknown_pseudo_field",
      [method, scheme, path, host, (":protocol", "websocket")]
    ),
    MalformedHead("pseudo_field_behind_others", [method, scheme, ("a", "b"), path, host]),
    MalformedHead("malformed_field_name", Frames.get + [("X-Upper", "1")]),
    MalformedHead("malformed_field_name", Frames.get + [("", "1")]),
    MalformedHead("malformed_field_name", Frames.get + [("a b", "1")]),
    MalformedHead("malformed_field_name", Frames.get + [("a:b", "1")]),
    MalformedHead("malformed_field_name", Frames.get + [("a\r\nb", "1")]),
    MalformedHead("malformed_field_value", Frames.get + [("a", "b\r\nc: d")]),
    MalformedHead("malformed_field_value", Frames.get + [("a", "b\nc")]),
    MalformedHead("malformed_field_value", Frames.get + [("a", "b\0")]),
    MalformedHead("malformed_field_value", Frames.get + [("a", " b")]),
    MalformedHead("malformed_field_value", Frames.get + [("a", "b\t")]),
    MalformedHead("connection_specific_field", Frames.get + [("connection", "close")]),
    MalformedHead("connection_specific_field", Frames.get + [("keep-alive", "1")]),
    MalformedHead("connection_specific_field", Frames.get + [("proxy-connection", "close")]),
    MalformedHead("connection_specific_field", Frames.get + [("transfer-encoding", "chunked")]),
    MalformedHead("connection_specific_field", Frames.get + [("upgrade", "h2c")]),
    MalformedHead("connection_specific_field", Frames.get + [("te", "gzip")]),
    MalformedHead("malformed_content_length", Frames.get + [("content-length", "1,1")]),
    MalformedHead("malformed_content_length", Frames.get + [("content-length", "+1")]),
    MalformedHead("malformed_content_length", Frames.get + [("content-length", "")]),
    MalformedHead(
      "malformed_content_length",
      Frames.get + [("content-length", "9999999999999999999")]
    ),
    MalformedHead(
      "repeated_content_length",
      Frames.get + [("content-length", "0"), ("content-length", "0")]
    ),
    MalformedHead("content_length_mismatch", Frames.get + [("content-length", "1")]),
    MalformedHead("malformed_connect", [(":method", "CONNECT"), scheme, path, host]),
    MalformedHead("malformed_connect", [(":method", "CONNECT")]),
  ]

  @Test(
    "what could be read in two ways, or by nobody, is refused with a reset",
    arguments: malformedHeads
  )
  func malformed(head: MalformedHead) {
    let subject = Subject.greeted()
    subject.receive(Frames.headers(1, head.fields))
    #expect(subject.story == ["malformed \(head.reason)"])
    #expect(subject.frames.last?.kind == FrameKind.resetStream)
    #expect(subject.frames.last?.code == .protocolError)
    // The connection goes on.
    subject.receive(Frames.headers(3))
    #expect(subject.story.last == "head 3 last")
  }

  @Test("a malformed field stays malformed when it comes out of the table")
  func malformedInTable() {
    let subject = Subject.greeted()
    let bad: [UInt8] = [0x40] + Frames.string(Array("a".utf8)) + Frames.string(Array("b\r\nc".utf8))
    subject.receive(Frames.frame(FrameKind.headers, 5, 1, Frames.block(Frames.get) + bad))
    subject.receive(Frames.frame(FrameKind.headers, 5, 3, Frames.block(Frames.get) + [0xBE]))
    #expect(subject.story == Array(repeating: "malformed malformed_field_value", count: 2))
    // Its name is good, and may be used with another value.
    let good: [UInt8] = [0x7E] + Frames.string(Array("ok".utf8))
    subject.receive(Frames.frame(FrameKind.headers, 5, 5, Frames.block(Frames.get) + good))
    #expect(subject.heads[5]?.contains("\r\na: ok\r\n") == true)
  }

  @Test(
    "a field that is larger than the table empties it, and the connection goes on",
    arguments: [0, 1, 7, 8, 9, 40],
    [false, true]
  )
  func largerThanTable(count: Int, isShrunk: Bool) {
    func kept(_ name: String, _ value: String) -> [UInt8] {
      [0x40] + Frames.string(Array(name.utf8)) + Frames.string(Array(value.utf8))
    }
    let subject = Subject.greeted()
    let small = (0..<count).flatMap { kept("n\($0)", "v") }
    subject.receive(Frames.frame(FrameKind.headers, 5, 1, Frames.block(Frames.get) + small))
    // Where the table may hold nothing, every field is larger.
    let large = kept("large", String(repeating: "x", count: isShrunk ? 10 : 5000))
    let block = (isShrunk ? [0x20] : []) + Frames.block(Frames.get) + large
    for stream: UInt32 in [3, 5, 7] {
      subject.receive(Frames.frame(FrameKind.headers, 5, stream, block))
      #expect(subject.heads[Int(stream)]?.contains("\r\nlarge: xxx") == true)
    }
    let again: [UInt8] = (isShrunk ? [0x3F, 0xE1, 0x1F] : []) + Frames.block(Frames.get)
    subject.receive(Frames.frame(FrameKind.headers, 5, 9, again + kept("a", "b")))
    subject.receive(Frames.frame(FrameKind.headers, 5, 11, Frames.block(Frames.get) + [0xBE]))
    #expect(subject.heads[11]?.contains("\r\na: b\r\n") == true)
    // Nothing but that is left.
    subject.receive(Frames.frame(FrameKind.headers, 5, 13, Frames.block(Frames.get) + [0xBF]))
    #expect(subject.fault?.code == .compressionError)
  }

  @Test(
    "content that is not as long as it was said to be is refused",
    arguments: [("2", ["abc"], true), ("4", ["abc"], true), ("4", ["ab", "cde"], false)]
  )
  func contentLength(length: String, parts: [String], endsAtLast: Bool) {
    let subject = Subject.greeted()
    subject.receive(Frames.headers(1, Frames.post + [("content-length", length)], isLast: false))
    for (index, part) in parts.enumerated() {
      subject.receive(Frames.data(1, part, isLast: endsAtLast && index == parts.count - 1))
    }
    #expect(subject.story.last == "reset 1 1 content_length_mismatch")
    #expect(!subject.story.contains("end 1"))
  }

  @Test("trailers are fields without framing, and the last that comes")
  func trailers() {
    for (fields, isLast, story) in [
      ([("x-sum", "1")], true, #"trailers 1 "x-sum: 1\r\n""#),
      ([("x-sum", "1")], false, "reset 1 1 trailers_without_end"),
      ([(":path", "/")], true, "reset 1 1 pseudo_field_in_trailers"),
      ([("content-length", "3")], true, "reset 1 1 forbidden_trailer"),
      ([("host", "a")], true, "reset 1 1 forbidden_trailer"),
    ] {
      let subject = Subject.greeted()
      subject.receive(Frames.headers(1, Frames.post, isLast: false) + Frames.data(1, "abc"))
      subject.receive(Frames.headers(1, fields, isLast: isLast))
      #expect(subject.story.last == story)
    }
  }

  @Test("a head that is too large is told from one that is a bomb")
  func tooLarge() {
    let subject = Subject.greeted()
    let field = ("x", String(repeating: "y", count: 3900))
    subject.receive(Frames.headers(1, Frames.get + Array(repeating: field, count: 4)))
    #expect(subject.story.last == "head 1 last")
    subject.receive(Frames.headers(3, Frames.get + [("a", "b")]))
    #expect(subject.story.last == "head 3 last")
    var limits = ConnectionLimits()
    limits.fieldBytes = 8192
    let small = Subject.greeted(limits: limits)
    small.receive(Frames.headers(1, Frames.get + Array(repeating: field, count: 4)))
    #expect(small.story.last == "too large 1")
    #expect(small.fault == nil)
  }

  @Test("extended CONNECT is a request to switch, where it is allowed: RFC 8441")
  func extendedConnect() {
    var limits = ConnectionLimits()
    limits.allowsExtendedConnect = true
    let subject = Subject.greeted(limits: limits)
    subject.receive(
      Frames.headers(
        1,
        [
          (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/c"),
          (":authority", "a"), ("sec-websocket-version", "13"),
        ],
        isLast: false
      )
    )
    #expect(
      subject.heads[1]
        == "GET /c HTTP/1.1\r\nHost: a\r\nsec-websocket-version: 13\r\nConnection: Upgrade\r\n"
        + "Upgrade: websocket\r\n\r\n"
    )
    subject.receive(
      Frames.headers(3, [(":method", "CONNECT"), (":authority", "a:443")], isLast: false)
    )
    #expect(subject.heads[3] == "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n")
  }
}
