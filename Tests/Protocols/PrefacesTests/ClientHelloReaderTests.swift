import Prefaces
import TestCorpora
import Testing

/// What a reader says of bytes that come in pieces.
enum ReadHello: Hashable {
  case incomplete
  case accepted(ClientHello)
  case refused(ClientHelloError)

  init(_ bytes: [UInt8], cutAt cuts: [Int] = []) {
    var reader = ClientHelloReader()
    self = .incomplete
    for end in cuts + [bytes.count] {
      do throws(ClientHelloError) {
        if let hello = try reader.read(bytes.span.extracting(0..<end)) {
          self = .accepted(hello)
          return
        }
      } catch {
        self = .refused(error)
        return
      }
    }
  }

  var outcome: String {
    switch self {
    case .incomplete: "incomplete"
    case .accepted: "accepted"
    case .refused(let error): error.rawValue
    }
  }

  var hello: ClientHello? { if case .accepted(let hello) = self { hello } else { nil } }
}

@Suite("ClientHello of TLS, RFC 8446")
struct ClientHelloReaderTests {
  @Test(
    "judges each message of the corpus as its table says",
    arguments: try Preface.all(in: .hello)
  )
  func corpus(preface: Preface) {
    #expect(ReadHello(preface.bytes).outcome == preface.outcome)
  }

  @Test("says the same however the bytes come", arguments: try Preface.all(in: .hello))
  func splits(preface: Preface) {
    let whole = ReadHello(preface.bytes)
    let count = preface.bytes.count
    for cut in Array(0..<min(count, 700)) + [count / 2, max(0, count - 1)] {
      #expect(ReadHello(preface.bytes, cutAt: [cut]) == whole, "cut at \(cut)")
    }
    if count < 2000 { #expect(ReadHello(preface.bytes, cutAt: Array(0..<count)) == whole) }
  }

  @Test("finds what a client of OpenSSL wants")
  func realClient() throws {
    let hello = try #require(ReadHello(try Corpus.hello.bytes(of: "openssl.bin")).hello)
    #expect(hello.serverName == "www.example.com")
    #expect(hello.protocols == [Array("h2".utf8), Array("http/1.1".utf8)])
    #expect(hello.versions == [0x0304, 0x0303])
    let old = try #require(ReadHello(try Corpus.hello.bytes(of: "openssl-tls12.bin")).hello)
    #expect(old.versions == [0x0303])
    let nameless = try Corpus.hello.bytes(of: "openssl-without-name.bin")
    #expect(ReadHello(nameless).hello?.serverName == nil)
  }

  @Test("finds the same in one record and in many")
  func records() throws {
    let one = try #require(ReadHello(try Corpus.hello.bytes(of: "plain.bin")).hello)
    for name in ["two-records", "small-records", "most-records"] {
      let many = try #require(ReadHello(try Corpus.hello.bytes(of: name + ".bin")).hello)
      #expect(many.serverName == one.serverName)
      #expect(many.protocols == one.protocols)
      #expect(many.versions == [0x0304, 0x0303])
    }
  }

  @Test("counts only the bytes of the hello")
  func byteCount() throws {
    let alone = try Corpus.hello.bytes(of: "plain.bin")
    let followed = try Corpus.hello.bytes(of: "plain-and-bytes.bin")
    #expect(ReadHello(followed).hello?.byteCount == alone.count)
  }

  @Test("reads a name in small letters and without the dot of the root")
  func names() throws {
    let hello = ReadHello(try Corpus.hello.bytes(of: "capital-name.bin")).hello
    #expect(hello?.serverName == "www.example.com")
  }

  @Test("takes any bytes without reading beyond them", arguments: 0..<64)
  func noise(seed: Int) throws {
    var numbers = Numbers(seed: UInt64(seed))
    let seeds = try ["openssl", "two-records", "most-protocols"].map {
      try Corpus.hello.bytes(of: $0 + ".bin")
    }
    for _ in 0..<300 {
      var bytes = seeds[Int.random(in: 0..<3, using: &numbers)]
      for _ in 0..<Int.random(in: 1...6, using: &numbers) {
        bytes[Int.random(in: bytes.indices, using: &numbers)] = numbers.bytes(upTo: 1).first ?? 0
      }
      let cut = Int.random(in: 0...bytes.count, using: &numbers)
      let whole = ReadHello(bytes)
      #expect(ReadHello(bytes, cutAt: [cut]) == whole)
      if let hello = whole.hello {
        #expect(hello.byteCount <= bytes.count)
        #expect(hello.serverName?.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } ?? true)
      }
    }
  }
}
