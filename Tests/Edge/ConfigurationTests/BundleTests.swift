import Configuration
import Directives
import Testing

@Suite("Bundles of sources")
struct BundleTests {
  /// A world of files and variables in memory.
  static func access(
    _ files: [String: String],
    _ environment: [String: String] = [:]
  ) -> SourceAccess {
    SourceAccess(
      read: { path, _ in files[path].map { .bytes(Array($0.utf8)) } ?? .missing("no such file") },
      list: { pattern in
        let ends = pattern.split(separator: "*", omittingEmptySubsequences: false)
        return files.keys.filter { $0.hasPrefix(ends[0]) && $0.hasSuffix(ends[1]) }
      },
      environment: { environment[$0] }
    )
  }

  static let files = [
    "/etc/m/main.conf": "include sites/*.conf\ninclude up.conf",
    "/etc/m/sites/b.conf": "server b { listen :80\n include ../routes }",
    "/etc/m/sites/a.conf": "server a { listen :{env PORT}\n include ../routes }",
    "/etc/m/sites/../routes":
      "route / { proxy u\n request header set Authorization \"Bearer {file token}\" }",
    "/etc/m/sites/../token": "t0p\n",
    "/etc/m/up.conf": "upstream u { member :9001 }",
  ]

  @Test("hold everything that a configuration asks for")
  func collected() throws {
    let bundle = SourceBundle.collected(
      main: "/etc/m/main.conf",
      Self.access(Self.files, ["PORT": "81"])
    )
    let loaded = ConfigurationLoader.load(bundle)
    #expect(loaded.rendered() == "")
    let configuration = try #require(loaded.configuration)
    #expect(configuration.servers.map(\.name) == ["a", "b"])
    #expect(configuration.listeningAddresses == [.any(port: 81), .any(port: 80)])
    #expect(
      configuration.servers[1].routes[0].requestHeaders
        == [HeaderRule(.set, "Authorization", Template(literal: "Bearer t0p"))]
    )
  }

  @Test("are the same after a journey as bytes")
  func journey() throws {
    let bundle = SourceBundle.collected(
      main: "/etc/m/main.conf",
      Self.access(Self.files)
    )
    #expect(bundle.environment == ["PORT": nil] as [String: String?])
    let copy = try #require(SourceBundle(encoded: bundle.encoded()))
    #expect(copy == bundle)
    #expect(copy.encoded() == bundle.encoded())
  }

  @Test("are refused when a byte is missing or too many")
  func damaged() {
    let bytes = SourceBundle(name: "a", text: "server { }").encoded()
    for count in 0..<bytes.count {
      #expect(SourceBundle(encoded: Array(bytes[..<count])) == nil)
    }
    #expect(SourceBundle(encoded: bytes + [9]) == nil)
  }

  @Test("keep secrets out of what is shown")
  func secrets() throws {
    let text = """
      server { listen :80
        route / { respond 200
          request header set X-Key "k {env KEY}"
          header X-Key {env KEY} } }
      """
    let bundle = SourceBundle.collected(
      name: "a.conf",
      text: text,
      Self.access([:], ["KEY": "hunter2"])
    )
    let loaded = ConfigurationLoader.load(bundle)
    #expect(loaded.rendered() == "")
    let shown = loaded.json.formatted()
    #expect(!shown.contains("hunter2"))
    #expect(shown.contains("\"value\": \"k ***\""))
  }

  @Test("keep secrets out of errors")
  func secretsInErrors() {
    let text = "server { idle_timeout {env TIME} }"
    let bundle = SourceBundle.collected(
      name: "a.conf",
      text: text,
      Self.access([:], ["TIME": "hunter2"])
    )
    #expect(
      ConfigurationLoader.load(bundle).rendered() == """
        a.conf:1:23: error: `***` is not a time
            1 | server { idle_timeout {env TIME} }
              |                       ^~~~~~~~~~
          mend: write `idle_timeout 1ms`

        1 error

        """
    )
  }

  @Test("name what is missing at the place that asks for it")
  func missing() {
    let bundle = SourceBundle.collected(
      name: "/etc/m/a.conf",
      text: "include b.conf\nserver { via {env V}\n host {file h} }",
      Self.access([:])
    )
    let problems = ConfigurationLoader.load(bundle).diagnostics.map {
      "\($0.place?.line ?? 0) \($0.problem)"
    }
    #expect(
      problems.prefix(2) == [
        "1 cannot read `/etc/m/b.conf`: no such file",
        "2 the environment has no variable `V`",
      ]
    )
    #expect(problems.contains("3 cannot read `/etc/m/h`: no such file"))
  }

  @Test("end where files include themselves or each other too deeply")
  func circles() {
    var files = ["/a": "include /a", "/0": "include /1"]
    for index in 1...20 { files["/\(index)"] = "include /\(index + 1)" }
    let circle = ConfigurationLoader.load(SourceBundle.collected(main: "/a", Self.access(files)))
    #expect(circle.diagnostics.map(\.problem).contains("`/a` includes itself"))
    let deep = ConfigurationLoader.load(SourceBundle.collected(main: "/0", Self.access(files)))
    #expect(deep.diagnostics.map(\.problem) == ["files include each other at most 8 deep"])
  }
}
