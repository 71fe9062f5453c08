import Testing

/// The manual's tables against the declarations that they explain.
@Suite("The manual tells all")
struct ManualTests {
  @Test(
    "explains each name that is declared, and no other",
    arguments: [
      Explained(
        declared: "Sources/Edge/Edge/Seeing/EdgeMetrics",
        isDeclaration: { $0.hasPrefix("\"martlet_") },
        page: "docs/manual/operating.md",
        heading: "### The metrics"
      ),
      Explained(
        declared: "Sources/Base/MartletTelemetry/EndReason.swift",
        isDeclaration: { $0.hasPrefix("case ") },
        page: "docs/manual/http.md",
        heading: "## Failures"
      ),
    ]
  )
  func explains(_ names: Explained) throws {
    let repository = try Repository.this.get()
    let sources = repository.files.filter { $0.path.hasPrefix(names.declared) }
    let page = try #require(repository.file(names.page))
    let declared = names.declarations(in: sources.flatMap(\.lines))
    #expect(declared.count > 10)
    #expect(names.explanations(in: page.lines) == declared)
  }

  @Test("lies where the README leads to, page by page")
  func leads() throws {
    let repository = try Repository.this.get()
    let readme = try #require(repository.file("README.md")).lines.joined()
    // Decisions are led to by their folder.
    let pages = repository.files.map(\.path).filter {
      $0.hasPrefix("docs/") && $0.hasSuffix(".md") && !$0.hasPrefix("docs/decisions/")
    }
    #expect(pages.count > 10)
    #expect(pages.filter { !readme.contains("(\($0))") } == [])
  }
}

/// Names that sources declare and a table of the manual explains.
struct Explained: Sendable, CustomTestStringConvertible {
  /// What the paths of the sources begin with.
  var declared: String
  var isDeclaration: @Sendable (String) -> Bool
  var page: String
  /// The heading that the table stands under.
  var heading: String

  var testDescription: String { "\(declared) in \(page)" }

  /// What stands in quotes, or else behind `case`.
  func declarations(in lines: [String]) -> Set<String> {
    let found = lines.map { String($0.drop { $0 == " " }) }.filter(isDeclaration)
    return Set(
      found.map { line in
        let parts = line.split(separator: "\"", omittingEmptySubsequences: false)
        return parts.count > 1 ? String(parts[1]) : String(line.dropFirst("case ".count))
      }
    )
  }

  /// The first column of the table.
  func explanations(in lines: [String]) -> Set<String> {
    let section = lines.drop { $0 != heading }.dropFirst().prefix { !$0.hasPrefix("#") }
    return Set(section.filter { $0.hasPrefix("| `") }.map { String($0.split(separator: "`")[1]) })
  }
}
