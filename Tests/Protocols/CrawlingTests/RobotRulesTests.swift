import Crawling
import Testing

@Suite("Rules of robots")
struct RobotRulesTests {
  private func rules(_ text: String, for product: String = "martlet") -> RobotRules {
    RobotRules(Array(text.utf8), for: product)
  }

  /// RFC 9309, section 5.
  private static let example = """
    User-agent: *
    Disallow: *.gif$
    Disallow: /example/
    Allow: /publications/

    User-agent: foobot
    Disallow:/
    Allow:/example/page.html
    Allow:/example/allowed.gif

    User-agent: barbot
    User-agent: bazbot
    Disallow: /example/page.html

    User-Agent: quxbot
    """

  @Test(
    "are those of the group that names the crawler, or of all others",
    arguments: [
      ("martlet", "/publications/a.gif", true), ("martlet", "/example/a", false),
      ("martlet", "/a.gif", false), ("martlet", "/a.gif?b", true), ("martlet", "/", true),
      ("foobot", "/", false), ("foobot", "/example/page.html", true), ("FooBot", "/x", false),
      ("barbot", "/example/page.html", false), ("bazbot", "/example/page.html", false),
      ("bazbot", "/example/other", true), ("quxbot", "/example/page.html", true),
      ("foobot", "/robots.txt", true),
    ]
  )
  func groups(product: String, target: String, isAllowed: Bool) {
    #expect(rules(Self.example, for: product).allow(target) == isAllowed)
  }

  @Test("of several groups for one crawler count together")
  func merged() {
    let text =
      "user-agent: a\ndisallow: /a\n\nuser-agent: *\ndisallow: /\n\nUSER-AGENT: A/1.0\ndisallow: /b"
    let rules = rules(text, for: "a")
    #expect(!rules.allow("/a") && !rules.allow("/b") && rules.allow("/c"))
  }

  @Test(
    "that are longest decide, and allow where two are as long",
    arguments: [
      ("allow: /p\ndisallow: /", "/page", true),
      ("allow: /folder\ndisallow: /folder", "/folder/x", true),
      ("allow: /page\ndisallow: /*.htm", "/page.htm", false),
      ("allow: /$\ndisallow: /", "/", true), ("allow: /$\ndisallow: /", "/page", false),
      ("disallow: /fish*.php", "/fish.php", false), ("disallow: /fish*.php", "/Fish.PHP", true),
      ("disallow: /a*b*c$", "/aXbYbZc", false), ("disallow: /a*b*c$", "/aXbYcZ", true),
      ("disallow: /%7Ejoe/", "/~joe/x", false), ("disallow: /a%3cd", "/a%3Cd", false),
      ("disallow: /ツ", "/%E3%83%84", false), ("disallow: # nothing", "/x", true),
      ("disallow", "/x", true), ("nonsense: /x", "/x", true),
    ]
  )
  func longest(text: String, target: String, isAllowed: Bool) {
    #expect(rules("user-agent: *\n\(text)").allow(target) == isAllowed)
  }

  @Test("may say how long to wait, and that all or nothing is allowed")
  func others() {
    #expect(rules("user-agent: *\ncrawl-delay: 2.5\ndisallow: /x").delaySeconds == 2.5)
    #expect(rules("user-agent: *\ndisallow: /x").delaySeconds == nil)
    #expect(RobotRules.allowingAll.allow("/x") && !RobotRules.allowingNothing.allow("/x"))
    // A pattern that makes careless readers try for ever.
    let stars = rules("user-agent: *\ndisallow: /" + String(repeating: "a*", count: 500) + "b$")
    #expect(stars.allow("/" + String(repeating: "a", count: 4000)))
  }
}
