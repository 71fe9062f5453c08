/// A Swift file, and its code alone.
struct SwiftSource: Sendable {
  let path: String
  let lines: [String]
  /// The lines with comments and the insides of literals blanked, each as long as before.
  ///
  /// What is interpolated into a string is code and stays.
  let code: [String]

  init(_ file: Repository.File) {
    path = file.path
    lines = file.lines
    var mask = Mask(Array(file.lines.joined(separator: "\n").utf8))
    code = mask.run().split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
      .map { String(decoding: $0, as: UTF8.self) }
  }

  /// The lines of code that have `phrase`, counted from 1.
  func lines(with phrase: String) -> [Int] {
    code.indices.filter { hasPhrase(phrase, in: code[$0]) }.map { $0 + 1 }
  }

  /// The words of a line of code.
  static func words(of line: String) -> [Substring] {
    line.split { !($0.isLetter || $0.isNumber || $0 == "_") }
  }
}

/// Whether `line` has `phrase`, not as a part of a longer word nor as a member of something.
func hasPhrase(_ phrase: String, in line: String) -> Bool {
  let line = Array(line.utf8)
  let phrase = Array(phrase.utf8)
  guard line.count >= phrase.count, let first = phrase.first, let last = phrase.last else {
    return false
  }
  for start in 0...(line.count - phrase.count)
  where line[start] == first && line[start..<start + phrase.count].elementsEqual(phrase) {
    let end = start + phrase.count
    let startsAlone =
      start == 0 || !isWord(first) || !(isWord(line[start - 1]) || line[start - 1] == 0x2E)
    let endsAlone = end == line.count || !isWord(last) || !isWord(line[end])
    if startsAlone && endsAlone { return true }
  }
  return false
}

private func isWord(_ byte: UInt8) -> Bool {
  switch byte {
  case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), 0x80...:
    true
  default: false
  }
}

/// Blanks comments and literals.
private struct Mask {
  /// What surrounds the current byte: an interpolation's code, or a literal.
  enum Context {
    case code(parentheses: Int)
    case string(hashes: Int, quotes: Int)
  }

  let input: [UInt8]
  var output: [UInt8] = []
  var place = 0
  var contexts: [Context] = []

  init(_ input: [UInt8]) { self.input = input }

  mutating func run() -> [UInt8] {
    output.reserveCapacity(input.count)
    while place < input.count {
      switch contexts.last {
      case .none: code(parentheses: nil)
      case .code(let parentheses): code(parentheses: parentheses)
      case .string(let hashes, let quotes): string(hashes: hashes, quotes: quotes)
      }
    }
    return output
  }

  /// Whether these characters stand here.
  ///
  /// Asked several times for each byte of the repository, so that nothing is allocated.
  private func has(_ first: Unicode.Scalar, _ second: Unicode.Scalar? = nil) -> Bool {
    guard byte(at: 0) == UInt8(ascii: first) else { return false }
    guard let second else { return true }
    return byte(at: 1) == UInt8(ascii: second)
  }

  private func byte(at offset: Int) -> UInt8? {
    place + offset < input.count ? input[place + offset] : nil
  }

  /// How often the character stands from `offset` on.
  private func count(of character: Unicode.Scalar, at offset: Int = 0) -> Int {
    var end = offset
    while byte(at: end) == UInt8(ascii: character) { end += 1 }
    return end - offset
  }

  private mutating func keep(_ count: Int = 1) {
    for _ in 0..<count where place < input.count {
      output.append(input[place])
      place += 1
    }
  }

  private mutating func blank(_ count: Int = 1) {
    for _ in 0..<count where place < input.count {
      output.append(input[place] == UInt8(ascii: "\n") ? input[place] : UInt8(ascii: " "))
      place += 1
    }
  }

  private mutating func code(parentheses: Int?) {
    if has("/", "/") {
      while place < input.count, !has("\n") { blank() }
    } else if has("/", "*") {
      comment()
    } else if let hashes = literalHashes() {
      blank(hashes)
      let quotes = count(of: "\"") >= 3 ? 3 : 1
      keep(quotes)
      contexts.append(.string(hashes: hashes, quotes: quotes))
    } else if let parentheses, has("(") {
      contexts[contexts.count - 1] = .code(parentheses: parentheses + 1)
      keep()
    } else if let parentheses, has(")") {
      if parentheses == 0 {
        contexts.removeLast()
        blank()
      } else {
        contexts[contexts.count - 1] = .code(parentheses: parentheses - 1)
        keep()
      }
    } else {
      keep()
    }
  }

  /// How many `#` stand before the quote of a literal that starts here; `nil` when none does.
  private func literalHashes() -> Int? {
    let hashes = count(of: "#")
    return byte(at: hashes) == UInt8(ascii: "\"") ? hashes : nil
  }

  private mutating func comment() {
    var depth = 0
    repeat {
      if has("/", "*") {
        depth += 1
        blank(2)
      } else if has("*", "/") {
        depth -= 1
        blank(2)
      } else {
        blank()
      }
    } while depth > 0 && place < input.count
  }

  private mutating func string(hashes: Int, quotes: Int) {
    if count(of: "\"") >= quotes, count(of: "#", at: quotes) >= hashes {
      keep(quotes)
      blank(hashes)
      contexts.removeLast()
    } else if has("\\"), count(of: "#", at: 1) >= hashes {
      blank(1 + hashes)
      if has("(") { contexts.append(.code(parentheses: 0)) }
      blank()
    } else if quotes == 1, has("\n") {
      // Not closed on its line: no valid literal, so nothing more is blanked on its account.
      contexts.removeLast()
    } else {
      blank()
    }
  }
}
