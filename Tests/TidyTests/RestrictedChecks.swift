/// What may stand only in files that ``allowances`` lists.
private struct Restriction {
  var phrases: [String]
  var folders: [String]
  var what: String
  var mend: String
}

private let products = ["Sources/", "Snippets/", "Fuzz/Sources/"]

private func restriction(of rule: Rule) -> Restriction? {
  switch rule {
  case .unsafe:
    Restriction(
      phrases: ["unsafe", "@unsafe"],
      folders: products,
      what: "unsafe code",
      mend: "use a safe wrapper of MartletSystem, or list the file with the reason"
    )
  case .uncheckedSendable:
    Restriction(
      phrases: ["@unchecked Sendable"],
      folders: products,
      what: "a promise to be Sendable that the compiler does not check",
      mend: "make the type a value or an actor, or list the file with the reason"
    )
  case .nonisolatedUnsafe:
    Restriction(
      phrases: ["nonisolated(unsafe)"],
      folders: products,
      what: "shared state that the compiler does not check",
      mend: "use a Mutex or an Atomic, or list the file with the reason"
    )
  case .fatalError:
    Restriction(
      phrases: ["fatalError("],
      folders: products + ["Tests/"],
      what: "fatalError",
      mend: "throw, or write a precondition with a sentence"
    )
  case .forcedTry:
    Restriction(
      phrases: ["try!", "as!"],
      folders: products,
      what: "an error or a type that is assumed away",
      mend: "handle the other case"
    )
  case .optionalTry:
    Restriction(
      phrases: ["try?"],
      folders: products,
      what: "an error that is dropped",
      mend: "catch it and decide, or list the file with the reason"
    )
  case .task:
    Restriction(
      phrases: ["Task {", "Task(", "Task.detached", "Task.init"],
      folders: ["Sources/"],
      what: "an unstructured task",
      mend: "await the work where it is, or list the file with what ends the task"
    )
  case .print:
    Restriction(
      phrases: ["print(", "debugPrint(", "dump("],
      folders: products.filter { $0 != "Snippets/" },
      what: "output past the log",
      mend: "log it, or list the file as one whose output is its purpose"
    )
  case .testableImport:
    Restriction(
      phrases: ["@testable"],
      folders: ["Tests/"],
      what: "a test that looks inside",
      mend: "test what is public; that runs against the optimised build too"
    )
  case .sleep:
    Restriction(
      phrases: ["Task.sleep", "sleep(", "usleep(", "nanosleep(", "Thread.sleep"],
      folders: ["Tests/"],
      what: "a test that sleeps",
      mend: "wait for the event itself, or use the test loop's virtual clock"
    )
  default: nil
  }
}

/// Phrases outside the files that may have them.
func restrictedFindings(of rule: Rule, in repository: Repository) -> [Finding] {
  guard let restriction = restriction(of: rule) else { return [] }
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
/// One comment covers the statement below it, to the next blank line or 12 lines at most.
func safeCommentFindings(in repository: Repository) -> [Finding] {
  repository.sources(under: ["Sources/"]).flatMap { source in
    source.lines(with: "unsafe").filter { !isCovered($0, in: source) }.map { line in
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

private func isCovered(_ line: Int, in source: SwiftSource) -> Bool {
  for above in source.lines[max(0, line - 13)..<line].reversed() {
    if above.contains("// Safe:") { return true }
    if above.allSatisfy(\.isWhitespace) { return false }
  }
  return false
}
