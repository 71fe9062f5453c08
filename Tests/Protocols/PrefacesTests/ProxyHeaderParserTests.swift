import Prefaces
import TestCorpora
import Testing

/// What the parser says of some bytes.
enum ReadHeader: Hashable {
  case incomplete
  case accepted(ProxyHeaderParser.Parsed)
  case refused(ProxyHeaderError)

  init(_ bytes: [UInt8], limits: ProxyHeaderLimits = ProxyHeaderLimits()) {
    do throws(ProxyHeaderError) {
      let parsed = try ProxyHeaderParser(limits: limits).parse(bytes.span)
      self = parsed.map { .accepted($0) } ?? .incomplete
    } catch {
      self = .refused(error)
    }
  }

  var header: ProxyHeader? {
    if case .accepted(let parsed) = self { parsed.header } else { nil }
  }

  var outcome: String {
    switch self {
    case .incomplete: "incomplete"
    case .accepted: "accepted"
    case .refused(let error): error.rawValue
    }
  }
}

@Suite("PROXY headers, versions 1 and 2")
struct ProxyHeaderParserTests {
  @Test(
    "judges each message of the corpus as its table says",
    arguments: try Preface.all(in: .proxy)
  )
  func corpus(preface: Preface) {
    #expect(ReadHeader(preface.bytes).outcome == preface.outcome)
  }

  @Test("says the same however the bytes come", arguments: try Preface.all(in: .proxy))
  func splits(preface: Preface) {
    let whole = ReadHeader(preface.bytes)
    var isDecided = false
    for count in 0...preface.bytes.count {
      let part = ReadHeader(Array(preface.bytes[..<count]))
      if part != .incomplete { isDecided = true }
      // A verdict is never taken back, and nothing is accepted before its last byte.
      #expect(isDecided ? part == whole : part == .incomplete, "\(count) bytes")
    }
  }

  @Test("reads the addresses of both families from a line")
  func lineAddresses() throws {
    let four = ReadHeader(Array("PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n".utf8)).header
    #expect(four?.source == .ipv4(0xC000_0207, port: 4711))
    #expect(four?.destination == .ipv4(0xC633_6401, port: 443))
    let six = ReadHeader(Array("PROXY TCP6 2001:db8::7 ::ffff:192.0.2.1 1 2\r\n".utf8)).header
    #expect(six?.source == .ipv6(0x2001_0DB8_0000_0000, 7, port: 1))
    #expect(six?.destination == .ipv6(0, 0xFFFF_C000_0201, port: 2))
  }

  @Test("reads every value of a block")
  func values() throws {
    let parsed = ReadHeader(try Corpus.proxy.bytes(of: "block-checksum.bin")).header
    let values = try #require(parsed?.values)
    #expect(values.alpn == Array("h2".utf8))
    #expect(values.authority == Array("www.example.com".utf8))
    #expect(values.uniqueID == Array("id-1".utf8))
    #expect(values.networkNamespace == Array("blue".utf8))
    #expect(values.others == [ProxyValue(type: 0xEA, bytes: [1] + Array("vpce-1".utf8))])
    let tls = try #require(values.tls)
    #expect(tls.isEncrypted && tls.hasCertificate && tls.hasSessionCertificate)
    #expect(tls.verification == 0)
    #expect(tls.version == Array("TLSv1.3".utf8))
    #expect(tls.commonName == Array("client".utf8))
    #expect(tls.keyAlgorithm == Array("RSA2048".utf8))
  }

  @Test(
    "believes nothing of a header that is for the proxy itself",
    arguments: ["block-local", "block-local-with-addresses", "block-local-with-garbage"]
  )
  func local(name: String) throws {
    let bytes = try Corpus.proxy.bytes(of: name + ".bin")
    guard case .accepted(let parsed) = ReadHeader(bytes) else {
      Issue.record("it is refused")
      return
    }
    #expect(parsed.header == .local)
    #expect(parsed.byteCount == bytes.count)
  }

  @Test("notices each change of a single bit where there is a checksum")
  func checksum() throws {
    let bytes = try Corpus.proxy.bytes(of: "block-checksum.bin")
    // The checksum's own type is left alone: with another one there is no checksum.
    for index in bytes.indices where index != bytes.count - 7 {
      for bit in 0..<8 {
        var changed = bytes
        changed[index] ^= 1 << UInt8(bit)
        let read = ReadHeader(changed)
        // A command of LOCAL takes all of the block away, the checksum too.
        if case .accepted(let parsed) = read, parsed.header != .local {
          Issue.record("byte \(index), bit \(bit): accepted")
        }
      }
    }
  }

  @Test("gives back what was written, in version 2", arguments: 0..<400)
  func roundTrip(seed: Int) {
    var numbers = Numbers(seed: UInt64(seed))
    let header = ProxyHeader.random(&numbers)
    let bytes = header.encoded(as: .v2, checksum: seed.isMultiple(of: 2))
    let rest = numbers.bytes(upTo: 40)
    guard case .accepted(let parsed) = ReadHeader(bytes + rest) else {
      Issue.record("\(header) is refused: \(ReadHeader(bytes).outcome)")
      return
    }
    #expect(parsed.header == header)
    #expect(parsed.version == .v2)
    #expect(parsed.byteCount == bytes.count)
  }

  @Test("gives back the addresses that were written, in version 1", arguments: 0..<200)
  func lineRoundTrip(seed: Int) {
    var numbers = Numbers(seed: UInt64(seed))
    var header = ProxyHeader.random(&numbers)
    header.values = ProxyValues()
    let bytes = header.encoded(as: .v1)
    guard case .accepted(let parsed) = ReadHeader(bytes) else {
      Issue.record("\(header) is refused")
      return
    }
    #expect(parsed.version == .v1)
    switch (header.source, header.transport) {
    case (.ipv4?, .stream), (.ipv6?, .stream): #expect(parsed.header == header)
    default: #expect(parsed.header == ProxyHeader())
    }
  }

  @Test("takes any bytes without reading beyond them", arguments: 0..<64)
  func noise(seed: Int) {
    var numbers = Numbers(seed: UInt64(seed))
    let starts = ["PROXY ", "PROXY TCP4 ", "PROXY TCP6 "].map { Array($0.utf8) }
    let signature = ProxyHeader.local.encoded(as: .v2).dropLast(4)
    for _ in 0..<500 {
      var bytes = numbers.bytes(upTo: 300)
      switch Int.random(in: 0..<4, using: &numbers) {
      case 0: bytes = starts[Int.random(in: 0..<3, using: &numbers)] + bytes
      case 1: bytes = signature + [0x21, 0x11, 0, UInt8(min(bytes.count, 255))] + bytes
      case 2:
        bytes = ProxyHeader.random(&numbers).encoded(as: .v2)
        for _ in 0..<Int.random(in: 1...4, using: &numbers) {
          bytes[Int.random(in: bytes.indices, using: &numbers)] = numbers.bytes(upTo: 1).first ?? 0
        }
      default: break
      }
      if case .accepted(let parsed) = ReadHeader(bytes) {
        #expect(parsed.byteCount <= min(bytes.count, ProxyHeaderLimits().headerBytes))
      }
    }
  }

  @Test("computes the checksum that the RFC gives for its examples")
  func checksumExample() {
    var sum = CRC32C()
    sum.update(Array("123456789".utf8).span)
    #expect(sum.value == 0xE306_9283)
    var zeros = CRC32C()
    zeros.updateZeros(32)
    #expect(zeros.value == 0x8A91_36AA)
  }
}

extension ProxyHeader {
  /// A header that can be written in version 2 and read again as it is.
  static func random(_ numbers: inout Numbers) -> ProxyHeader {
    var header = ProxyHeader()
    header.transport = Bool.random(using: &numbers) ? .stream : .datagram
    func port() -> UInt16 { .random(in: 0...65_535, using: &numbers) }
    switch Int.random(in: 0..<4, using: &numbers) {
    case 0:
      header.source = .ipv4(.random(in: 0 ... .max, using: &numbers), port: port())
      header.destination = .ipv4(.random(in: 0 ... .max, using: &numbers), port: port())
    case 1:
      header.source = .ipv6(numbers.next(), numbers.next() >> 16, port: port())
      header.destination = .ipv6(0, numbers.next(), port: port())
    case 2:
      header.source = .unix(numbers.bytes(upTo: 108, of: 0x21...0x7E))
      // A path that begins like the name of an abstract one is often written, and such a name.
      let first = UInt8(ascii: "@")
      header.destination =
        Bool.random(using: &numbers)
        ? .unix([first] + numbers.bytes(upTo: 107, of: 0x41...0x7E))
        : .unix([0, first] + numbers.bytes(upTo: 106, of: 0x41...0x7E))
    // Without addresses there is no transport either.
    default: header.transport = .stream
    }
    let text: ClosedRange<UInt8> = 0x20...0x7E
    header.values = ProxyValues(
      alpn: numbers.value(upTo: 255),
      authority: numbers.value(upTo: 255, of: 0x61...0x7A),
      uniqueID: numbers.value(upTo: 128),
      networkNamespace: numbers.value(upTo: 255, of: text)
    )
    if Bool.random(using: &numbers) {
      header.values.tls = ProxyTLS(
        isEncrypted: Bool.random(using: &numbers),
        hasCertificate: Bool.random(using: &numbers),
        hasSessionCertificate: Bool.random(using: &numbers),
        verification: .random(in: 0 ... .max, using: &numbers),
        version: numbers.value(upTo: 20, of: text),
        commonName: numbers.value(upTo: 255, of: text),
        cipher: numbers.value(upTo: 60, of: text),
        signatureAlgorithm: numbers.value(upTo: 60, of: text),
        keyAlgorithm: numbers.value(upTo: 60, of: text)
      )
    }
    for type in UInt8(0xE0)..<0xE0 + UInt8.random(in: 0...8, using: &numbers) {
      header.values.others.append(ProxyValue(type: type, bytes: numbers.bytes(upTo: 60)))
    }
    return header
  }
}
