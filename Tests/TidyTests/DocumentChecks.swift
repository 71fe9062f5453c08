/// Links and file names in Markdown that lead nowhere.
func linkFindings(in repository: Repository) -> [Finding] {
  let paths = repository.files.map(\.path)
  return repository.files.filter { $0.path.hasSuffix(".md") }.flatMap { file in
    prose(of: file).flatMap { line, text in
      let links = linkTargets(in: text).compactMap { target in
        broken(target, in: file, of: repository).map { (target, $0) }
      }
      let names = codeSpans(in: text).filter(isFileName).filter { name in
        !paths.contains { $0 == name || $0.hasSuffix("/" + name) }
      }.map { ($0, "no file of the repository has this name") }
      return (links + names).map { target, what in
        Finding(
          rule: .link,
          file: file.path,
          line: line,
          what: "\(target): \(what)",
          mend: "name what exists"
        )
      }
    }
  }
}

/// Snippets that no page shows as they are compiled.
func snippetFindings(in repository: Repository) -> [Finding] {
  let pages = repository.files.filter { $0.path.hasSuffix(".md") }
  return repository.files.filter { $0.path.hasPrefix("Snippets/") && $0.isSwift }.filter {
    snippet in
    let text = snippet.lines.joined(separator: "\n")
    return !pages.contains { $0.lines.joined(separator: "\n").contains(text) }
  }.map { snippet in
    Finding(
      rule: .snippet,
      file: snippet.path,
      line: 1,
      what: "no page shows this snippet, or one shows it otherwise",
      mend: "copy it into the manual, line by line"
    )
  }
}

/// The lines outside code blocks, counted from 1.
private func prose(of file: Repository.File) -> [(line: Int, text: String)] {
  var isCode = false
  return file.lines.enumerated().compactMap { index, text in
    if text.drop(while: { $0 == " " }).hasPrefix("```") {
      isCode.toggle()
      return nil
    }
    return isCode ? nil : (index + 1, text)
  }
}

private func linkTargets(in text: String) -> [String] {
  text.split(separator: "](", omittingEmptySubsequences: false).dropFirst().map {
    String($0.prefix { $0 != ")" && $0 != " " })
  }
}

private func codeSpans(in text: String) -> [String] {
  text.split(separator: "`", omittingEmptySubsequences: false).enumerated()
    .filter { $0.offset % 2 == 1 }.map { String($0.element) }
}

/// Whether a code span is the name of a file that the repository should have.
private func isFileName(_ span: String) -> Bool {
  let endings = [".swift", ".md", ".py", ".conf", ".h", ".vtc"]
  guard let ending = endings.first(where: span.hasSuffix), span.count > ending.count else {
    return false
  }
  // A configuration without a folder is one of the reader's own.
  if ending == ".conf" && !span.contains("/") { return false }
  return !span.hasPrefix("/")
    && span.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "_-./+".contains($0)) }
}

/// Why a link cannot be followed; `nil` when it can, or when it leaves the repository.
private func broken(
  _ target: String,
  in file: Repository.File,
  of repository: Repository
) -> String? {
  if target.contains("://") || target.hasPrefix("mailto:") { return nil }
  let parts = target.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
  var path = file.path
  if let name = parts.first, !name.isEmpty {
    path = resolved(String(name), from: file.path)
    let isFolder = repository.files.contains { $0.path.hasPrefix(path + "/") }
    guard repository.file(path) != nil || isFolder else { return "there is no such file" }
  }
  guard parts.count == 2, let page = repository.file(path) else { return nil }
  let headings = prose(of: page).map(\.text).filter { $0.hasPrefix("#") }.map(anchor)
  return headings.contains(String(parts[1])) ? nil : "the page has no such heading"
}

private func resolved(_ target: String, from path: String) -> String {
  var folders = path.split(separator: "/").dropLast()
  for part in target.split(separator: "/") where part != "." {
    if part == ".." { _ = folders.popLast() } else { folders.append(part) }
  }
  return folders.joined(separator: "/")
}

/// The name that a heading can be linked by.
func anchor(of heading: String) -> String {
  let text = heading.drop { $0 == "#" }.drop { $0 == " " }.lowercased()
  return String(
    text.filter { $0.isLetter || $0.isNumber || " -_".contains($0) }.map { $0 == " " ? "-" : $0 }
  )
}

/// Places where the changelog does not have its form.
func changelogFindings(in repository: Repository) -> [Finding] {
  func finding(_ line: Int, _ what: String, _ mend: String) -> Finding {
    Finding(rule: .changelog, file: "CHANGELOG.md", line: line, what: what, mend: mend)
  }
  guard let lines = repository.file("CHANGELOG.md")?.lines else {
    return [finding(1, "there is no changelog", "write CHANGELOG.md")]
  }
  var findings: [Finding] = []
  if lines.first != "# Changelog" {
    findings.append(finding(1, "the title is not `# Changelog`", "write that"))
  }
  if lines.first(where: { $0.hasPrefix("## ") }) != "## Unreleased" {
    findings.append(finding(1, "the first version is not Unreleased", "write `## Unreleased`"))
  }
  let kinds = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security", "Performance"]
  for (index, line) in lines.enumerated() {
    if line.hasPrefix("### "), !kinds.contains(String(line.dropFirst(4))) {
      findings.append(
        finding(index + 1, "unknown kind of change", "use one of " + kinds.joined(separator: ", "))
      )
    } else if line.hasPrefix("## "), line != "## Unreleased", !isVersion(line.dropFirst(3)) {
      findings.append(finding(index + 1, "no version", "write `## 1.2.3 (2026-01-31)`"))
    } else if line.hasPrefix("- "), !endsAsSentence(entry(lines[index...])) {
      findings.append(
        finding(index + 1, "an entry that is no sentence", "start with a capital, end with a stop")
      )
    }
  }
  return findings
}

/// The text of the entry that starts with the first line, its continued lines included.
private func entry(_ lines: ArraySlice<String>) -> String {
  let more = lines.dropFirst().prefix { $0.hasPrefix("  ") }
  return ([lines.first.map { String($0.dropFirst(2)) } ?? ""] + more).joined(separator: "\n")
}

private func endsAsSentence(_ text: String) -> Bool {
  guard let first = text.first, let last = text.last else { return false }
  return (first.isUppercase || first == "`") && ".!?".contains(last)
}

private func isVersion(_ text: Substring) -> Bool {
  let parts = text.split(separator: " ")
  guard parts.count == 2 else { return false }
  let numbers = parts[0].split(separator: ".", omittingEmptySubsequences: false)
  let date = parts[1].dropFirst().dropLast().split(separator: "-")
  return numbers.count == 3 && numbers.allSatisfy { Int($0) != nil }
    && parts[1].first == "(" && parts[1].last == ")"
    && date.map(\.count) == [4, 2, 2] && date.allSatisfy { Int($0) != nil }
}
