import Configuration
import Directives
import Testing

@Suite("Settings")
struct SettingsTests {
  @Test("of a proxy without a configuration are the defaults")
  func proxy() throws {
    let configuration = EdgeConfiguration.proxy(
      listen: [.any(port: 8080)],
      to: [.any(port: 9001), .name("app", port: 80)]
    )
    let server = try #require(configuration.servers.first)
    #expect(server.routes.map(\.handler) == [.proxy(upstream: "127.0.0.1:9001,app:80")])
    #expect(server.accessLog == nil)
    let upstream = try #require(configuration.upstream(named: "127.0.0.1:9001,app:80"))
    #expect(upstream.members.map(\.weight) == [1, 1])
    #expect(upstream.balance == .roundRobin)
    #expect(configuration.listeningAddresses == [.any(port: 8080)])
  }

  @Test(
    "of a path pattern say which paths are meant",
    arguments: [
      (PathPattern.prefix("/api/"), "/api/x", true), (.prefix("/api/"), "/api", false),
      (.prefix("/api"), "/apix", true), (.exact("/"), "/", true), (.exact("/"), "/x", false),
    ]
  )
  func paths(pattern: PathPattern, path: String, isMeant: Bool) {
    #expect(pattern.matches(path) == isMeant)
  }

  @Test(
    "of a text pattern let stars stand for anything",
    arguments: [
      ("a*c", "abbc", true), ("a*c", "ac", true), ("a*c", "acd", false), ("*", "", true),
      ("a", "ab", false), ("*b*b*", "bb", true), ("*b*b*", "b", false), ("a*a", "a", false),
    ]
  )
  func texts(pattern: String, value: String, isMeant: Bool) {
    #expect(TextPattern(pattern).matches(value) == isMeant)
  }

  @Test("of a host take its wildcard only with a label in front")
  func hosts() {
    let wildcard = HostPattern.wildcard(suffix: ".example.com")
    #expect(wildcard.matches("a.example.com"))
    #expect(!wildcard.matches(".example.com"))
    #expect(!wildcard.matches("example.com"))
    #expect(HostPattern.exact("example.com").matches("example.com"))
    #expect(wildcard.description == "*.example.com")
  }

  @Test(
    "of a host are read without the dot of the root",
    arguments: [
      ("Shop.example.", HostPattern.exact("shop.example")),
      ("*.shop.example.", .wildcard(suffix: ".shop.example")),
    ]
  )
  func rootDot(text: String, pattern: HostPattern) throws {
    #expect(try HostPattern(text) == pattern)
    #expect(pattern.matches("a.shop.example.") == (pattern != .exact("shop.example")))
    #expect(throws: ValueError.self) { try HostPattern(text + ".") }
  }

  @Test("name a server by its first name, else by its address")
  func names() {
    var server = ServerSettings(listeners: [ListenerSettings(address: .any(port: 80))])
    #expect(server.name == ":80")
    server.names = [.exact("a.example")]
    #expect(server.name == "a.example")
  }
}
