import Configuration
import Directives
import Testing

private let text = """
  # Our shop. Keep this comment.
  server {
      listen 127.0.0.1:80   # the front
      route / { proxy api }
      route /b { proxy one }
  }

  upstream api {
      balance   least_connections # why: long requests
      member 127.0.0.1:1 weight 2   # the old one
      # the next one is new
      member 127.0.0.1:2 backup
      tries 2
  }
  upstream one { member 127.0.0.1:9 }

  """

private func address(_ port: Int) -> Address { .ip(.loopback, port: UInt16(port)) }

@Suite("Changes written into a configuration")
struct ConfigurationEditorTests {
  private func written(_ changes: [RuntimeChange], into text: String = text) throws -> String {
    let bundle = SourceBundle(name: "a.conf", text: text)
    let base = try #require(ConfigurationLoader.load(bundle).configuration)
    var set = ChangeSet()
    for (index, change) in changes.enumerated() {
      _ = try set.make(change, keeping: index % 2 == 0, on: base)
    }
    let edited = try ConfigurationEditor.write(set.layers, into: bundle)
    guard case .bytes(let bytes)? = edited.bundle.files["a.conf"] else { return "" }
    let wanted = base.applying(set.layers)
    let result = ConfigurationLoader.load(edited.bundle).configuration
    #expect(result?.upstreams.map(\.name).sorted() == wanted.upstreams.map(\.name).sorted())
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The lines that are different, with their marks.
  private func difference(_ changes: [RuntimeChange], in text: String = text) throws -> [String] {
    UnifiedDiff.text(from: text, to: try written(changes, into: text), named: "a.conf")
      .split(separator: "\n").dropFirst(2).filter { !$0.hasPrefix("@") && !$0.hasPrefix(" ") }
      .map(String.init)
  }

  @Test("nothing is different where nothing was changed")
  func nothing() throws { #expect(try written([]) == text) }

  @Test(
    "changes the line of what is different, and no other",
    arguments: [
      (
        [RuntimeChange.weigh(upstream: "api", address(1), 5)],
        [
          "-    member 127.0.0.1:1 weight 2   # the old one",
          "+    member 127.0.0.1:1 weight 5   # the old one",
        ]
      ),
      (
        [.weigh(upstream: "api", address(2), 3)],
        ["-    member 127.0.0.1:2 backup", "+    member 127.0.0.1:2 weight 3 backup"]
      ),
      (
        [.setMember(upstream: "api", address(2), .disabled)],
        ["-    member 127.0.0.1:2 backup", "+    member 127.0.0.1:2 mode disabled backup"]
      ),
      (
        [.removeMember(upstream: "api", address(1))],
        ["-    member 127.0.0.1:1 weight 2   # the old one"]
      ),
      (
        [.addMember(upstream: "api", line: "127.0.0.1:3 weight 7 backup")],
        ["+    member 127.0.0.1:3 weight 7 backup"]
      ),
      (
        [
          .addMember(upstream: "api", line: "127.0.0.1:3"),
          .addMember(upstream: "api", line: "127.0.0.1:4"),
          .weigh(upstream: "api", address(3), 2),
          .setMember(upstream: "api", address(4), .draining),
        ],
        ["+    member 127.0.0.1:3 weight 2", "+    member 127.0.0.1:4 mode draining"]
      ),
      (
        [
          .removeMember(upstream: "api", address(2)),
          .addMember(upstream: "api", line: "127.0.0.1:2 weight 4"),
        ],
        ["-    member 127.0.0.1:2 backup", "+    member 127.0.0.1:2 weight 4"]
      ),
      (
        [.setUpstream("one", .disabled)],
        [
          "-upstream one { member 127.0.0.1:9 }",
          "+upstream one { member 127.0.0.1:9 mode disabled }",
        ]
      ),
      (
        [.addMember(upstream: "one", line: "127.0.0.1:8")],
        [
          "-upstream one { member 127.0.0.1:9 }", "+upstream one { member 127.0.0.1:9",
          "+    member 127.0.0.1:8", "+}",
        ]
      ),
      (
        [
          .addUpstream("new", lines: "member 127.0.0.1:5\nbalance least_connections"),
          .weigh(upstream: "new", address(5), 2),
        ],
        [
          "+", "+upstream new {", "+    member 127.0.0.1:5 weight 2",
          "+    balance least_connections", "+}",
        ]
      ),
    ]
  )
  func lines(changes: [RuntimeChange], different: [String]) throws {
    // Whether a line of a hunk was taken away or put there first does not matter.
    #expect(try difference(changes).sorted() == different.sorted())
  }

  @Test("an upstream that no route names goes with its block")
  func removesUpstream() throws {
    let more = text + "# of no use\nupstream old {\n    member 127.0.0.1:7\n}\n# the end\n"
    let change = RuntimeChange.removeUpstream("old")
    #expect(try written([change], into: more) == text + "# of no use\n# the end\n")
  }

  @Test("says which upstream has no block of its own")
  func anonymous() throws {
    let text = "server { route / { proxy 127.0.0.1:1 127.0.0.1:2 } }\n"
    let name = "127.0.0.1:1,127.0.0.1:2"
    #expect(throws: ChangeError.self) {
      try written([.weigh(upstream: name, address(1), 2)], into: text)
    }
  }

  @Test("refuses what would leave a configuration with errors")
  func empty() throws {
    #expect(throws: ChangeError.self) {
      try written([.removeMember(upstream: "one", address(9))])
    }
  }

  @Test("a file that includes others: the one that has the upstream is different")
  func includes() throws {
    let access = SourceAccess(
      read: { path, _ in
        path == "/main.conf"
          ? .bytes(Array("include api.conf\nserver { route / { proxy api } }\n".utf8))
          : .bytes(Array("upstream api {\n\tmember 127.0.0.1:1\n}\n".utf8))
      },
      list: { _ in [] },
      environment: { _ in nil }
    )
    let bundle = SourceBundle.collected(main: "/main.conf", access)
    let base = try #require(ConfigurationLoader.load(bundle).configuration)
    var set = ChangeSet()
    _ = try set.make(.addMember(upstream: "api", line: "127.0.0.1:2"), keeping: true, on: base)
    let edited = try ConfigurationEditor.write(set.layers, into: bundle)
    #expect(edited.names == ["/api.conf"])
    let bytes = Array("upstream api {\n\tmember 127.0.0.1:1\n\tmember 127.0.0.1:2\n}\n".utf8)
    #expect(edited.bundle.files["/api.conf"] == .bytes(bytes))
  }

  @Test(
    "whatever was changed, what is written means it, and comments stay",
    arguments: 0..<30 as Range<UInt64>
  )
  func random(seed: UInt64) throws {
    var random = SeededRandom(seed)
    let bundle = SourceBundle(name: "a.conf", text: text)
    let base = try #require(ConfigurationLoader.load(bundle).configuration)
    var set = ChangeSet()
    for _ in 0..<12 {
      let change = RuntimeChange.random(&random)
      do throws(ChangeError) {
        _ = try set.make(change, keeping: .random(using: &random), on: base)
      } catch { continue }
    }
    guard base.applying(set.layers).upstream(named: "api")?.members.isEmpty == false else { return }
    let edited = try ConfigurationEditor.write(set.layers, into: bundle)
    guard case .bytes(let bytes)? = edited.bundle.files["a.conf"] else { return }
    let result = String(decoding: bytes, as: UTF8.self)
    for comment in [
      "# Our shop. Keep this comment.", "# the front", "# why: long requests",
      "# the next one is new",
    ] {
      #expect(result.contains(comment))
    }
  }
}

@Suite("The difference of two texts")
struct UnifiedDiffTests {
  @Test("is as diff -u writes it")
  func form() {
    let old = (1...20).map { "\($0)\n" }.joined()
    let new = old.replacing("\n3\n", with: "\nthree\n").replacing("\n18\n", with: "\n")
    #expect(
      UnifiedDiff.text(from: old, to: new, named: "a") == """
        --- a
        +++ a
        @@ -1,6 +1,6 @@
         1
         2
        -3
        +three
         4
         5
         6
        @@ -15,6 +15,5 @@
         15
         16
         17
        -18
         19
         20

        """
    )
  }

  @Test("is empty for equal texts")
  func equal() { #expect(UnifiedDiff.text(from: "a\n", to: "a\n", named: "a") == "") }

  @Test("tells lines at the start of nothing")
  func fromNothing() {
    #expect(
      UnifiedDiff.text(from: "", to: "a\n", named: "x") == "--- x\n+++ x\n@@ -0,0 +1,1 @@\n+a\n"
    )
  }
}
