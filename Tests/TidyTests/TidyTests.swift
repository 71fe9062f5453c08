import Foundation
import Testing

/// The repository is the input: what the style asks for and the compiler cannot see.
///
/// Each check is a pure function from files to findings, so that `CheckTests` can show it failing on
/// small made-up files. A finding that must stay has its reason in ``allowances``.
@Suite("The repository is tidy")
struct TidyTests {
  @Test("keeps the rule, and has no allowance without need", arguments: Rule.allCases)
  func keeps(rule: Rule) throws {
    let mine = allowances.filter { $0.rule == rule }
    let (remaining, unused) = excuse(rule.findings(in: try Repository.this.get()), mine)
    for (_, findings) in Dictionary(grouping: remaining, by: \.file).sorted(by: { $0.key < $1.key })
    {
      let more = findings.count > 5 ? "\nand \(findings.count - 5) more in this file" : ""
      Issue.record("\(findings.prefix(5).map(\.description).joined(separator: "\n"))\(more)")
    }
    for allowance in unused {
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
  func formatted() async throws {
    let folders = ["Package.swift", "Sources", "Tests", "Snippets", "Fuzz/Sources", "Benchmarks"]
    let (status, said) = try await lint(folders)
    #expect(status == 0, "\(said)\nmend: make format")
  }

  /// The formatter's exit status and what it says.
  ///
  /// It takes a while, in which other tests have the thread.
  private func lint(_ folders: [String]) async throws -> (status: Int32, said: String) {
    let lint = Process()
    lint.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    lint.arguments = ["swift", "format", "lint", "--strict", "--parallel", "--recursive"] + folders
    lint.currentDirectoryURL = URL(fileURLWithPath: Repository.root)
    let path = FileManager.default.temporaryDirectory.path + "/martlet-lint-\(UUID())"
    try Data().write(to: URL(fileURLWithPath: path))
    defer { #expect(throws: Never.self) { try FileManager.default.removeItem(atPath: path) } }
    let output = try #require(FileHandle(forWritingAtPath: path))
    lint.standardError = output
    lint.standardOutput = output
    let status = try await withCheckedThrowingContinuation { continuation in
      lint.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
      do {
        try lint.run()
      } catch {
        lint.terminationHandler = nil
        continuation.resume(throwing: error)
      }
    }
    return (status, try String(contentsOfFile: path, encoding: .utf8))
  }
}
