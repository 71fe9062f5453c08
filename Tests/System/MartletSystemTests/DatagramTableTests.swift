import MartletSystem
import Testing

@Suite("Tables of datagrams") struct DatagramTableTests {
  private func bound() throws -> Descriptor {
    let socket = try Descriptor.datagram(for: .ipv4(0, port: 0))
    try socket.bind(to: .ipv4(0x7F00_0001, port: 0))
    return socket
  }

  @Test("several datagrams come with one call, and go out as they came by another")
  func batch() throws {
    let server = try bound()
    try server.tellArrival()
    let address = try server.localAddress()
    let client = try bound()
    for length in [1, 1500, 9000] {
      let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: length), count: length)
      #expect(try address.send(bytes.span, from: client.number) == length)
    }
    var table = try DatagramTable(count: 4)
    #expect(table.receive(from: server.number, into: 0..<4, isConnected: false) == 3)
    #expect((0..<3).map { table.length(of: $0) } == [1, 1500, 9000])
    for slot in 0..<3 {
      #expect(table.sender(of: slot).address == (try client.localAddress()))
      #expect(table.arrival(of: slot).address == .ipv4(0x7F00_0001, port: 0))
      table.address(slot, to: table.sender(of: slot), from: table.arrival(of: slot))
    }
    #expect(table.send(0..<3, over: server.number) == 3)
    var back = try DatagramTable(count: 4)
    #expect(back.receive(from: client.number, into: 0..<4, isConnected: false) == 3)
    #expect(back.bytes(of: 1) == [UInt8](repeating: 220, count: 1500))
    #expect(back.sender(of: 2).address == address)
    #expect(back.receive(from: client.number, into: 0..<4, isConnected: false) == -11)
  }

  @Test("a connected socket tells that nobody is there")
  func refused() throws {
    let gone = try bound().localAddress()
    let client = try bound()
    _ = try client.connect(to: gone)
    var table = try DatagramTable(count: 1)
    let other = try bound()
    #expect(try other.localAddress().send([1, 2, 3].span, from: client.number) >= -1)
    #expect(table.receive(from: other.number, into: 0..<1, isConnected: false) == 1)
    #expect(table.send(0, over: client.number) == 3)
    #expect(table.receive(from: client.number, into: 0..<1, isConnected: true) == -111)
  }
}
