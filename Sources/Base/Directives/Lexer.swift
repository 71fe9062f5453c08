/// Takes a text apart into words, braces, comments and line ends.
///
/// A `{` opens a block when white space, the line's end or `}` follows it, else it begins a variable
/// as `{client.address}`. A `}` outside of a variable always ends the word and closes a block. Both
/// need no look at what stands around them, so that a mistyped line spoils no other.
struct Lexer {
  /// The longest text in bytes.
  static let textBytes = 1 << 20
  /// The longest word in bytes.
  static let wordBytes = 256 * 1024
  // A text of nothing but errors need not be told in full; the reader shows fewer.
  static let problemCount = 1000

  let bytes: [UInt8]
  let source: Int
  var offset = 0
  var tokens: [Token] = []
  var problems: [SyntaxProblem] = []

  init(_ text: SourceText, source: Int) {
    bytes = text.bytes
    self.source = source
  }

  /// The byte `distance` behind the current one; 0 behind the end.
  func peek(_ distance: Int = 0) -> UInt8 {
    offset + distance < bytes.count ? bytes[offset + distance] : 0
  }

  func range(from start: Int, to end: Int) -> SourceRange {
    SourceRange(source: source, start: start, end: end)
  }

  func string(from start: Int, to end: Int) -> String {
    String(decoding: bytes[start..<end], as: UTF8.self)
  }

  mutating func report(_ problem: String, mend: String? = nil, from start: Int, to end: Int) {
    guard problems.count < Self.problemCount else { return }
    problems.append(
      SyntaxProblem(problem: problem, mend: mend, range: range(from: start, to: end))
    )
  }

  /// Takes the whole text apart.
  mutating func run() {
    guard checkText() else { return }
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { offset = 3 }
    while offset < bytes.count {
      let start = offset
      switch peek() {
      case UInt8(ascii: "\n"):
        offset += 1
        tokens.append(Token(kind: .lineEnd, range: range(from: start, to: offset)))
      case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"): offset += 1
      case UInt8(ascii: "#"):
        while offset < bytes.count, !isLineEnd(0) { offset += 1 }
        tokens.append(Token(kind: .comment, range: range(from: start, to: offset)))
      case UInt8(ascii: "}"):
        offset += 1
        tokens.append(Token(kind: .close, range: range(from: start, to: offset)))
      case UInt8(ascii: "{") where opensBlock():
        offset += 1
        tokens.append(Token(kind: .open, range: range(from: start, to: offset)))
      case UInt8(ascii: "\""): string()
      default: bareWord()
      }
      checkWordLength(from: start)
    }
  }

  /// Refuses a text that is too long, or is not text.
  private mutating func checkText() -> Bool {
    guard bytes.count <= Self.textBytes else {
      report("a file has at most 1 MB", mend: "split it, and `include` its parts", from: 0, to: 0)
      return false
    }
    guard String(validating: bytes, as: UTF8.self) != nil else {
      report("the file is not UTF-8", from: firstInvalid(), to: 0)
      return false
    }
    for index in bytes.indices where bytes[index] < 0x20 || bytes[index] == 0x7F {
      switch bytes[index] {
      case UInt8(ascii: "\n"), UInt8(ascii: "\t"): continue
      case UInt8(ascii: "\r")
      where index + 1 < bytes.count && bytes[index + 1] == UInt8(ascii: "\n"): continue
      default:
        let code = String(bytes[index], radix: 16, uppercase: true)
        report("the control character 0x\(code) is not text", from: index, to: index + 1)
        return false
      }
    }
    return true
  }

  /// The first byte that is no UTF-8.
  private func firstInvalid() -> Int {
    var index = 0
    while index < bytes.count {
      let length = (1...4).first { length in
        String(validating: bytes[index...].prefix(length), as: UTF8.self) != nil
      }
      guard let length else { return index }
      index += length
    }
    return index
  }

  private mutating func checkWordLength(from start: Int) {
    guard offset - start > Self.wordBytes, case .word? = tokens.last?.kind else { return }
    report("a word has at most 256 KB", from: start, to: start + 1)
  }

  /// Whether the line ends `distance` bytes ahead.
  func isLineEnd(_ distance: Int) -> Bool {
    offset + distance >= bytes.count || peek(distance) == UInt8(ascii: "\n")
      || (peek(distance) == UInt8(ascii: "\r") && peek(distance + 1) == UInt8(ascii: "\n"))
  }

  func isSpace(_ distance: Int) -> Bool {
    isLineEnd(distance) || peek(distance) == UInt8(ascii: " ")
      || peek(distance) == UInt8(ascii: "\t")
  }

  private func opensBlock() -> Bool {
    isSpace(1) || peek(1) == UInt8(ascii: "}")
  }
}

extension Lexer {
  private mutating func bareWord() {
    let start = offset
    var word = Word(pieces: [], isQuoted: false, range: range(from: start, to: start))
    var textStart = start
    if peek() == UInt8(ascii: "'") {
      report("strings stand in double quotes", mend: "write `\"`", from: start, to: start + 1)
    }
    word: while !isSpace(0) {
      switch peek() {
      case UInt8(ascii: "}"): break word
      case UInt8(ascii: "{"):
        if opensBlock() { break word }
        guard let end = variableEnd() else {
          report(
            "the brace has no end on this line",
            mend: "a block's brace stands apart: write `{ `",
            from: offset,
            to: offset + 1
          )
          word.append(string(from: textStart, to: offset))
          finish(&word, from: start)
          // Most likely a block was meant.
          tokens.append(Token(kind: .open, range: range(from: offset, to: offset + 1)))
          offset += 1
          return
        }
        if offset == start, holdsDirective(to: end) { return }
        word.append(string(from: textStart, to: offset))
        bareVariable(to: end, &word)
        textStart = offset
      case UInt8(ascii: "\""):
        report(
          "a quote inside of a word",
          mend: "put the whole word in quotes, and write `\\\"` for a quote in it",
          from: offset,
          to: offset + 1
        )
        offset += 1
      default: offset += 1
      }
    }
    var textEnd = offset
    if textEnd > textStart, bytes[textEnd - 1] == UInt8(ascii: ";") {
      report(
        "the end of the line ends a directive",
        mend: "leave out the `;`, or put the word in quotes",
        from: textEnd - 1,
        to: textEnd
      )
      textEnd -= 1
    }
    if textEnd > start {
      word.append(string(from: textStart, to: textEnd))
      finish(&word, from: start)
    }
    if textEnd < offset {
      // What follows is another directive.
      tokens.append(Token(kind: .lineEnd, range: range(from: textEnd, to: offset)))
    }
  }

  private mutating func finish(_ word: inout Word, from start: Int) {
    guard offset > start else { return }
    word.range = range(from: start, to: offset)
    tokens.append(Token(kind: .word(word), range: word.range))
  }

  /// The place of the brace that ends the variable at the current one; nil if none is on this line.
  func variableEnd() -> Int? {
    var distance = 1
    while !isLineEnd(distance) {
      switch peek(distance) {
      case UInt8(ascii: "}"): return offset + distance
      case UInt8(ascii: "{"): return nil
      default: distance += 1
      }
    }
    return nil
  }

  /// Takes the brace of `{respond 200}` as the start of a block, which it was meant to be.
  private mutating func holdsDirective(to end: Int) -> Bool {
    let content = string(from: offset + 1, to: end)
    guard content.contains(" "), ForeignValue(content[...]) == nil else { return false }
    report(
      "a block's braces stand apart",
      mend: "write `{ \(content) }`",
      from: offset,
      to: end + 1
    )
    tokens.append(Token(kind: .open, range: range(from: offset, to: offset + 1)))
    offset += 1
    return true
  }

  private mutating func bareVariable(to end: Int, _ word: inout Word) {
    let start = offset
    let content = string(from: start + 1, to: end)
    offset = end + 1
    let place = range(from: start, to: offset)
    if let value = ForeignValue(content[...]) {
      word.pieces.append(.foreign(value, place))
    } else if Self.isVariableName(content) {
      word.pieces.append(.variable(content, place))
    } else {
      report(
        "`{\(content)}` is not a variable",
        mend: "put the word in quotes if braces are meant",
        from: start,
        to: offset
      )
    }
  }

  static func isVariableName(_ name: String) -> Bool {
    guard let first = name.utf8.first, name.utf8.count <= 256 else { return false }
    return (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(first | 0x20)
      && name.utf8.allSatisfy { byte in
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F: true
        default: false
        }
      }
  }
}
