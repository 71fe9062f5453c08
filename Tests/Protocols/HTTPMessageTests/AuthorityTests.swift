import HTTPMessage
import MartletBytes
import Testing

@Suite("Hosts and ports, RFC 9110 section 7.2")
struct AuthorityTests {
  private func read(_ text: String) throws -> (host: String, port: UInt16?) {
    let bytes = Array("xx\(text)yy".utf8)
    let authority = try Authority(bytes.span, in: 2..<bytes.count - 2)
    return (String(decoding: bytes[authority.host.range], as: UTF8.self), authority.port)
  }

  @Test(
    "are told apart",
    arguments: [
      ("a.example", "a.example", nil), ("A-1_b~c.example:80", "A-1_b~c.example", 80),
      ("192.0.2.1:65535", "192.0.2.1", 65_535), ("[::]", "[::]", nil),
      ("[::1]:8080", "[::1]", 8080),
      ("[1:2:3:4:5:6:7:8]", "[1:2:3:4:5:6:7:8]", nil), ("[1::8]", "[1::8]", nil),
      ("[2001:DB8::192.0.2.33]", "[2001:DB8::192.0.2.33]", nil), ("a.:1", "a.", 1),
      ("[1:2:3:4:5:6:1.2.3.4]:1", "[1:2:3:4:5:6:1.2.3.4]", 1),
      ("[1:2:3:4:5:6:7::]", "[1:2:3:4:5:6:7::]", nil),
    ] as [(String, String, UInt16?)]
  )
  func parts(text: String, host: String, port: UInt16?) throws {
    let read = try read(text)
    #expect(read.host == host)
    #expect(read.port == port)
  }

  @Test(
    "are refused when they could be read otherwise",
    arguments: [
      "", ":1", ".a", "a b", "a/b", "a@b", "a:b@c", "a:", "a:0", "a:65536", "a:1a", "[", "[]",
      "[:]",
      "[:::]", "[1:2:3:4:5:6:7:8::]", "[1:2]", "[12345::]", "[::1.2.3]", "[::01.2.3.4]", "[::1]]",
      "[::1]a", "[::1]1", "[1.2.3.4]", "[::1%0]", "[:1:2:3:4:5:6:7:8]", "[1:2:3:4:5:6:7:8:]", "a,b",
      "a%41",
    ]
  )
  func refused(text: String) {
    #expect(throws: MessageError.self) { try read(text) }
  }

  @Test("are the same in any case and with the default port")
  func same() throws {
    let bytes = Array("A.example a.EXAMPLE:80 a.example:81".utf8)
    let plain = try Authority(bytes.span, in: 0..<9)
    let with80 = try Authority(bytes.span, in: 10..<22)
    let with81 = try Authority(bytes.span, in: 23..<35)
    func same(_ left: Authority, _ right: Authority, _ defaultPort: UInt16?) -> Bool {
      Authority.areSame(left, right, in: bytes.span, defaultPort: defaultPort)
    }
    #expect(same(plain, with80, 80))
    #expect(!same(plain, with80, 443))
    #expect(!same(with80, with81, 80))
    #expect(same(plain, with81, nil))
  }
}

@Suite("Lists, RFC 9110 section 5.6.1")
struct ListElementsTests {
  @Test(
    "are walked element by element",
    arguments: [
      ("", []), (" , ,\t", []), ("a", ["a"]), ("a,b", ["a", "b"]), (" a , ,b\t,", ["a", "b"]),
      ("\"a,b\",c", ["\"a,b\"", "c"]), ("\"a\\\",b\", c", ["\"a\\\",b\"", "c"]),
      ("\"a,b", ["\"a,b"]), ("\"a\\", ["\"a\\"]),
    ] as [(String, [String])]
  )
  func elements(text: String, wanted: [String]) {
    let bytes = Array(text.utf8)
    var elements = ListElements(0..<bytes.count)
    var found: [String] = []
    while let element = elements.next(in: bytes.span) {
      found.append(String(decoding: bytes[element], as: UTF8.self))
    }
    #expect(found == wanted)
  }
}

@Suite("Paths, RFC 3986 section 3.3")
struct TargetPathTests {
  @Test(
    "end where the query or the target does",
    arguments: [
      ("/", "/", nil), ("/a b", "/a", nil), ("/a?b c", "/a", "b"), ("/a?", "/a", ""),
      ("?a?b", "", "a?b"),
      ("/a/..b/.c/...d/e.", "/a/..b/.c/...d/e.", nil), ("/%2Fa%2f", "/%2Fa%2f", nil),
      ("/a?../%zz", "/a", "../%zz"), ("/a;b=c/d", "/a;b=c/d", nil), ("/[|]{^}`", "/[|]{^}`", nil),
      ("/a%2e%2e", "/a%2e%2e", nil), ("//a//", "//a//", nil),
    ] as [(String, String, String?)]
  )
  func parts(text: String, path: String, query: String?) throws {
    let bytes = Array(text.utf8)
    let target = try TargetPath(bytes.span, from: 0, to: bytes.count)
    #expect(String(decoding: bytes[target.path], as: UTF8.self) == path)
    #expect(target.query.map { String(decoding: bytes[$0], as: UTF8.self) } == query)
  }

  @Test(
    "hold no byte that no target may hold, wherever it stands",
    arguments: UInt8.min...UInt8.max
  )
  func bytes(byte: UInt8) {
    let isAllowed = 0x21...0x7E ~= byte && !Array("\"#<>\\%?".utf8).contains(byte)
    for count in [0, 3, 15, 16, 40] {
      let bytes = Array("/".utf8) + [UInt8](repeating: 0x61, count: count) + [byte] + [0x67, 0x67]
      let end = try? TargetPath(bytes.span, from: 0, to: bytes.count).end
      if byte == 0x20 {
        #expect(end == count + 1)
      } else if byte == 0x3F {
        #expect(end == bytes.count)
      } else {
        #expect((end == bytes.count) == isAllowed)
      }
    }
  }
}
