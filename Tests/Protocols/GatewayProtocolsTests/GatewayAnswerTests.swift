import GatewayProtocols
import HTTP1
import HTTPMessage
import MartletBytes
import TestCorpora
import Testing

@Suite("Answers of gateways")
struct GatewayAnswerTests {
  private func text(_ read: Read) -> String { String(decoding: read.text, as: UTF8.self) }

  @Test("have their length where they came at once")
  func whole() {
    let read = read([Records.plain])
    #expect(
      text(read) == "HTTP/1.1 200 \r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
    )
    #expect(read.hasEnded && read.fault == nil)
  }

  @Test("come in chunks where their end is not known")
  func chunks() {
    let read = read([
      Records.output("A: b\n\nhe"), Records.output("llo"), Records.end(),
    ])
    #expect(
      text(read)
        == "HTTP/1.1 200 \r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
    )
  }

  @Test(
    "end with the connection in SCGI and uwsgi, and may begin with the version of the request",
    arguments: [GatewayProtocol.scgi, .uwsgi],
    ["HTTP/1.1", "HTTP/1.0", "HTTP/2.0"]
  )
  func connection(form: GatewayProtocol, version: String) {
    let answer = Array("\(version) 201 Made\r\nA: b\r\n\r\nbody".utf8)
    let read = read([answer], form, ends: true)
    #expect(text(read) == "HTTP/1.1 201 Made\r\nA: b\r\nConnection: close\r\n\r\nbody")
    #expect(read.hasEnded)
  }

  @Test(
    "have the status that the application means",
    arguments: [
      ("Status: 404 Not Here\nA: b", "404 Not Here"), ("Status: 503", "503 "),
      ("Location: /a", "302 "), ("Location: http://a/\nStatus: 307 Go", "307 Go"),
      ("A: b", "200 "), ("STATUS: 418", "418 "),
    ]
  )
  func statuses(head: String, status: String) {
    let read = read([Records.output(head + "\n\n") + Records.end()])
    #expect(text(read).hasPrefix("HTTP/1.1 \(status)\r\n"))
  }

  @Test(
    "name a place of this host where they say nothing else",
    arguments: [
      ("Location: /a?b=c\n\n", "/a?b=c"), ("location:/\r\n\r\n", "/"),
      ("Location: //a/\n\n", nil), ("Location: http://a/\n\n", nil), ("Location: a\n\n", nil),
      ("Location: /a\nA: b\n\n", nil), ("Location: /a\nStatus: 302\n\n", nil),
      ("Location: /a\nLocation: /b\n\n", nil), ("Location: /a\n\nsome", nil),
    ] as [(String, String?)]
  )
  func places(text: String, place: String?) {
    for isHead in [false, true] {
      let whole = Records.output(text) + Records.end()
      #expect(read([whole], isHead: isHead).place == place)
      #expect(read(whole.map { [$0] }, isHead: isHead).place == place, "byte by byte")
      let pieces = Array(text.utf8).map { [$0] }
      #expect(read(pieces, .scgi, isHead: isHead, ends: true).place == place)
    }
  }

  @Test("that name a place are not given out before their end says that there is nothing else")
  func latePlace() {
    let early = read([Records.output("Location: /a\n\n")])
    #expect(early.text.isEmpty && !early.hasEnded)
    let late = read([Records.output("Location: /a\n\n"), Records.end()])
    #expect(text(late) == "HTTP/1.1 302 \r\nLocation: /a\r\nContent-Length: 0\r\n\r\n")
  }

  @Test("say nothing of the connection, which is not theirs")
  func hops() {
    let head =
      "Connection: close\nKeep-Alive: x\nTransfer-Encoding: chunked\nUpgrade: a\nTE: b\nTrailer: c\nA: d\n\n"
    let read = read([Records.output(head) + Records.end()])
    #expect(text(read) == "HTTP/1.1 200 \r\nA: d\r\nContent-Length: 0\r\n\r\n")
  }

  @Test(
    "leave content out where there is none, and are read to their end all the same",
    arguments: [("Status: 204", false), ("Status: 304", false), ("A: b", true)]
  )
  func none(head: String, isHead: Bool) {
    let pieces = [
      Records.output(head + "\n\nsome"), Records.output(" more"), Records.end(),
    ]
    let read = read(pieces, isHead: isHead)
    #expect(text(read).hasSuffix("\r\n\r\n") && !text(read).contains("some"))
    #expect(read.hasEnded && read.fault == nil)
  }

  @Test("tell what the application says besides, bounded")
  func said() {
    #expect(String(decoding: read([Records.split]).said, as: UTF8.self) == "PHP message: no\n")
    let much = (0..<2).map { _ in Records.error(String(repeating: "x", count: 60_000)) }
    #expect(read([much[0] + much[1]]).said.count == GatewayAnswer.errorByteLimit)
  }

  @Test(
    "are refused where they are not what CGI asks for",
    arguments: [
      ("\n", GatewayFault.noField), ("no colon\n\n", .fieldLine), (": v\n\n", .fieldLine),
      ("a b: v\n\n", .fieldLine), ("A: b\n c\n\n", .fieldLine), ("A: b\u{1}\n\n", .fieldByte),
      ("A: b\rc\n\n", .fieldByte), ("Status: 199\n\n", .status), ("Status: 600\n\n", .status),
      ("Status: 20\n\n", .status), ("Status: 200OK\n\n", .status), ("Status: x\n\n", .status),
      ("Status: 200\nStatus: 200\n\n", .status), ("Content-Length: -1\n\n", .contentLength),
      ("Content-Length: 1\nContent-Length: 1\n\nx", .contentLength),
      ("Content-Length:\n\n", .contentLength), ("Content-Length: 1 \n\nxx", .contentTooLong),
      ("Content-Length: 3\n\nxx", .contentTooShort), ("HTTP/1.1 200 OK\nA: b\n\n", .fieldLine),
      ("A: " + String(repeating: "x", count: 5000) + "\n\n", .headTooLong),
      (String(repeating: "A: b\n", count: 2000), .headTooLong),
    ]
  )
  func refuses(text: String, fault: GatewayFault) {
    let bytes = Records.output(text) + Records.end()
    #expect(read([bytes]).fault == fault && read([bytes]).text.isEmpty)
    #expect(read(bytes.map { [$0] }).fault == fault, "byte by byte")
  }

  @Test("are refused where records do not belong to them")
  func strangers() {
    let other = Records.record(.standardOutput, [65], request: 2)
    #expect(read([other]).fault == .recordRequest)
    #expect(read([Records.plain + Records.output("x")]).fault == .recordAfterEnd)
    #expect(read([Records.end(outcome: 1)]).fault == .refused)
    #expect(read([Records.end(outcome: 2)]).fault == .refused)
    #expect(read([Records.end(outcome: 3)]).fault == .roleUnknown)
    #expect(read([Records.end()]).fault == .noField)
  }

  /// What a reader of HTTP/1.1 takes from a text; nil where it is not sound.
  private func meaning(_ read: Read, isHead: Bool) -> [String]? {
    var parser = ResponseParser(limits: HeadLimits())
    var head = ResponseHead()
    let bytes = read.text
    do {
      guard try parser.parse(bytes.span, answering: isHead ? .head : .get, into: &head) else {
        return nil
      }
      var offset = head.byteCount
      var content: [UInt8] = []
      switch head.bodyLength {
      case .none: break
      case .fixed(let length):
        guard bytes.count - offset == Int(length) else { return nil }
        content = Array(bytes[offset...])
      case .untilClose: content = Array(bytes[offset...])
      case .chunked:
        var decoder = ChunkedDecoder(limits: HeadLimits())
        decoding: while true {
          switch try decoder.next(in: bytes.span, at: &offset) {
          case .needBytes: return nil
          case .data(let range): content += bytes[range]
          case .trailer: return nil
          case .end: break decoding
          }
        }
        guard offset == bytes.count else { return nil }
      }
      return ["\(head.status)", String(decoding: content, as: UTF8.self)]
    } catch {
      return nil
    }
  }

  @Test(
    "mean the same however they are split",
    arguments: try Corpus.gateways.names(),
    [false, true]
  )
  func splits(name: String, isHead: Bool) throws {
    let bytes = try Corpus.gateways.bytes(of: name)
    let form: GatewayProtocol = name.hasSuffix(".fastcgi") ? .fastCGI : .scgi
    let whole = read([bytes], form, isHead: isHead, ends: true)
    let expected = meaning(whole, isHead: isHead)
    #expect((expected != nil) == (whole.fault == nil && whole.hasEnded && !whole.text.isEmpty))
    for cut in 0...bytes.count {
      let pieces = [Array(bytes[..<cut]), Array(bytes[cut...])]
      let split = read(pieces, form, isHead: isHead, ends: true, by: 1000)
      #expect(split.fault == whole.fault && split.said == whole.said, "cut at \(cut)")
      if whole.fault == nil { #expect(meaning(split, isHead: isHead) == expected, "cut at \(cut)") }
    }
    let slow = read(bytes.map { [$0] }, form, isHead: isHead, ends: true, by: 1)
    #expect(slow.fault == whole.fault)
    if whole.fault == nil { #expect(meaning(slow, isHead: isHead) == expected) }
  }

  @Test("serve one request after the other on a connection")
  func sequence() throws {
    let bytes = Records.plain
    var answer = GatewayAnswer(.fastCGI)
    for _ in 0..<3 {
      answer.begin(isHead: false)
      #expect(!answer.hasEnded)
      try answer.receive(bytes.span)
      #expect(answer.hasEnded && answer.hasOutput)
      #expect(answer.read(upTo: 1000) { _ in } == 67)
    }
  }
}
