/// Words that say nothing about what a type is.
private let emptyWords: Set<String> = [
  "Manager", "Helper", "Helpers", "Util", "Utils", "Utility", "Utilities", "Info", "Data", "Misc",
  "Common", "Impl", "Stuff",
]

/// The types that a file declares.
func typeDeclarations(in source: SwiftSource) -> [(name: String, line: Int)] {
  let keywords: Set<Substring> = [
    "class", "struct", "enum", "actor", "protocol", "typealias", "associatedtype",
  ]
  return source.code.enumerated().compactMap { index, line in
    let words = SwiftSource.words(of: line)
    guard let at = words.firstIndex(where: keywords.contains), at + 1 < words.count,
      words[at + 1].first?.isUppercase == true
    else { return nil }
    return (String(words[at + 1]), index + 1)
  }
}

/// The words of a name in camel case: `HTTPInfo2` is `HTTP`, `Info2`.
func camelCaseWords(of name: String) -> [String] {
  var words: [String] = []
  let letters = Array(name)
  for (index, letter) in letters.enumerated() {
    let before = index > 0 ? letters[index - 1] : " "
    let after = index + 1 < letters.count ? letters[index + 1] : " "
    if letter == "_" { continue }
    if words.isEmpty || (letter.isUppercase && (!before.isUppercase || after.isLowercase)) {
      words.append("")
    }
    words[words.count - 1].append(letter)
  }
  return words
}

/// Names of types, functions and folders that say nothing.
func typeNameFindings(in repository: Repository) -> [Finding] {
  repository.sources.flatMap { source in
    var findings: [Finding] = []
    for type in typeDeclarations(in: source) {
      guard let word = camelCaseWords(of: type.name).first(where: emptyWords.contains) else {
        continue
      }
      findings.append(
        Finding(
          rule: .typeName,
          file: source.path,
          line: type.line,
          what: "\(word) in \(type.name) says nothing",
          mend: "use the noun of the RFC or of the field"
        )
      )
    }
    for (index, line) in source.code.enumerated() where line.contains("func get") {
      let words = SwiftSource.words(of: line)
      guard let at = words.firstIndex(of: "func"), at + 1 < words.count,
        camelCaseWords(of: String(words[at + 1])).first == "get"
      else { continue }
      findings.append(
        Finding(
          rule: .typeName,
          file: source.path,
          line: index + 1,
          what: "\(words[at + 1]) starts with get",
          mend: "name what it gives: a value is a noun"
        )
      )
    }
    return findings
  }
}
