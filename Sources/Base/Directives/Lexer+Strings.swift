extension Lexer {
  /// Takes a quoted string, on one line or on several.
  mutating func string() {
    if peek(1) == UInt8(ascii: "\""), peek(2) == UInt8(ascii: "\"") {
      longString()
    } else {
      shortString()
    }
    guard !isSpace(0), peek() != UInt8(ascii: "}"), case .word? = tokens.last?.kind else { return }
    report(
      "a space is missing behind the string",
      mend: "write a space, or `\\\"` for a quote in the string",
      from: offset,
      to: offset + 1
    )
  }

  private mutating func shortString() {
    let start = offset
    offset += 1
    var word = Word(pieces: [], isQuoted: true, range: range(from: start, to: start))
    while !isLineEnd(0) {
      if peek() == UInt8(ascii: "\"") {
        offset += 1
        word.range = range(from: start, to: offset)
        tokens.append(Token(kind: .word(word), range: word.range))
        return
      }
      character(&word)
    }
    report(
      "the string has no end on this line",
      mend: "write `\"` at its end, or `\"\"\"` around a text of several lines",
      from: start,
      to: start + 1
    )
    word.range = range(from: start, to: offset)
    tokens.append(Token(kind: .word(word), range: word.range))
  }

  /// Takes one character, escape or variable of a string.
  private mutating func character(_ word: inout Word) {
    switch peek() {
    case UInt8(ascii: "\\"): escape(&word)
    case UInt8(ascii: "{"):
      guard let end = variableEnd() else { return literal(&word) }
      let content = string(from: offset + 1, to: end)
      let place = range(from: offset, to: end + 1)
      // Other braces are text: pages have styles and scripts.
      if let value = ForeignValue(content[...]) {
        word.pieces.append(.foreign(value, place))
      } else if Self.isVariableName(content) {
        word.pieces.append(.variable(content, place))
      } else {
        return literal(&word)
      }
      offset = end + 1
    default: literal(&word)
    }
  }

  /// Takes the characters up to the next that may mean something.
  private mutating func literal(_ word: inout Word) {
    let start = offset
    offset += 1
    while !isLineEnd(0) {
      switch peek() {
      case UInt8(ascii: "\\"), UInt8(ascii: "{"), UInt8(ascii: "\""):
        return word.append(string(from: start, to: offset))
      default: offset += 1
      }
    }
    word.append(string(from: start, to: offset))
  }

  private mutating func escape(_ word: inout Word) {
    let start = offset
    offset += 2
    switch bytes.indices.contains(start + 1) ? bytes[start + 1] : 0 {
    case UInt8(ascii: "\""): word.append("\"")
    case UInt8(ascii: "\\"): word.append("\\")
    case UInt8(ascii: "{"): word.append("{")
    case UInt8(ascii: "}"): word.append("}")
    case UInt8(ascii: "n"): word.append("\n")
    case UInt8(ascii: "r"): word.append("\r")
    case UInt8(ascii: "t"): word.append("\t")
    case UInt8(ascii: "u"):
      let digits = bytes[offset...].dropFirst().prefix(7).prefix { $0 != UInt8(ascii: "}") }
      let end = offset + digits.count + 1
      if peek() == UInt8(ascii: "{"), end < bytes.count, bytes[end] == UInt8(ascii: "}"),
        let number = UInt32(String(decoding: digits, as: UTF8.self), radix: 16),
        let scalar = Unicode.Scalar(number)
      {
        offset = end + 1
        word.append(String(Character(scalar)))
      } else {
        report("a character by number is written so", mend: "`\\u{20AC}`", from: start, to: offset)
      }
    default:
      offset = start + 1
      report(
        "no such escape",
        mend: "write `\\\\` for a backslash; there are \\\" \\\\ \\n \\r \\t \\{ \\} \\u{…}",
        from: start,
        to: start + 2
      )
      // At the end of a line nothing follows the backslash that could be taken.
      if !isLineEnd(0) { literal(&word) }
    }
  }

  /// Takes a string of several lines, without the indentation of its last line.
  private mutating func longString() {
    let start = offset
    offset += 3
    var word = Word(pieces: [], isQuoted: true, range: range(from: start, to: offset))
    if !isLineEnd(0) {
      report("a text of several lines begins on the next line", from: offset, to: offset + 1)
    }
    guard let end = Self.longStringEnd(in: bytes, from: offset) else {
      report(
        "the text has no end",
        mend: "write `\"\"\"` on a line of its own",
        from: start,
        to: offset
      )
      offset = bytes.count
      tokens.append(Token(kind: .word(word), range: word.range))
      return
    }
    skipLine()
    var isFirst = true
    while offset < end.lineStart {
      if !isFirst { word.append("\n") }
      isFirst = false
      longLine(indent: end.indent, &word)
    }
    offset = end.lineStart + end.indent.count + 3
    word.range = range(from: start, to: offset)
    tokens.append(Token(kind: .word(word), range: word.range))
  }

  private mutating func longLine(indent: ArraySlice<UInt8>, _ word: inout Word) {
    let lineStart = offset
    if bytes[offset...].starts(with: indent) {
      offset += indent.count
    } else {
      while !isLineEnd(0), isSpace(0) { offset += 1 }
      if !isLineEnd(0) {
        report(
          "the line is indented less than the end of the text",
          mend: "indent it like the `\"\"\"` that ends the text",
          from: lineStart,
          to: offset + 1
        )
      }
    }
    while !isLineEnd(0) {
      if peek() == UInt8(ascii: "\"") {
        offset += 1
        word.append("\"")
      } else {
        character(&word)
      }
    }
    skipLine()
  }

  private mutating func skipLine() {
    while !isLineEnd(0) { offset += 1 }
    if peek() == UInt8(ascii: "\r") { offset += 1 }
    offset = min(offset + 1, bytes.count)
  }

  /// The line that begins with `"""`, white space aside; nil if there is none.
  static func longStringEnd(
    in bytes: [UInt8],
    from start: Int
  ) -> (lineStart: Int, indent: ArraySlice<UInt8>)? {
    var lineStart = start
    while let lineEnd = bytes[lineStart...].firstIndex(of: UInt8(ascii: "\n")) {
      lineStart = lineEnd + 1
      let indent = bytes[lineStart...].prefix {
        $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t")
      }
      if bytes[indent.endIndex...].starts(with: Array("\"\"\"".utf8)) {
        return (lineStart, indent)
      }
    }
    return nil
  }
}
