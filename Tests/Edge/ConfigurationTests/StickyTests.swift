import Configuration
import Directives
import Testing

@Suite("Clients that stay with a member")
struct StickyTests {
  private func load(_ lines: String) -> ConfigurationLoader.Loaded {
    ConfigurationLoader.load(
      name: "a.conf",
      text: """
        server {
            listen :80
            route / { proxy api }
        }
        upstream api {
            member :9001
            \(lines)
        }
        """
    )
  }

  @Test(
    "are known as is said, and by what is usual where nothing is said",
    arguments: [
      ("sticky cookie route", StickySettings(.cookie(StickyCookie(name: "route")))),
      (
        "sticky cookie a lifetime 1d path /b domain c.example same_site strict secure",
        StickySettings(
          .cookie(
            StickyCookie(
              name: "a",
              lifetime: .seconds(86_400),
              path: "/b",
              domain: "c.example",
              sameSite: .strict,
              isSecure: true
            )
          )
        )
      ),
      (
        "sticky learn SID idle 1m keys 100 when_gone refuse",
        StickySettings(
          .learned(cookie: "SID", StickyMemory(idleTime: .seconds(60), keyCount: 100)),
          whenGone: .refuse
        )
      ),
      (
        "sticky by {client.address} when_draining choose",
        StickySettings(
          .key(Template([.variable(.clientAddress)]), StickyMemory()),
          keepsDraining: false
        )
      ),
    ]
  )
  func settings(line: String, settings: StickySettings) throws {
    let loaded = load(line)
    #expect(loaded.rendered() == "")
    #expect(loaded.configuration?.upstream(named: "api")?.sticky == settings)
  }

  @Test(
    "are not, when the words are wrong",
    arguments: [
      "sticky", "sticky cookie", "sticky header a", "sticky cookie a/b",
      "sticky cookie a lifetime 0s", "sticky cookie a idle 5s", "sticky cookie a path \"a;b\"",
      "sticky learn a lifetime 5s", "sticky by everyone", "sticky by {response.status}",
      "sticky cookie a when_gone wait", "sticky_key short", "sticky_key", "sticky cookie a {}",
    ]
  )
  func errors(line: String) throws {
    let loaded = load(line)
    #expect(loaded.configuration == nil)
    #expect(loaded.diagnostics.count { $0.severity == .error } == 1, "\(loaded.rendered())")
    #expect(loaded.rendered().contains("a.conf:7:"))
  }

  @Test("a cookie for other sites that is not secure is worth a word")
  func warning() {
    let loaded = load("sticky cookie a same_site none")
    #expect(loaded.configuration != nil)
    #expect(loaded.diagnostics.map(\.severity) == [.warning])
  }

  @Test("their secrets are shown to nobody")
  func secrets() throws {
    let loaded = load("sticky cookie a\nsticky_key hunter2hunter2hunter2")
    #expect(
      loaded.configuration?.upstream(named: "api")?.stickyKeys == ["hunter2hunter2hunter2"]
    )
    #expect(try #require(loaded.effective).formatted().contains("hunter2") == false)
  }
}
