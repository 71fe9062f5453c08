import Admin
import Foundation
import JSONRPC
import Testing

@Suite("The methods of the control socket")
struct ControlMethodsTests {
  private func page() throws -> [Substring] {
    var folder = URL(fileURLWithPath: #filePath)
    for _ in 0..<4 { folder.deleteLastPathComponent() }
    let file = folder.appendingPathComponent("docs/manual/control.md")
    return try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
  }

  /// The rows of the table under a heading, each as the words in code and the rest.
  private func rows(in lines: [Substring], under start: String) -> [[String]] {
    lines.drop { !$0.hasPrefix(start) }.dropFirst().prefix { !$0.hasPrefix("#") }
      .filter { $0.hasPrefix("| `") || $0.hasPrefix("| -32") }
      .map { $0.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) } }
  }

  @Test("the manual tells each, and no other")
  func manual() throws {
    let words = rows(in: try page(), under: "## Methods").map { $0[0] }
      .filter { $0.hasPrefix("`") }
      .flatMap { $0.split(separator: "`").filter { !$0.hasPrefix(",") } }.map(String.init)
    #expect(Set(words) == Set(ControlMethods.table.methods.map(\.name)))
  }

  @Test("the manual tells each error, and no other")
  func errors() throws {
    let told = rows(in: try page(), under: "## Methods").filter { $0[0].hasPrefix("-32") }
      .compactMap { Int($0[0]) }
    #expect(told == ControlFault.allCases.map(\.rawValue))
    let declared = Set(ControlMethods.table.methods.flatMap { $0.errors.map(\.code) })
    #expect(declared.isSubset(of: ControlFault.allCases.map(\.rawValue)))
  }

  @Test("what changes something can be kept, and what does not cannot")
  func changing() {
    for method in ControlMethods.table.methods where method.name != "config.discard" {
      let takesKeep = method.parameters.contains { $0.name == "keep" }
      #expect(takesKeep == ControlMethods.changing.contains(method.name), "\(method.name)")
    }
  }

  @Test("every method has a sentence, and every parameter too")
  func sentences() {
    for method in ControlMethods.table.methods {
      #expect(method.sentence.hasSuffix(".") && method.sentence.count > 10)
      for parameter in method.parameters { #expect(parameter.sentence.hasSuffix(".")) }
    }
  }
}
