import Foundation
import Testing

/// The repository is the input: what the style asks for and the compiler cannot see.
///
/// Each check is a pure function from files to findings, so that `CheckTests` can show it failing on
/// small made-up files. A finding that must stay has its reason in ``allowances``.
@Suite("The repository is tidy")
struct TidyTests {
  @Test("keeps the rule", arguments: Rule.allCases)
  func keeps(rule: Rule) throws {
    let repository = try Repository.this.get()
    let remaining = excuse(rule.findings(in: repository), allowances).remaining
    for (_, findings) in Dictionary(grouping: remaining, by: \.file).sorted(by: { $0.key < $1.key })
    {
      let more = findings.count > 5 ? "\nand \(findings.count - 5) more in this file" : ""
      Issue.record("\(findings.prefix(5).map(\.description).joined(separator: "\n"))\(more)")
    }
  }

  @Test("has no allowance that nothing needs any more", arguments: Rule.allCases)
  func needs(rule: Rule) throws {
    let repository = try Repository.this.get()
    let mine = allowances.filter { $0.rule == rule }
    for allowance in excuse(rule.findings(in: repository), mine).unused {
      Issue.record(
        """
        Tests/TidyTests/Allowances.swift:1: \(allowance.file) no longer needs its allowance for \
        \(allowance.rule); remove it
        """
      )
    }
  }

  @Test("gives a reason with each allowance")
  func reasons() {
    #expect(allowances.filter { $0.reason.count < 20 }.map(\.file) == [])
  }

  @Test("is formatted as `make format` writes it")
  func formatted() throws {
    let folders = [
      "Package.swift", "Sources", "Tests", "Snippets", "Fuzz/Sources", "Benchmarks/generator",
    ].filter {
      FileManager.default.fileExists(atPath: Repository.root + "/" + $0)
    }
    let lint = Process()
    lint.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    lint.arguments = ["swift", "format", "lint", "--strict", "--recursive"] + folders
    lint.currentDirectoryURL = URL(fileURLWithPath: Repository.root)
    let output = Pipe()
    lint.standardError = output
    lint.standardOutput = output
    try lint.run()
    let said = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    lint.waitUntilExit()
    #expect(lint.terminationStatus == 0, "\(said)\nmend: make format")
  }
}
