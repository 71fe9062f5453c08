import Testing

/// The lines that break a rule in one made-up file.
private func lines(_ rule: Rule, _ path: String, _ text: String) -> [Int] {
  rule.findings(in: Repository([path: text])).map(\.line)
}

private let source = "Sources/Edge/A/A.swift"

@Suite("The checks can fail")
struct CheckTests {
  @Test(
    "finds what is restricted, in code alone",
    arguments: [
      (Rule.unsafe, "let a = 1\nlet b = unsafe p.pointee", [2]),
      (.unsafe, "// unsafe\n/* unsafe\n */ let isunsafe = \"unsafe\"", []),
      (.unsafe, "let a = \"\\(unsafe p.pointee)\"", [1]),
      (.uncheckedSendable, "final class A: @unchecked Sendable {}", [1]),
      (.nonisolatedUnsafe, "nonisolated(unsafe) var a = 1", [1]),
      (.fatalError, "fatalError(\"x\")", [1]),
      (.forcedTry, "let a = try! b()", [1]),
      (.optionalTry, "let a = try? b()", [1]),
      (.optionalTry, "let a = try b()", []),
      (.task, "Task { await a() }\nTask.detached {}\nTask(priority: .low) {}", [1, 2, 3]),
      (.task, "if Task.isCancelled { return }\nlet a = MyTask(1)", []),
      (.captureList, "loop.spawn { [self] in\nloop.perform { [a] in b() }", [1, 2]),
      (.captureList, "loop.spawn { await a() }\nlet a = b.map { [$0] }", []),
      (.print, "print(1)", [1]),
      (.print, "blueprint(1)\nwriter.print(1)", []),
    ]
  )
  func restricted(rule: Rule, text: String, expected: [Int]) {
    #expect(lines(rule, source, text) == expected)
  }

  @Test(
    "finds what tests must not do",
    arguments: [
      (Rule.testableImport, "@testable import A"),
      (.sleep, "try await Task.sleep(for: .seconds(1))"),
      (.sleep, "usleep(100)"),
    ]
  )
  func restrictedInTests(rule: Rule, text: String) {
    #expect(lines(rule, "Tests/Edge/ATests/ATests.swift", text) == [1])
    #expect(lines(rule, source, text) == [])
  }

  @Test("asks for the reason of unsafe code: in its function, or just above")
  func safeComment() {
    let uses = String(repeating: "b()\n", count: 12)
    let bare = "let c = unsafe p[0]\n"
    #expect(lines(.safeComment, source, "// Safe: x.\n" + bare) == [])
    #expect(lines(.safeComment, source, "// Safe: x.\n" + uses + bare) == [14])
    #expect(lines(.safeComment, source, "func a() {\n// Safe: x.\n" + uses + bare + "}") == [])
    #expect(lines(.safeComment, source, "func a() {\n" + bare + "// Safe: x.\n}") == [2])
    let field = "// Safe: x.\nunowned(unsafe) let p: P\n"
    #expect(lines(.safeComment, source, field + uses + "unsafe p.b(); unsafe self.p.c()") == [])
    #expect(lines(.safeComment, source, field + uses + "unsafe p.b(); unsafe q.c()") == [15])
    #expect(lines(.safeComment, source, "import A\n\n// Invariant: x.\n" + uses + bare) == [])
    #expect(lines(.safeComment, source, uses + "// Invariant: x.\n" + bare) == [14])
  }

  @Test("counts the lines of a file, and the limit itself is allowed")
  func fileLength() {
    let most = String(repeating: "a\n", count: 600)
    #expect(lines(.fileLength, source, most) == [])
    #expect(lines(.fileLength, source, most + "a\n") == [601])
    #expect(lines(.fileLength, "docs/a.md", most + "a\n") == [])
  }

  @Test(
    "counts the lines of a function, and the limit itself is allowed",
    arguments: [
      "func a() {", "public init(b: Int) throws {", "init?<T>(b: T) {", "deinit {",
      "subscript(b: Int) -> Int {", "func a<T>(\n  b: T = { 1 }()\n)\nwhere T: B {",
    ]
  )
  func functionLength(head: String) {
    let rest = 70 - 1 - head.count(where: { $0 == "\n" }) - 1
    func text(_ count: Int) -> String {
      "struct A {\n" + head + "\n" + String(repeating: "b()\n", count: count) + "}\n}"
    }
    #expect(lines(.functionLength, source, text(rest)) == [])
    #expect(lines(.functionLength, source, text(rest + 1)) == [2])
  }

  @Test("takes a requirement, which has no body, for no function")
  func requirement() {
    let text = "protocol A {\n  func a()\n  init(b: Int)\n}\nstruct B {\n"
    #expect(lines(.functionLength, source, text + String(repeating: "c\n", count: 90) + "}") == [])
  }

  @Test("takes a call of an initialiser for no declaration")
  func delegation() {
    let file = Repository.File(path: source, bytes: Array("self.init(1)\nA.init { 2 }".utf8))
    #expect(functions(in: SwiftSource(file)).isEmpty)
  }

  @Test("lets shell scripts stay short")
  func shellLength() {
    let most = "#!/usr/bin/env bash\n" + String(repeating: "a\n", count: 19)
    #expect(lines(.shellLength, "scripts/a", most) == [])
    #expect(lines(.shellLength, "scripts/a", most + "a\n") == [21])
    #expect(lines(.shellLength, "scripts/a", "#!/usr/bin/python3\n" + most) == [])
  }

  @Test(
    "finds words that say nothing",
    arguments: [
      ("struct PoolManager {}", [1]), ("enum Utils {}", [1]), ("final class HTTPInfo2 {}", []),
      ("final class HTTPInfo {}", [1]), ("struct Information {}", []), ("func getName() {}", [1]),
      ("func gettingReady() {}", []), ("// struct PoolManager", []),
    ]
  )
  func names(text: String, expected: [Int]) {
    #expect(lines(.typeName, source, text) == expected)
  }

  @Test("splits names in camel case")
  func camelCase() {
    #expect(camelCaseWords(of: "HTTPInfo") == ["HTTP", "Info"])
    #expect(camelCaseWords(of: "makeTLSServer") == ["make", "TLS", "Server"])
    #expect(camelCaseWords(of: "") == [])
  }

  @Test("finds unfinished work and words of a workplace in every file")
  func wording() {
    #expect(lines(.unfinished, "docs/a.md", "a\nTO" + "DO: b") == [2])
    #expect(lines(.unfinished, "docs/a.md", "toDoList") == [])
    #expect(lines(.workplace, "Makefile", "cd /wo" + "rk/main") == [1])
    #expect(lines(.workplace, "a.md", "a network/wor" + "ld") == [])
  }

  @Test("weighs files")
  func fileSize() {
    #expect(lines(.fileSize, "a", String(repeating: "a", count: 200 * 1024)) == [])
    #expect(lines(.fileSize, "a", String(repeating: "a", count: 200 * 1024 + 1)) == [1])
  }

  @Test("wants each example named")
  func example() {
    let lone = ["Examples/a.conf": "", "docs/b.md": "Examples/c.conf"]
    #expect(Rule.example.findings(in: Repository(lone)).map(\.file) == ["Examples/a.conf"])
    let told = ["Examples/a.conf": "", "Tests/T/T.swift": "\"a.conf\""]
    #expect(Rule.example.findings(in: Repository(told)) == [])
  }

  @Test("wants each snippet shown as it is compiled")
  func snippet() {
    let text = "import A\n\nrun()"
    let told = ["Snippets/A.swift": text + "\n", "docs/a.md": "First\n```swift\n\(text)\n```\n"]
    #expect(Rule.snippet.findings(in: Repository(told)) == [])
    let changed = [
      "Snippets/A.swift": text + "\n", "docs/a.md": "```swift\nimport A\nrun()\n```\n",
    ]
    #expect(Rule.snippet.findings(in: Repository(changed)).map(\.file) == ["Snippets/A.swift"])
  }

  @Test("excuses what is listed, and tells what is listed in vain")
  func excuses() {
    let finding = Finding(rule: .task, file: "a", line: 1, what: "", mend: "")
    let needed = Allowance(.task, "a", "")
    let vain = Allowance(.print, "a", "")
    #expect(excuse([finding], []).remaining == [finding])
    let result = excuse([finding], [needed, vain])
    #expect(result.remaining == [])
    #expect(result.unused == [vain])
  }

  @Test("prints the place, what is wrong and the mend")
  func description() {
    let finding = Finding(rule: .task, file: "a.swift", line: 7, what: "x", mend: "y")
    #expect("\(finding)" == "a.swift:7: x; y")
  }
}

@Suite("The masking of comments and literals")
struct SwiftSourceTests {
  @Test(
    "leaves code alone, and every column where it was",
    arguments: [
      ("a // b", "a     "),
      ("a /* b /* c */ d */ e", "a                   e"),
      (#"a("b\"c") // d"#, #"a("    ")     "#),
      (##"a(#"b"c"#)"##, ##"a( "   " )"##),
      (#""a\(b("c"))d" e"#, #""   b(" ")  " e"#),
      ("\"\"\"\n a \"b\" // c\n\"\"\" d", "\"\"\"\n           \n\"\"\" d"),
      ("\"a\nb", "\" \nb"),
    ]
  )
  func masks(text: String, code: String) {
    let source = SwiftSource(Repository.File(path: "a.swift", bytes: Array(text.utf8)))
    #expect(source.code.joined(separator: "\n") == code)
  }
}

@Suite("The checks of layers can fail")
struct LayerCheckTests {
  private let package = """
    @MainActor func module(_ name: String = "W", _ layer: Layer = .base) {}
    let package = Package(name: "V", targets: targets)
    tests("TidyTests")
    headers("CX", .system)
    module("X", .base)
    module("Y", .edge, ["X"])
    module(
      "Z",
      .edge,
      ["X", "Y"],
      tests: false
    )
    """

  private func findings(_ rule: Rule, _ files: [String: String]) -> [String] {
    rule.findings(
      in: Repository(files.merging(["Package.swift": package]) { $1 })
    ).map { "\($0.file):\($0.line)" }
  }

  @Test("reads the table, on one line or on several")
  func table() {
    let files = ["Package.swift": package, "Sources/System/CX/x.h": ""]
    let table = ModuleTable(Repository(files))
    #expect(table.modules.map(\.name) == ["X", "Y", "Z"])
    #expect(table.modules.map(\.uses) == [[], ["X"], ["X", "Y"]])
    #expect(
      table.modules.map(\.folder) == ["Sources/Base/X/", "Sources/Edge/Y/", "Sources/Edge/Z/"]
    )
    #expect(table.headers == ["CX"])
  }

  @Test("finds an import that the table lacks")
  func layer() {
    let text = "import Synchronization\npublic import X\nimport Z\nimport struct X.V\n"
    #expect(findings(.layer, ["Sources/Edge/Y/Y.swift": text]) == ["Sources/Edge/Y/Y.swift:3"])
    let other = "@_exported import struct W.V"
    #expect(findings(.layer, ["Sources/Edge/Y/Y.swift": other]) == ["Sources/Edge/Y/Y.swift:1"])
  }

  @Test("finds an import of the platform")
  func platform() {
    let files = ["Sources/Edge/Y/Y.swift": "import X\nimport Foundation"]
    #expect(findings(.platformImport, files) == ["Sources/Edge/Y/Y.swift:2"])
    #expect(findings(.layer, files) == [])
  }

  @Test("wants a landing page, and no folder that is no module")
  func landing() {
    let files = [
      "Sources/Base/X/X.swift": "/// What it is.", "Sources/Edge/Y/Y.swift": "import X",
      "Sources/Edge/Z/Z.docc/Z.md": "#", "Sources/System/CX/x.h": "", "Sources/Edge/V/V.swift": "",
    ]
    #expect(
      findings(.landingPage, files) == ["Sources/Edge/Y/Y.swift:1", "Sources/Edge/V/V.swift:1"]
    )
  }

  @Test("wants tests that test")
  func tests() {
    let files = [
      "Sources/System/CX/x.h": "", "Tests/Base/XTests/XTests.swift": "@Test func a() {}",
      "Tests/Edge/YTests/YTests.swift": "// @Test",
    ]
    #expect(findings(.moduleTests, files) == ["Sources/Edge/Y:1", "Sources/Edge/Z:1"])
  }

  @Test("wants no type with the name of a module")
  func moduleName() {
    let files = ["Sources/Edge/Y/A.swift": "struct A {}\nenum X {}"]
    #expect(findings(.moduleName, files) == ["Sources/Edge/Y/A.swift:2"])
  }
}

@Suite("The checks of documents can fail")
struct DocumentCheckTests {
  private func broken(_ text: String) -> [Int] {
    Rule.link.findings(
      in: Repository([
        "docs/a.md": text, "docs/b.md": "# One two: `three`", "README.md": "",
        "Sources/Edge/Y/Pool+Draining.swift": "",
      ])
    ).map(\.line)
  }

  @Test(
    "follows links and file names",
    arguments: [
      "[b](b.md)", "[b](./b.md#one-two-three)", "[r](../README.md)", "[d](../docs)",
      "[w](https://example.com/x.md)", "`Y/Pool+Draining.swift`", "`docs/b.md`", "`/etc/a.conf`",
      "`a.conf`",
      "`.swift`", "[own](#top)\n## Top", "```\n`c.swift` [c](c.md)\n```",
    ]
  )
  func follows(text: String) {
    #expect(broken(text) == [])
  }

  @Test(
    "finds those that lead nowhere",
    arguments: [
      "[c](c.md)", "[b](b.md#three)", "[r](README.md)", "`Pool.swift`", "`Draining.swift`",
      "`Examples/a.conf`",
      "[own](#top)",
    ]
  )
  func finds(text: String) {
    #expect(broken("x\n" + text) == [2])
  }

  private func faults(_ text: String) -> [Int] {
    Rule.changelog.findings(in: Repository(["CHANGELOG.md": text])).map(\.line)
  }

  @Test("accepts a changelog of its form")
  func changelog() {
    let text = """
      # Changelog

      ## Unreleased

      ### Added
      - One thing that
        takes two lines.
      - `b` does.

      ## 1.2.3 (2026-01-31)

      ### Fixed
      - C.
      """
    #expect(faults(text) == [])
  }

  @Test(
    "finds what is not in form",
    arguments: [
      ("## Unreleased", [1]), ("# Changelog\n## 1.0.0 (2026-01-01)", [1]),
      ("# Changelog\n## Unreleased\n### News", [3]),
      ("# Changelog\n## Unreleased\n- A", [3]), ("# Changelog\n## Unreleased\n- a.", [3]),
      ("# Changelog\n## Unreleased\n- A\n  b\n- C.", [3]),
      ("# Changelog\n## Unreleased\n## 1.0", [3]),
      ("# Changelog\n## Unreleased\n## 1.0.0 (26-01-01)", [3]),
    ]
  )
  func faulty(text: String, expected: [Int]) {
    #expect(faults(text) == expected)
  }

  @Test("wants a changelog")
  func noChangelog() {
    #expect(Rule.changelog.findings(in: Repository([:])).map(\.file) == ["CHANGELOG.md"])
  }
}
