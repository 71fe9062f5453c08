/// The longest file of code.
let fileLines = 600
/// The longest function, from its name to its closing brace.
let functionLines = 70
/// The longest shell script.
let shellLines = 20

private let codeEndings = [".swift", ".py", ".h", ".c"]

/// Files of code that are too long to read in one go.
func fileLengthFindings(in repository: Repository) -> [Finding] {
  repository.files.filter { file in
    file.lines.count > fileLines && codeEndings.contains { file.path.hasSuffix($0) }
  }.map { file in
    Finding(
      rule: .fileLength,
      file: file.path,
      line: fileLines + 1,
      what: "\(file.lines.count) lines, where \(fileLines) are the limit",
      mend: "split it by aspect (`Pool+Draining.swift`), or list it with the reason"
    )
  }
}

/// Functions that are too long.
func functionLengthFindings(in repository: Repository) -> [Finding] {
  repository.sources.flatMap { source in
    functions(in: source).filter { $0.lines.count > functionLines }.map { function in
      Finding(
        rule: .functionLength,
        file: source.path,
        line: function.lines.lowerBound,
        what: "\(function.name) has \(function.lines.count) lines, where \(functionLines) are the"
          + " limit",
        mend: "give its steps names of their own"
      )
    }
  }
}

/// Shell scripts that have grown past glue.
func shellLengthFindings(in repository: Repository) -> [Finding] {
  repository.files.filter { file in
    guard file.lines.count > shellLines, let first = file.lines.first else { return false }
    return first.hasPrefix("#!") && first.hasSuffix("sh")
  }.map { file in
    Finding(
      rule: .shellLength,
      file: file.path,
      line: shellLines + 1,
      what: "a shell script of \(file.lines.count) lines, where \(shellLines) are the limit",
      mend: "write it in Python or Swift, with tests"
    )
  }
}

/// The functions of a file that have a body, with their lines counted from 1.
func functions(in source: SwiftSource) -> [(name: String, lines: ClosedRange<Int>)] {
  var found: [(name: String, lines: ClosedRange<Int>)] = []
  for (index, line) in source.code.enumerated() {
    let words = SwiftSource.words(of: line)
    let name: String
    if let at = words.firstIndex(of: "func"), at + 1 < words.count {
      name = String(words[at + 1])
    } else if let word = ["init", "deinit", "subscript"].first(where: { declares($0, line) }) {
      name = word
    } else {
      continue
    }
    if let end = bodyEnd(in: source.code, from: index) {
      found.append((name, index + 1...end + 1))
    }
  }
  return found
}

/// Whether the line declares an initialiser or the like, and does not merely call one.
private func declares(_ word: String, _ line: String) -> Bool {
  let modifiers: Set<Substring> = [
    "public", "package", "internal", "private", "fileprivate", "convenience", "required",
    "override", "nonisolated", "isolated", "consuming", "static", "borrowing", "mutating",
  ]
  guard
    let first = line.split(separator: " ").first(where: {
      !modifiers.contains($0) && !$0.hasPrefix("@")
    })
  else { return false }
  guard first.hasPrefix(word), let next = first.dropFirst(word.count).first else {
    return first == word
  }
  return ["(", "?", "<", "{"].contains(next)
}

/// The last line of the declaration that starts at a line; `nil` when it has no body.
private func bodyEnd(in code: [String], from start: Int) -> Int? {
  var nesting = 0
  var braces = 0
  for index in start..<code.count {
    for character in code[index] {
      switch character {
      case "(", "[": nesting += 1
      case ")", "]": nesting -= 1
      case "{" where nesting == 0 || braces > 0: braces += 1
      case "}" where braces > 0:
        braces -= 1
        if braces == 0 { return index }
      default: break
      }
    }
    if braces == 0 && nesting <= 0 && !continues(code, after: index) { return nil }
  }
  return nil
}

/// Whether the declaration that ends no body on this line goes on below.
private func continues(_ code: [String], after index: Int) -> Bool {
  if let last = code[index].last(where: { $0 != " " }), last == "<" || last == "," { return true }
  guard index + 1 < code.count else { return false }
  let next = code[index + 1].drop { $0 == " " }
  return ["{", "->", "where", "async", "throws", "rethrows", ">"].contains { next.hasPrefix($0) }
}
