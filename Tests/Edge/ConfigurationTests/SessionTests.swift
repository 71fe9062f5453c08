import Configuration
import Directives
import Testing

@Suite("Sessions in configurations")
struct SessionTests {
  private func load(
    _ settings: String,
    route: String = "sessions shop"
  ) -> ConfigurationLoader.Loaded {
    ConfigurationLoader.load(
      name: "edge.conf",
      text: """
        sessions shop {
        \(settings)
        }
        server {
          listen :80
          route / {
            proxy 127.0.0.1:9000
            \(route)
          }
        }
        """
    )
  }

  @Test("what is said is taken")
  func settings() throws {
    let loaded = load(
      """
      redis 10.0.0.1:6379 database 3 prefix shop: password opensesame
      cookie __Host-shop same_site strict secure persistent
      keys "the first secret of all" "the second secret of all"
      idle 1h
      absolute 7d
      size_limit 16KB
      """
    )
    let sessions = try #require(loaded.configuration?.sessions.first)
    guard case .redis(let redis) = sessions.store else {
      Issue.record("\(sessions.store)")
      return
    }
    #expect(redis.address.description == "10.0.0.1:6379")
    #expect(redis.database == 3 && redis.prefix == "shop:" && redis.password == "opensesame")
    #expect(sessions.cookie.name == "__Host-shop")
    #expect(sessions.cookie.isSecure && sessions.isPersistent)
    #expect(sessions.cookie.sameSite == .strict)
    #expect(sessions.keys.count == 2)
    #expect(sessions.idleTime == .seconds(3600) && sessions.absoluteTime == .seconds(604_800))
    #expect(sessions.byteLimit == 16 << 10)
    let route = try #require(loaded.configuration?.servers.first?.routes.first)
    #expect(route.sessions == "shop" && route.hidesSessionFields)
    let shown = loaded.effective?.compact ?? ""
    #expect(!shown.contains("opensesame") && !shown.contains("the first secret"))
  }

  @Test("nothing needs to be said, and files have a number")
  func usual() {
    #expect(load("").configuration?.sessions == [SessionSettings(name: "shop")])
    #expect(
      load("files /srv/sessions 50").configuration?.sessions.first?.store
        == .files(path: "/srv/sessions", countLimit: 50)
    )
  }

  @Test(
    "what cannot be is refused",
    arguments: [
      "memory 1KB", "files sessions", "files /a 0", "redis app:6379", "redis :6379",
      "redis 10.0.0.1:6379 database -1", "cookie a/b", "cookie __Host-a", "cookie __Secure-a",
      "cookie __Host-a secure path /b", "keys short", "idle 1s",
      "idle 2h\nabsolute 1h", "size_limit 1MB",
    ]
  )
  func refused(settings: String) {
    #expect(load(settings).configuration == nil)
  }

  @Test(
    "routes have sessions that are there, and nothing that is kept for all",
    arguments: ["sessions shap", "sessions", "sessions shop\ncache main"]
  )
  func routes(route: String) {
    #expect(load("", route: route).configuration == nil)
  }

  @Test("a handler is named, and known")
  func handlers() {
    let text = "server { listen :80\n route / { handler shop } }"
    let loaded = ConfigurationLoader.load(name: "edge.conf", text: text)
    #expect(loaded.configuration?.handlerNames == ["shop"])
  }
}
