import Foundation
import Configuration
import Directives
import Testing

/// One text with errors, and what is said of it.
struct ErrorCase: Sendable, CustomTestStringConvertible {
  var name: String
  var text: String
  var rendering: String
  var testDescription: String { name }

  static let path = "Corpora/Configuration/errors.txt"

  /// The cases of the file: name, text, a line of dashes and what is said; lines of `=` between them.
  static var all: [ErrorCase] {
    get throws {
      try repositoryFile(path).components(separatedBy: "=====\n").map { section in
        let halves = section.components(separatedBy: "-----\n")
        let head = halves[0].split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
        return ErrorCase(
          name: String(head[0]),
          text: String(head[1]),
          rendering: halves.count > 1 ? halves[1] : ""
        )
      }
    }
  }
}

@Suite("Errors and warnings")
struct ErrorTests {
  @Test("are said so", arguments: try ErrorCase.all)
  func cases(item: ErrorCase) {
    let loaded = ConfigurationLoader.load(name: "edge.conf", text: item.text)
    #expect(loaded.rendered() == item.rendering)
    #expect(loaded.diagnostics.allSatisfy { $0.place != nil || $0.mend != nil })
  }

  func json() throws {
    let loaded = ConfigurationLoader.load(name: "a.conf", text: "server { vai off }")
    #expect(
      loaded.json.formatted() == """
        {
          "valid": false,
          "diagnostics": [
            {
              "severity": "error",
              "file": "a.conf",
              "line": 1,
              "column": 10,
              "length": 3,
              "problem": "there is no directive `vai` in `server`",
              "mend": "write `via off`"
            }
          ],
          "omitted": 0,
          "configuration": null
        }
        """
    )
  }

  @Test(
    "refuse rules for the fields that frame a message, however they are written",
    arguments: ["Content-Length", "content_length", "TRANSFER-ENCODING", "Transfer_Encoding", "te"]
  )
  func framing(field: String) {
    for line in ["request header set \(field) a", "response header remove \(field)"] {
      let loaded = ConfigurationLoader.load(name: "a", text: whole(line, in: "route"))
      let problem = "`\(field)` says how the message is sent on, no rule may change it"
      #expect(loaded.diagnostics.map(\.problem) == [problem])
    }
  }

  @Test("have colours where they are wanted")
  func colours() {
    let loaded = ConfigurationLoader.load(name: "a.conf", text: "usr a")
    #expect(loaded.rendered(.coloured).hasPrefix("\u{1B}[1ma.conf:1:1: \u{1B}[0m\u{1B}[1;31merror"))
  }

  @Test("carry nothing that steers a terminal")
  func terminals() {
    let loaded = ConfigurationLoader.load(name: "a.conf", text: "a\u{9B}b \"\u{1B}[31m\"")
    #expect(!loaded.rendered().unicodeScalars.contains { $0 == "\u{1B}" || $0 == "\u{9B}" })
  }

  @Test("quote a part of a long line")
  func longLines() {
    let text = "server { via \(String(repeating: "a", count: 300)) } x"
    let rendering = ConfigurationLoader.load(name: "a.conf", text: text).rendered()
    #expect(rendering.split(separator: "\n").allSatisfy { $0.count < 420 })
    #expect(rendering.contains("…"))
  }
}
