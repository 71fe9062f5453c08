import Prefaces
import TestCorpora
import Testing

@Suite("First bytes of a connection")
struct FirstBytesTests {
  static let known: [(String, [UInt8], ClientProtocol)] = [
    ("a request", Array("GET / HTTP/1.1\r\n".utf8), .http1),
    ("a request for all of the server", Array("OPTIONS * HTTP/1.1\r\n".utf8), .http1),
    ("a request for a tunnel", Array("CONNECT a.example:443 HTTP/1.1\r\n".utf8), .http1),
    ("a method of an extension", Array("VERSION-CONTROL /a HTTP/1.1\r\n".utf8), .http1),
    ("a method like a preface", Array("PRI / HTTP/1.1\r\n".utf8), .http1),
    ("a method like a command", Array("PING / HTTP/1.1\r\n".utf8), .http1),
    ("HTTP/2", Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8), .http2),
    ("SSH", Array("SSH-2.0-OpenSSH_9.2\r\n".utf8), .ssh),
    ("a start of PostgreSQL", [0, 0, 0, 20, 0, 3, 0, 0] + Array("user\0me\0\0".utf8), .postgresql),
    ("PostgreSQL's question for TLS", [0, 0, 0, 8, 0x04, 0xD2, 0x16, 0x2F], .postgresql),
    ("PostgreSQL's question for GSSAPI", [0, 0, 0, 8, 0x04, 0xD2, 0x16, 0x30], .postgresql),
    (
      "PostgreSQL's cancellation", [0, 0, 0, 16, 0x04, 0xD2, 0x16, 0x2E, 0, 0, 0, 1, 0, 0, 0, 2],
      .postgresql
    ),
    ("a command of Redis", Array("*1\r\n$4\r\nPING\r\n".utf8), .redis),
    ("a command of Redis by hand", Array("PING\r\n".utf8), .redis),
    ("a line of a proxy", Array("PROXY TCP4 192.0.2.1".utf8), .proxy),
    ("a block of a proxy", ProxyHeader.local.encoded(as: .v2), .proxy),
    ("TLS", [0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC], .tls),
  ]

  @Test("tells each protocol, and by none but its own bytes", arguments: known.indices)
  func tells(index: Int) {
    let (name, bytes, found) = Self.known[index]
    #expect(FirstBytes(of: bytes.span) == .known(found), "\(name)")
    var isDecided = false
    for count in 0...min(bytes.count, FirstBytes.byteCount) {
      let verdict = FirstBytes(of: bytes.span.extracting(0..<count))
      if verdict != .undecided { isDecided = true }
      #expect(isDecided ? verdict == .known(found) : verdict == .undecided, "\(name): \(count)")
    }
    #expect(isDecided, "\(name)")
  }

  static let unknown: [[UInt8]] = [
    Array("get / HTTP/1.1\r\n".utf8), Array("GET\r\n".utf8), Array("GET  /".utf8),
    Array("SSL-2.0".utf8), Array("*0\r\n".utf8), Array("*x\r\n".utf8), Array("*123456789\r".utf8),
    [0x16, 2, 0], [0x16, 3, 5], [0x16, 3, 1, 0, 0, 1], [0x16, 3, 1, 0x40, 1, 1],
    [0x16, 3, 1, 2, 0, 2], [0, 1], [0, 0, 0, 7, 0x04, 0xD2, 0x16, 0x2F],
    [0, 0, 0, 8, 0, 3, 0, 0], [0, 0, 0x40, 0, 0, 3, 0, 0], [0x0D, 0x0A, 0x0A], [0xFF],
    Array("A_METHOD_THAT_IS_LONGER / HTTP/1.1".utf8),
  ]

  @Test("takes for nothing what only looks alike", arguments: unknown)
  func refuses(bytes: [UInt8]) {
    #expect(FirstBytes(of: bytes.span) == .unknown)
  }

  @Test("never takes a verdict back, and has one in time", arguments: 0..<64)
  func noise(seed: Int) {
    var numbers = Numbers(seed: UInt64(seed))
    for _ in 0..<500 {
      var bytes = Self.known[Int.random(in: Self.known.indices, using: &numbers)].1
      bytes = Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &numbers)))
      bytes += numbers.bytes(upTo: 40)
      var last = FirstBytes.undecided
      for count in 0...bytes.count {
        let verdict = FirstBytes(of: bytes.span.extracting(0..<count))
        #expect(last == .undecided || verdict == last)
        last = verdict
      }
      #expect(bytes.count < FirstBytes.byteCount || last != .undecided)
    }
  }

  @Test(
    "takes for a proxy whatever the parser could accept",
    arguments: try Preface.all(in: .proxy)
  )
  func agrees(preface: Preface) {
    guard preface.outcome == "accepted" else { return }
    #expect(FirstBytes(of: preface.bytes.span) == .known(.proxy))
  }

  @Test("takes for TLS whatever the reader could accept", arguments: try Preface.all(in: .hello))
  func agreesOnTLS(preface: Preface) {
    guard preface.outcome == "accepted" else { return }
    #expect(FirstBytes(of: preface.bytes.span) == .known(.tls))
  }
}
