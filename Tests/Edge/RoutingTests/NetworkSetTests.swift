import Directives
import Routing
import Testing

@Suite("Network set")
struct NetworkSetTests {
  private func set(_ networks: [String]) throws -> NetworkSet {
    NetworkSet(try networks.map { try #require(Network($0)) })
  }

  @Test(
    "has the addresses of its networks, with their first and last",
    arguments: [
      ("192.0.2.0", true), ("192.0.2.255", true), ("192.0.1.255", false), ("192.0.3.0", false),
      ("10.1.2.3", true), ("::ffff:10.1.2.3", true), ("10.1.2.4", false), ("2001:db8::", true),
      ("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", true), ("2001:db9::", false), ("::1", false),
    ]
  )
  func members(address: String, isMember: Bool) throws {
    let set = try set(["192.0.2.0/24", "10.1.2.3", "2001:db8::/32"])
    #expect(set.contains(try #require(IPAddress(address)).words) == isMember)
  }

  @Test("has nothing when it has no networks")
  func empty() throws {
    #expect(!NetworkSet([]).contains(IPAddress.loopback.words))
  }

  @Test("has every address of a family that is named as a whole")
  func families() throws {
    let all = try set(["::/0"])
    #expect(all.contains((0, 0)))
    #expect(all.contains((.max, .max)))
    #expect(all.contains(IPAddress.loopback.words))
    let ipv4 = try set(["0.0.0.0/0", "255.255.255.255"])
    #expect(ipv4.contains(IPAddress.ipv4(.max).words))
    #expect(ipv4.contains(IPAddress.ipv4(0).words))
    #expect(!ipv4.contains((0, 0xFFFE_FFFF_FFFF)))
    #expect(!ipv4.contains((0, 0x1_0000_0000_0000)))
  }

  @Test("answers as asking every network does", arguments: 0..<40)
  func oracle(seed: Int) {
    var numbers = Numbers(seed)
    // Few different addresses, so that networks lie in each other and side by side.
    func address() -> IPAddress {
      let byte = UInt32.random(in: 0...15, using: &numbers)
      return numbers.once(in: 2)
        ? .ipv4(numbers.once(in: 2) ? byte : ~byte)
        : .ipv6(numbers.once(in: 2) ? 0 : .max, UInt64(byte))
    }
    let networks = (0..<Int.random(in: 0...20, using: &numbers)).compactMap { _ -> Network? in
      let address = address()
      let width = if case .ipv4 = address { 32 } else { 128 }
      return Network(address, prefixBits: width - Int.random(in: 0...4, using: &numbers))
    }
    let set = NetworkSet(networks)
    for _ in 0..<300 {
      let address = address()
      #expect(set.contains(address.words) == networks.contains { $0.contains(address) })
    }
  }
}
