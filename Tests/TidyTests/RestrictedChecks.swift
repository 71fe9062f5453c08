import Foundation

/// What may stand only in files that ``allowances`` lists.
private struct Restriction {
  var phrases: [String]
  var folders: [String]
  var what: String
  var mend: String
}

private let products = ["Sources/", "Snippets/", "Fuzz/Sources/"]

private let restrictions: [Rule: Restriction] = [
  .unsafe: Restriction(
    phrases: ["unsafe", "@unsafe"],
    folders: products,
    what: "unsafe code",
    mend: "use a safe wrapper of MartletSystem, or list the file with the reason"
  ),
  .uncheckedSendable: Restriction(
    phrases: ["@unchecked Sendable"],
    folders: products,
    what: "a promise to be Sendable that the compiler does not check",
    mend: "make the type a value or an actor, or list the file with the reason"
  ),
  .nonisolatedUnsafe: Restriction(
    phrases: ["nonisolated(unsafe)"],
    folders: products,
    what: "shared state that the compiler does not check",
    mend: "use a Mutex or an Atomic, or list the file with the reason"
  ),
  .fatalError: Restriction(
    phrases: ["fatalError("],
    folders: products + ["Tests/"],
    what: "fatalError",
    mend: "throw, or write a precondition with a sentence"
  ),
  .forcedTry: Restriction(
    phrases: ["try!", "as!"],
    folders: products,
    what: "an error or a type that is assumed away",
    mend: "handle the other case"
  ),
  .optionalTry: Restriction(
    phrases: ["try?"],
    folders: products,
    what: "an error that is dropped",
    mend: "catch it and decide, or list the file with the reason"
  ),
  .task: Restriction(
    phrases: ["Task {", "Task(", "Task.detached", "Task.init"],
    folders: ["Sources/"],
    what: "an unstructured task",
    mend: "await the work where it is, or list the file with what ends the task"
  ),
  .captureList: Restriction(
    phrases: [".spawn { [", ".perform { [", ".run { [", "run(until: { ["],
    folders: products + ["Tests/"],
    what: "a coroutine with a capture list, which Swift 6.3 runs off its loop",
    mend: "name what it uses in the body: `self.count`"
  ),
  .print: Restriction(
    phrases: ["print(", "debugPrint(", "dump("],
    folders: products.filter { $0 != "Snippets/" },
    what: "output past the log",
    mend: "log it, or list the file as one whose output is its purpose"
  ),
  .testableImport: Restriction(
    phrases: ["@testable"],
    folders: ["Tests/"],
    what: "a test that looks inside",
    mend: "test what is public; that runs against the optimised build too"
  ),
  .sleep: Restriction(
    phrases: ["Task.sleep", "sleep(", "usleep(", "nanosleep(", "Thread.sleep"],
    folders: ["Tests/"],
    what: "a test that sleeps",
    mend: "wait for the event itself, or use the test loop's virtual clock"
  ),
]

/// Phrases outside the files that may have them.
func restrictedFindings(of rule: Rule, in repository: Repository) -> [Finding] {
  guard let restriction = restrictions[rule] else { return [] }
  return repository.sources(under: restriction.folders).flatMap { source in
    Set(restriction.phrases.flatMap { source.lines(with: $0) }).sorted().map { line in
      Finding(
        rule: rule,
        file: source.path,
        line: line,
        what: restriction.what,
        mend: restriction.mend
      )
    }
  }
}

/// Lines of `unsafe` that no `// Safe:` comment covers.
///
/// A comment covers what follows it in its function, and anywhere the 12 lines below it, so that one
/// reason may serve a few short members. The comment of an `unowned(unsafe)` property covers each use of
/// the property, and the opening comment of a file that states its invariant covers the file.
func safeCommentFindings(in repository: Repository) -> [Finding] {
  repository.sources(under: ["Sources/"]).filter { !opensWithInvariant($0) }.flatMap { source in
    let bodies = functions(in: source).map(\.lines)
    let references = explainedReferences(in: source)
    return source.lines(with: "unsafe").filter { line in
      if uses(source.code[line - 1], only: references) { return false }
      let start = bodies.filter { $0.contains(line) }.map(\.lowerBound).min() ?? line
      return !source.lines[max(0, min(start - 1, line - 13))..<line].contains {
        $0.contains("// Safe:")
      }
    }.map { line in
      Finding(
        rule: .safeComment,
        file: source.path,
        line: line,
        what: "unsafe code without its reason",
        mend: "write above the statement `// Safe: …`: who owns the memory, and what bounds it"
      )
    }
  }
}

private func opensWithInvariant(_ source: SwiftSource) -> Bool {
  source.lines.prefix { line in
    line.isEmpty || line.hasPrefix("//") || line.contains("import ")
  }.contains { $0.hasPrefix("// Invariant") || $0.contains(" Invariant: ") }
}

/// The names of `unowned(unsafe)` properties that have their reason just above.
private func explainedReferences(in source: SwiftSource) -> Set<Substring> {
  let mark = "unowned(unsafe) "
  return Set(
    source.code.indices.compactMap { index in
      guard let place = source.code[index].firstRange(of: mark), index > 0,
        source.lines[max(0, index - 3)..<index].contains(where: { $0.contains("// Safe:") })
      else { return nil }
      return SwiftSource.words(of: String(source.code[index][place.upperBound...])).dropFirst()
        .first
    }
  )
}

/// Whether each `unsafe` of a line of code goes with one of the names.
private func uses(_ line: String, only names: Set<Substring>) -> Bool {
  let words = SwiftSource.words(of: line).filter { $0 != "self" }
  return words.indices.allSatisfy { index in
    words[index] != "unsafe" || (index + 1 < words.count && names.contains(words[index + 1]))
  }
}
