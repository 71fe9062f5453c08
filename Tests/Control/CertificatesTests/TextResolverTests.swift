import Certificates
import MartletSystem
import Testing

@Suite("The name services of the system")
struct TextResolverTests {
  private func told(_ text: String) -> [String] {
    TextResolver.systemServers(text).map { "\($0)" }
  }

  @Test("are those of its file, in their order")
  func written() {
    let text = """
      # made by something
      search internal
      nameserver 10.0.0.53
      options edns0
      nameserver \t fd00::53\t# the second
      """
    #expect(told(text) == ["10.0.0.53:53", "[fd00::53]:53"])
  }

  @Test("are three at most, as for its own library")
  func most() {
    let text = (1...5).map { "nameserver 10.0.0.\($0)\n" }.joined()
    #expect(told(text) == ["10.0.0.1:53", "10.0.0.2:53", "10.0.0.3:53"])
  }

  @Test(
    "are the one of this machine, where nobody is named",
    arguments: [
      "", "\n\n", "search internal", "nameserver", "nameserver here", "nameservers 10.0.0.1",
      "#nameserver 10.0.0.1", ";nameserver 10.0.0.1", "NAMESERVER 10.0.0.1",
    ]
  )
  func none(text: String) { #expect(told(text) == ["127.0.0.1:53"]) }

  @Test("do without lines that are not in form")
  func others() {
    let text = "nameserver 10.0.0.300\nnameserver fe80::1%eth0\nnameserver 10.0.0.2\r\n"
    #expect(told(text).contains("10.0.0.2:53"))
    #expect(!told(text).contains { $0.contains("300") })
  }
}
