import Directives
import Testing

@Suite("The formatter")
struct FormatterTests {
  static let cases: [(String, String)] = [
    ("", ""),
    ("\n\n\n", ""),
    ("a   b\tc\r\n\r\n\r\n\r\nd", "a b c\n\nd\n"),
    ("a {\nb\n}", "a {\n    b\n}\n"),
    ("a{ b}", "a { b }\n"),
    ("a {\n\n\nb\n\n\n}\n\n\nc {}", "a {\n    b\n}\n\nc { }\n"),
    ("a { b { c } }", "a {\n    b { c }\n}\n"),
    ("#x  \na   # y\n\n#z", "#x\na  # y\n\n#z\n"),
    ("a { # x\n b # y\n # z\n} # w", "a {  # x\n    b  # y\n    # z\n}  # w\n"),
    ("\u{FEFF}a", "a\n"),
    (
      "a { b \"\"\"\n   x\n     y\n\n   \"\"\" c }",
      "a {\n    b \"\"\"\n        x\n          y\n\n        \"\"\" c\n}\n"
    ),
    ("a \"\"\"\n\"\"\"", "a \"\"\"\n    \"\"\"\n"),
  ]

  @Test("writes the usual form", arguments: cases)
  func forms(text: String, form: String) {
    let formatted = SourceText(name: "a", text).formatted()
    #expect(formatted.text == form)
    #expect(formatted.diagnostics == [])
    #expect(SourceText(name: "a", form).formatted().text == form)
  }

  @Test("breaks a block that has more than 100 columns")
  func longBlock() {
    for count in 93...96 {
      let word = String(repeating: "b", count: count)
      let isShort = "a { \(word) }".count <= 100
      #expect(
        SourceText(name: "a", "a { \(word) }").formatted().text
          == (isShort ? "a { \(word) }\n" : "a {\n    \(word)\n}\n")
      )
    }
  }

  @Test("leaves a text with errors alone, and tells them", arguments: ["a {", "}", "a \"b", "a;"])
  func errors(text: String) {
    let formatted = SourceText(name: "a", text).formatted()
    #expect(formatted.text == nil)
    #expect(!formatted.diagnostics.isEmpty)
  }
}
