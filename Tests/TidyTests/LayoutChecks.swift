/// The largest file, in bytes.
let fileBytes = 200 * 1024

/// Files that git should not carry.
func fileSizeFindings(in repository: Repository) -> [Finding] {
  repository.files.filter { $0.byteCount > fileBytes }.map { file in
    Finding(
      rule: .fileSize,
      file: file.path,
      line: 1,
      what: "\(file.byteCount / 1024) KB, where \(fileBytes / 1024) are the limit",
      mend: "generate it, or make it smaller"
    )
  }
}

/// Configurations that nothing starts and nobody is told of.
func exampleFindings(in repository: Repository) -> [Finding] {
  let readers = repository.files.filter { file in
    file.path == "README.md" || file.path.hasPrefix("docs/") || file.path.hasPrefix("Tests/")
      || file.path.hasPrefix("Scenarios/")
  }
  return repository.files.filter { example in
    example.path.hasPrefix("Examples/") && example.path.hasSuffix(".conf")
      && !readers.contains { $0.lines.contains { $0.contains(example.name) } }
  }.map { example in
    Finding(
      rule: .example,
      file: example.path,
      line: 1,
      what: "no test and no page names this example",
      mend: "start it in a test"
    )
  }
}

// The words are put together here, so that this file does not have what it looks for.
private let unfinished = ["FIX" + "ME", "TO" + "DO", "XX" + "X"]

private let workplace = [
  "/wo" + "rk/", "../sha" + "red/", "anthro" + "pic", "clau" + "de", "co-authored" + "-by",
  "sub" + "agent", "coding " + "agent", "ai " + "agent", "language " + "model",
  "deb.debian" + ".org", "pypi" + ".org", "python" + "hosted", "c" + "eo's",
  "developer's " + "session", "issues " + "show", "brief" + ".md",
]

/// Notes of work that is not done.
func unfinishedFindings(in repository: Repository) -> [Finding] {
  repository.files.flatMap { file in
    file.lines.enumerated().compactMap { index, line in
      guard let word = unfinished.first(where: { hasPhrase($0, in: line) }) else { return nil }
      return Finding(
        rule: .unfinished,
        file: file.path,
        line: index + 1,
        what: word,
        mend: "do it, or open an issue"
      )
    }
  }
}

/// Words that belong to the place where the work was done, not to the work.
func workplaceFindings(in repository: Repository) -> [Finding] {
  repository.files.flatMap { file -> [Finding] in
    // One search through a whole file costs a fraction of one in each of its lines.
    let text = file.lines.joined(separator: "\n").lowercased()
    guard workplace.contains(where: text.contains) else { return [] }
    return file.lines.enumerated().compactMap { index, line in
      let lower = line.lowercased()
      guard let word = workplace.first(where: lower.contains) else { return nil }
      return Finding(
        rule: .workplace,
        file: file.path,
        line: index + 1,
        what: "\(word) belongs to a workplace",
        mend: "say it without"
      )
    }
  }
}
