import Directives
import Testing

@Suite("Addresses")
struct AddressTests {
  @Test(
    "are written as they are read",
    arguments: [
      ":8080", "127.0.0.1:80", "[::1]:80", "app.internal:8080", "unix:/run/app.sock",
      "unix:demo-1.sock", "unix:@abstract", "[2001:db8::1]:443",
    ]
  )
  func roundTrip(text: String) throws {
    #expect(try Address(text).description == text)
  }

  @Test(
    "are refused with a way to write them",
    arguments: [
      ("8080", ":8080"), ("127.0.0.1", "127.0.0.1:80"), ("::1", "[::1]:80"), (":0", ":8080"),
      (":65536", ":8080"), ("/run/app.sock", "unix:/run/app.sock"), ("unix:", "unix:/run/app.sock"),
      ("256.0.0.1:80", "127.0.0.1:8080"), ("a b:80", "127.0.0.1:8080"), ("", "127.0.0.1:80"),
      ("-:x", ":8080"),
    ]
  )
  func refusals(text: String, mend: String) {
    let error = #expect(throws: ValueError.self) { try Address(text) }
    #expect(error?.mend == mend)
  }

  @Test("of Unix sockets have at most 107 bytes")
  func unixLimit() throws {
    let path = String(repeating: "a", count: Address.unixPathBytes)
    #expect(try Address("unix:\(path)") == .unix(path))
    #expect(throws: ValueError.self) { try Address("unix:\(path)a") }
  }

  @Test("of Unix sockets are relative to the state directory")
  func relativePaths() {
    #expect(Address.unix("a.sock").unixPath(in: "/run/martlet") == "/run/martlet/a.sock")
    #expect(Address.unix("/a.sock").unixPath(in: "/run/martlet/") == "/a.sock")
    #expect(Address.unix("@a").unixPath(in: "/run") == "@a")
    #expect(Address.any(port: 1).unixPath(in: "/run") == nil)
  }
}

@Suite("IP addresses")
struct IPAddressTests {
  @Test(
    "have one written form",
    arguments: [
      ("192.0.2.1", "192.0.2.1"), ("0:0:0:0:0:0:0:0", "::"), ("::1", "::1"),
      ("2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
      ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"), ("1::", "1::"),
    ]
  )
  func forms(text: String, form: String) {
    #expect(IPAddress(text)?.description == form)
  }

  @Test(
    "are refused where two readers could differ",
    arguments: [
      "010.0.0.1", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.", "", ":", ":::", "1::2::3",
      "12345::", "1:2:3:4:5:6:7:8:9", "+1::", "fe80::1%eth0", "1.2.3.4::",
    ]
  )
  func refusals(text: String) {
    #expect(IPAddress(text) == nil)
  }

  @Test(
    "lie in networks by their first bits",
    arguments: [
      ("10.0.0.0/8", "10.255.0.1", true), ("10.0.0.0/8", "11.0.0.0", false),
      ("0.0.0.0/0", "203.0.113.9", true), ("0.0.0.0/0", "2001:db8::1", false),
      ("::/0", "2001:db8::1", true), ("2001:db8::/33", "2001:db8:8000::", false),
      ("192.0.2.1", "::ffff:192.0.2.1", true), ("2001:db8::1", "2001:db8::1", true),
    ]
  )
  func networks(network: String, address: String, isInside: Bool) throws {
    let network = try #require(Network(network))
    #expect(try network.contains(#require(IPAddress(address))) == isInside)
  }

  @Test(
    "with a number of bits that is too large are no network",
    arguments: [
      "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8/8", "x/8",
    ]
  )
  func noNetworks(text: String) {
    #expect(Network(text) == nil)
  }
}
