import Directives
import Testing

@Suite("The syntax")
struct SyntaxTests {
  /// What a text says, in a form that is easy to compare.
  private func tree(_ text: String) -> String {
    var reading = Reading(SourceBundle(name: "a", text: text))
    return shown(reading.statements())
  }

  private func shown(_ statements: [Statement]) -> String {
    statements.map { statement in
      let words = ([statement.name] + statement.arguments).map { word in
        word.pieces.map { piece in
          switch piece {
          case .text(let text): text
          case .variable(let name, _): "<\(name)>"
          case .foreign, .secret: "?"
          }
        }.joined()
      }
      let block = statement.block.map { "{\(shown($0))}" } ?? ""
      return words.map { "[\($0)]" }.joined() + block
    }.joined(separator: ";")
  }

  @Test(
    "takes a text apart",
    arguments: [
      ("", ""), ("# a\n\n", ""), ("a b\nc", "[a][b];[c]"), ("a\tb  c # d", "[a][b][c]"),
      ("a#b", "[a#b]"), ("a { b }", "[a]{[b]}"), ("a{\nb}\nc", "[a]{[b]};[c]"), ("a {}", "[a]{}"),
      ("a {b.c}d{e}", "[a][<b.c>d<e>]"), ("a \"b c\" \"\"", "[a][b c][]"),
      ("a \"{b.c} {d: e} \\{f}\"", "[a][<b.c> {d: e} {f}]"),
      ("a \"\\\"\\\\\\n\\t\\r\\u{41}\"", "[a][\"\\\n\t\rA]"),
      ("a \"\"\"\n  b\n    c \"d\"\n\n  \"\"\" e", "[a][b\n  c \"d\"\n][e]"),
      ("a \"\"\"\n\"\"\"", "[a][]"), ("a\r\nb \"\"\"\r\n c\r\n \"\"\"\r\n", "[a];[b][c]"),
      ("a { # b\n c # d\n}", "[a]{[c]}"), ("\u{FEFF}a ä", "[a][ä]"),
    ]
  )
  func trees(text: String, expected: String) {
    #expect(tree(text) == expected)
  }

  /// What is wrong with a text: line, column and problem.
  private func problems(_ text: [UInt8]) -> [String] {
    var reading = Reading(SourceBundle(name: "a", bytes: text))
    _ = reading.statements()
    return reading.diagnostics.map { item in
      "\(item.place?.line ?? 0):\(item.place?.column ?? 0) \(item.problem)"
    }
  }

  @Test(
    "tells what is wrong and where",
    arguments: [
      ("a {\nb", "1:3 the block has no end"), ("a\n}", "2:1 this brace closes nothing"),
      ("{ a }", "1:1 the block belongs to no directive"),
      ("a\n{ b }", "2:1 the brace of a block stands on the line of its directive"),
      ("a { b } c", "1:9 one directive a line"), ("a { b } { c }", "1:9 a directive has one block"),
      ("a \"b", "1:3 the string has no end on this line"),
      ("a \"\"\"\nb", "1:3 the text has no end"),
      ("a \"\"\" b\n\"\"\"", "1:6 a text of several lines begins on the next line"),
      ("a \"\"\"\n b\n  \"\"\"", "2:1 the line is indented less than the end of the text"),
      ("a \"b\"c", "1:6 a space is missing behind the string"),
      ("a b\"c", "1:4 a quote inside of a word"), ("a 'b'", "1:3 strings stand in double quotes"),
      ("a b;", "1:4 the end of the line ends a directive"), ("a \"\\q\"", "1:4 no such escape"),
      ("a \"\\u{110000}\"", "1:4 a character by number is written so"),
      ("a {b", "1:3 the brace has no end on this line"),
      ("a {b c}", "1:3 a block's braces stand apart"), ("a {1}", "1:3 `{1}` is not a variable"),
      ("a\u{1}", "1:2 the control character 0x1 is not text"),
      ("a b{env }", "1:4 `{env }` is not a variable"), ("include", "1:1 `include` takes one path"),
      ("include b", "1:9 cannot read `b`: is not at hand"),
    ]
  )
  func errors(text: String, expected: String) {
    #expect(problems(Array(text.utf8)).contains(expected))
  }

  @Test("refuses bytes that are not UTF-8")
  func encoding() {
    #expect(
      problems(Array("ab\ncd ".utf8) + [0xC3, 0x28] + Array(" e".utf8)) == [
        "2:4 the file is not UTF-8"
      ]
    )
  }

  @Test("has bounds")
  func bounds() {
    #expect(problems(Array(repeating: 0x20, count: 1 << 20)) == [])
    #expect(problems(Array(repeating: 0x20, count: 1 << 20 | 1)) == ["1:1 a file has at most 1 MB"])
    let nested = String(repeating: "a {\n", count: 17) + String(repeating: "}\n", count: 17)
    #expect(problems(Array(nested.utf8)) == ["17:3 blocks stand at most 16 deep in each other"])
    let words = String(repeating: "a ", count: 4097)
    #expect(problems(Array(words.utf8)) == [])
    #expect(problems(Array((words + "b").utf8)) == ["1:8195 a directive has at most 4096 words"])
    let long = Array(repeating: UInt8(ascii: "a"), count: 256 * 1024)
    #expect(problems(long) == [])
    #expect(problems(long + long) == ["1:1 a word has at most 256 KB"])
  }

  @Test("keeps at most a hundred errors, and counts the others")
  func manyErrors() {
    var reading = Reading(SourceBundle(name: "a", text: String(repeating: "}\n", count: 150)))
    _ = reading.statements()
    #expect(reading.diagnostics.count == 100)
    #expect(reading.omittedCount == 50)
  }
}

@Suite("The nearest name")
struct NearestNameTests {
  @Test(
    "is the one that was meant",
    arguments: [
      ("conect_timeout", "connect_timeout"), ("connect-timeout", "connect_timeout"),
      ("ConnectTimeout", "connect_timeout"), ("lsiten", "listen"), ("head", "head_limit"),
      ("x", nil), ("listener_of_something", nil), ("", nil),
    ] as [(String, String?)]
  )
  func nearest(name: String, meant: String?) {
    let names = ["listen", "head_limit", "connect_timeout"]
    #expect(nearestName(to: name, among: names) == meant)
  }
}

@Suite("Values")
struct ValueTests {
  @Test(
    "of time are written as they are read",
    arguments: ["1ms", "1500ms", "2s", "90s", "5m", "90m", "2h", "1d", "0ms"]
  )
  func durations(text: String) throws {
    let kind = ValueKind<Duration>.duration(within: .zero ... .seconds(864_000))
    #expect(try kind.write(kind.read(text)) == text)
  }

  @Test(
    "of size are written as they are read",
    arguments: ["0B", "1B", "1023B", "1KB", "3MB", "2GB"]
  )
  func sizes(text: String) throws {
    let kind = ValueKind<Int>.size(within: 0...1 << 40)
    #expect(try kind.write(kind.read(text)) == text)
  }

  @Test(
    "are refused at the bound and beyond",
    arguments: [
      ("999ms", "`999ms` is less than the least allowed, 1s"),
      ("61s", "`61s` is more than the most allowed, 60s"), ("5", "`5` has no unit"),
      ("5 s", "` s` is not a unit of time"), ("s", "`s` is not a time"),
      ("99999999999999999d", "`99999999999999999d` is too long"), ("-1s", "`-1s` is not a time"),
      ("1.5s", "`.5s` is not a unit of time"),
    ]
  )
  func bounds(text: String, problem: String) {
    let kind = ValueKind<Duration>.duration(within: .seconds(1) ... .seconds(60))
    let error = #expect(throws: ValueError.self) { try kind.read(text) }
    #expect(error?.problem == problem)
  }

  @Test("of networks with too many bits are mended")
  func networks() {
    let error = #expect(throws: ValueError.self) {
      try ValueKind<Network>.network.read("10.1.2.3/8")
    }
    #expect(error?.mend == "10.0.0.0/8")
  }
}
