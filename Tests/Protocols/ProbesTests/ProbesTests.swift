import HTTPMessage
import Probes
import Testing

@Suite("Probes")
struct ProbesTests {
  @Test("tell what a recorded answer means", arguments: try RecordedAnswer.all())
  func recorded(answer: RecordedAnswer) throws {
    var probe = try StreamProbe(answer.kind)
    #expect(probe.verdict(on: [answer.bytes]).word == answer.verdict)
  }

  @Test(
    "give the same verdict however an answer is split",
    arguments: try RecordedAnswer.all().filter { $0.bytes.count < 1000 }
  )
  func splits(answer: RecordedAnswer) throws {
    let bytes = answer.bytes
    var whole = try StreamProbe(answer.kind)
    let expected = whole.verdict(on: [bytes])
    for cut in 0...bytes.count {
      var probe = try StreamProbe(answer.kind)
      let pieces = [Array(bytes[..<cut]), Array(bytes[cut...])]
      #expect(probe.verdict(on: pieces) == expected, "cut at \(cut)")
    }
    var slow = try StreamProbe(answer.kind)
    #expect(slow.verdict(on: bytes.map { [$0] }) == expected, "byte by byte")
  }

  @Test("give the same verdict on noise however it is split", arguments: StreamProbe.kinds)
  func noise(kind: String) throws {
    let seeds = try RecordedAnswer.all().filter { $0.kind == kind && $0.bytes.count < 1000 }
    var random = SystemRandomNumberGenerator()
    for round in 0..<3000 {
      var bytes = seeds.randomElement()?.bytes ?? []
      for _ in 0..<Int.random(in: 0...4) where !bytes.isEmpty {
        let index = bytes.indices.randomElement() ?? 0
        switch Int.random(in: 0..<3) {
        case 0: bytes[index] = UInt8.random(in: 0...255)
        case 1: bytes.remove(at: index)
        default: bytes.insert(UInt8.random(in: 0...255), at: index)
        }
      }
      if round % 10 == 0 { bytes = (0..<64).map { _ in UInt8.random(in: 0...255) } }
      var pieces: [[UInt8]] = []
      var rest = bytes[...]
      while !rest.isEmpty {
        let count = Int.random(in: 1...rest.count, using: &random)
        pieces.append(Array(rest.prefix(count)))
        rest = rest.dropFirst(count)
      }
      var whole = try StreamProbe(kind)
      var split = try StreamProbe(kind)
      #expect(split.verdict(on: pieces) == whole.verdict(on: [bytes]), "\(bytes)")
    }
  }

  @Test("read no more than their limit of an answer without an end", arguments: StreamProbe.kinds)
  func endless(kind: String) throws {
    let answers = try RecordedAnswer.all().filter { $0.kind == kind && $0.verdict == "passed" }
    for answer in answers {
      var probe = try StreamProbe(kind)
      // All but the last byte, and then the same byte for ever.
      let beginning = Array(answer.bytes.dropLast())
      var verdict = probe.receive(beginning.span)
      let filler = [UInt8](repeating: 0x41, count: 1024)
      var count = 0
      while verdict == nil, count < 1 << 20 {
        verdict = probe.receive(filler.span)
        count += 1024
      }
      #expect(verdict != nil, "\(answer)")
    }
  }

  @Test(
    "of Redis tell what the server says",
    arguments: [
      ("+PONG\r\n", ProbeVerdict.passed("PONG")),
      ("-NOAUTH a\r\n", .passed("wants a password")),
      ("-LOADING b\u{1B}[2J\r\n", .failed(.refused, "-LOADING b?[2J")),
    ]
  )
  func redis(answer: String, verdict: ProbeVerdict) {
    var probe = RedisProbe()
    let bytes = Array(answer.utf8)
    #expect(probe.receive(bytes.span) == verdict)
  }

  @Test("of PostgreSQL name their user in a message of the stated length")
  func startup() {
    let message = PostgreSQLProbe.opening(user: "probe")
    #expect(message[..<8].elementsEqual([0, 0, 0, UInt8(message.count), 0, 3, 0, 0]))
    #expect(message.dropFirst(8).starts(with: Array("user\0probe\0".utf8)))
    #expect(message.suffix(2) == [0, 0])
  }

  @Test("of TLS name the server, and state each length as it is", arguments: [nil, "a.example"])
  func hello(name: String?) {
    let random = (0..<TLSProbe.randomBytes).map { UInt8($0) }
    let bytes = TLSProbe.opening(serverName: name, random: random)
    func number(_ range: Range<Int>) -> Int { bytes[range].reduce(0) { $0 << 8 | Int($1) } }
    #expect(bytes[0] == 22)
    #expect(number(3..<5) == bytes.count - 5)
    #expect(bytes[5] == 1)
    #expect(number(6..<9) == bytes.count - 9)
    let suites = 5 + 4 + 2 + 32 + 1 + 32
    let extensions = suites + 2 + number(suites..<suites + 2) + 2
    #expect(number(extensions..<extensions + 2) == bytes.count - extensions - 2)
    let text = String(decoding: bytes.filter { $0 < 0x80 }, as: UTF8.self)
    #expect(text.contains("a.example") == (name != nil))
  }
}

@Suite("Patterns among bytes")
struct BytePatternTests {
  @Test(
    "are found in order, wherever they stand",
    arguments: [
      ("ok", "all is ok here", true), ("ok", "o k", false), ("220 *ESMTP", "220 a ESMTP", true),
      ("220 *ESMTP", "ESMTP 220 ", false), ("aab", "aaab", true), ("*", "x", true),
      ("a*a", "a", false), ("a**b", "ab", true), ("abab*ab", "abababab", true),
    ]
  )
  func found(pattern: String, text: String, isFound: Bool) {
    let bytes = Array(text.utf8)
    for size in 1...bytes.count {
      var probe = ExpectProbe(BytePattern(pattern))
      var verdict: ProbeVerdict?
      for start in stride(from: 0, to: bytes.count, by: size) where verdict == nil {
        verdict = probe.receive(bytes.span.extracting(start..<min(start + size, bytes.count)))
      }
      #expect((verdict ?? probe.end()).isPassed == isFound, "pieces of \(size)")
    }
  }
}

@Suite("Questions over HTTP")
struct HTTPProbeTests {
  @Test("are whole requests")
  func request() {
    let question = HTTPQuestion(
      method: "POST",
      path: "/a?b",
      host: "c:80",
      fields: [("X-Check", "yes")],
      statuses: [200...200]
    )
    let text = String(decoding: question.request, as: UTF8.self)
    #expect(
      text == "POST /a?b HTTP/1.1\r\nHost: c:80\r\nUser-Agent: martlet-check\r\nX-Check: yes\r\n"
        + "Content-Length: 0\r\nConnection: close\r\n\r\n"
    )
  }

  @Test(
    "keep a connection whose answer was read to its end",
    arguments: [
      ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true),
      ("HTTP/1.1 204 No Content\r\n\r\n", true),
      ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", true),
      ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", false),
      ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokmore", false),
      ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false),
    ]
  )
  func kept(answer: String, keeps: Bool) {
    var probe = HTTPProbe(StreamProbe.question(body: nil, keepsConnection: true))
    let bytes = Array(answer.utf8)
    #expect(probe.receive(bytes.span)?.isPassed == true)
    #expect(probe.keepsConnection == keeps)
  }

  @Test("do not wait for a body that nobody looks at")
  func head() {
    var probe = HTTPProbe(StreamProbe.question(body: nil))
    let bytes = Array("HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n".utf8)
    #expect(probe.receive(bytes.span) == .passed("status 200"))
  }
}

@Suite("Echo requests")
struct EchoProbeTests {
  static let token = (0..<16).map { UInt8($0) }

  @Test("have a checksum that sums up to nothing")
  func checksum() {
    let request = EchoProbe(.ipv4, identifier: 0xABCD, token: Self.token).request
    var sum = 0
    for index in stride(from: 0, to: request.count, by: 2) {
      sum += Int(request[index]) << 8 | Int(request[index + 1])
    }
    while sum > 0xFFFF { sum = sum & 0xFFFF + sum >> 16 }
    #expect(sum == 0xFFFF)
  }

  @Test("know their answer, behind a header of IP or without one", arguments: [true, false])
  func answer(hasHeader: Bool) {
    let probe = EchoProbe(.ipv4, identifier: 7, token: Self.token)
    let header: [UInt8] = hasHeader ? [0x45] + Array(repeating: 0, count: 19) : []
    var reply = probe.request
    reply[0] = 0
    let whole = header + reply
    #expect(probe.receive(whole.span, hasHeader: hasHeader) == .passed("echo"))
    // The question itself, which a raw socket on the same machine sees too, is no answer.
    let question = header + probe.request
    #expect(probe.receive(question.span, hasHeader: hasHeader) == nil)
    for count in 0..<whole.count {
      let part = Array(whole[..<count])
      #expect(probe.receive(part.span, hasHeader: hasHeader) == nil)
    }
    for index in header.count + 8..<whole.count {
      var other = whole
      other[index] ^= 1
      #expect(probe.receive(other.span, hasHeader: hasHeader) == nil)
    }
  }

  @Test("know that they could not be delivered")
  func unreachable() {
    let probe = EchoProbe(.ipv4, identifier: 7, token: Self.token)
    let header: [UInt8] = [0x45] + Array(repeating: 0, count: 19)
    let whole = [3, 1, 0, 0, 0, 0, 0, 0] + header + probe.request.prefix(8)
    let expected = ProbeVerdict.failed(.unreachable, "ICMP type 3 code 1")
    #expect(probe.receive(whole.span, hasHeader: false) == expected)
    var other = whole
    other[33] ^= 1
    #expect(probe.receive(other.span, hasHeader: false) == nil)
  }

  @Test("survive any datagram", arguments: [true, false])
  func noise(hasHeader: Bool) {
    let probe = EchoProbe(hasHeader ? .ipv4 : .ipv6, identifier: 7, token: Self.token)
    for _ in 0..<5000 {
      let bytes = (0..<Int.random(in: 0...64)).map { _ in UInt8.random(in: 0...255) }
      #expect(probe.receive(bytes.span, hasHeader: hasHeader) == nil)
    }
  }
}
