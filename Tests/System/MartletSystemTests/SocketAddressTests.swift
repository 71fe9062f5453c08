import MartletSystem
import Testing

@Suite("Socket addresses")
struct SocketAddressTests {
  @Test(
    "print as RFC 5952 asks",
    arguments: [
      ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"), ("::", "::"), ("::1", "::1"),
      ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"), ("1:0:0:2:0:0:0:3", "1:0:0:2::3"),
      ("::ffff:192.0.2.1", "::ffff:192.0.2.1"), ("192.0.2.255", "192.0.2.255"),
    ]
  )
  func canonical(text: String, expected: String) throws {
    let address = try #require(SocketAddress(host: text, port: 80))
    #expect(address.hostText == expected)
  }

  @Test(
    "are not made of names",
    arguments: ["localhost", "1.2.3", "1.2.3.4:5", "", "::1%lo", "[::1]"]
  )
  func names(text: String) {
    #expect(SocketAddress(host: text, port: 80) == nil)
  }

  @Test(
    "come back from the kernel as they were given",
    arguments: [SocketAddress.ipv4(0x7F00_0001, port: 0), .ipv6(0, 1, port: 0, scope: 0)]
  )
  func boundAddress(address: SocketAddress) throws {
    let socket = try Descriptor.stream(for: address)
    try socket.bind(to: address)
    let bound = try socket.localAddress()
    #expect(bound.hostText == address.hostText)
    #expect(try #require(bound.port) > 0)
  }

  @Test("refuse a Unix path that is too long")
  func longPath() throws {
    let path = String(repeating: "x", count: SocketAddress.pathBytes + 1)
    let socket = try Descriptor.stream(for: .unix(path))
    #expect(throws: SystemError(.bind, 36)) { try socket.bind(to: .unix(path)) }
  }

  @Test("of an abstract Unix socket survive the way through the kernel")
  func abstractName() throws {
    let name = SocketAddress.unix("@martlet-test-\(SystemClock.monotonicNanoseconds())")
    let socket = try Descriptor.stream(for: name)
    try socket.bind(to: name)
    #expect(try socket.localAddress() == name)
  }
}
