extension SourceText {
  /// A text in its usual form, or what keeps it from having one.
  public struct Formatted: Sendable {
    /// The text; nil where it has errors of syntax.
    public var text: String?
    /// The errors, at most ``Diagnostic/maxCount``.
    public var diagnostics: [Diagnostic]
  }

  /// The text in its usual form: four spaces for each block, one between words, one empty line at
  /// most, and the same meaning.
  ///
  /// Words and comments stay as they are. A block on one line stays there if it fits into
  /// 100 columns.
  ///
  /// - Complexity: O(*n*) in the bytes.
  public func formatted() -> Formatted {
    let problems = Parser.read(self, source: 0).problems
    guard problems.isEmpty else {
      let diagnostics = problems.prefix(Diagnostic.maxCount).map { problem in
        Diagnostic(
          .error,
          problem.problem,
          mend: problem.mend,
          place: place(from: problem.range.start, to: problem.range.end)
        )
      }
      return Formatted(text: nil, diagnostics: diagnostics)
    }
    var lexer = Lexer(self, source: 0)
    lexer.run()
    var layout = Layout(source: self, tokens: lexer.tokens)
    let root = layout.block()
    layout.write(root.nodes, depth: 0)
    return Formatted(text: layout.output, diagnostics: [])
  }
}

/// Lays a text out anew that has no errors, so that nothing is checked here.
private struct Layout {
  /// One thing of a block.
  enum Node {
    case blank
    case comment(String)
    case statement(Line)
  }

  /// A directive with what stands on its line.
  struct Line {
    var words: [SourceRange]
    var block: Block?
    var comment: String?
  }

  /// What stands between two braces.
  struct Block {
    var nodes: [Node] = []
    /// The comment behind the opening brace.
    var comment: String?
    /// Whether both braces stand on one line.
    var isInline = true
  }

  static let columns = 100
  static let indent = 4

  let source: SourceText
  let tokens: [Token]
  var index = 0
  var output = ""

  init(source: SourceText, tokens: [Token]) {
    self.source = source
    self.tokens = tokens
  }

  func raw(_ range: SourceRange) -> String { source.text(from: range.start, to: range.end) }

  /// Takes the tokens up to the brace that ends the block.
  mutating func block() -> Block {
    var block = Block()
    var lineEndCount = 0
    while index < tokens.count {
      let token = tokens[index]
      index += 1
      switch token.kind {
      case .lineEnd:
        lineEndCount += 1
        block.isInline = false
        continue
      case .close, .open: return block
      case .comment:
        let text = Self.trimmed(raw(token.range))
        if lineEndCount > 0 || !attach(text, to: &block) {
          if lineEndCount > 1, !block.nodes.isEmpty { block.nodes.append(.blank) }
          block.nodes.append(.comment(text))
        }
      case .word:
        if lineEndCount > 1, !block.nodes.isEmpty { block.nodes.append(.blank) }
        index -= 1
        block.nodes.append(.statement(line()))
      }
      lineEndCount = 0
    }
    return block
  }

  /// Puts a comment behind what stands in front of it on its line.
  private func attach(_ comment: String, to block: inout Block) -> Bool {
    switch block.nodes.last {
    case .statement(var line)?:
      line.comment = comment
      block.nodes[block.nodes.count - 1] = .statement(line)
      return true
    case nil:
      // At the start of the text there is no brace that it could stand behind.
      guard index > 1 else { return false }
      block.comment = comment
      return true
    case .comment?, .blank?: return false
    }
  }

  private mutating func line() -> Line {
    var line = Line(words: [])
    while index < tokens.count {
      switch tokens[index].kind {
      case .word: line.words.append(tokens[index].range)
      case .open:
        index += 1
        line.block = block()
        return line
      case .close, .lineEnd, .comment: return line
      }
      index += 1
    }
    return line
  }

  mutating func write(_ nodes: [Node], depth: Int) {
    let margin = String(repeating: " ", count: depth * Self.indent)
    for node in nodes {
      switch node {
      case .blank: output += "\n"
      case .comment(let text): output += "\(margin)\(text)\n"
      case .statement(let line):
        let words = line.words.map { written($0, depth: depth) }.joined(separator: " ")
        output += margin + words
        if let block = line.block {
          write(block, behind: words, depth: depth)
        }
        if let comment = line.comment { output += "  \(comment)" }
        output += "\n"
      }
    }
  }

  private mutating func write(_ block: Block, behind words: String, depth: Int) {
    if block.nodes.isEmpty, block.comment == nil {
      output += " { }"
      return
    }
    if block.isInline, block.nodes.count == 1, case .statement(let inner)? = block.nodes.first,
      inner.block == nil
    {
      let text = inner.words.map { written($0, depth: depth) }.joined(separator: " ")
      let whole = "\(words) { \(text) }"
      if !whole.contains("\n"), whole.count + depth * Self.indent <= Self.columns {
        output += " { \(text) }"
        return
      }
    }
    output += " {"
    if let comment = block.comment { output += "  \(comment)" }
    output += "\n"
    write(block.nodes, depth: depth + 1)
    output += String(repeating: " ", count: depth * Self.indent) + "}"
  }

  /// A word as it stands; the lines of a long text are moved with their directive.
  private func written(_ range: SourceRange, depth: Int) -> String {
    let text = raw(range)
    guard text.hasPrefix("\"\"\"") else { return text }
    let bytes = Array(text.utf8)
    guard let end = Lexer.longStringEnd(in: bytes, from: 3) else { return text }
    let margin = String(repeating: " ", count: (depth + 1) * Self.indent)
    let old = String(decoding: end.indent, as: UTF8.self)
    var result = "\"\"\"\n"
    let lines = String(decoding: bytes[..<end.lineStart], as: UTF8.self)
      .split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }
    for line in lines.dropFirst().dropLast() {
      let content = line.hasPrefix(old) ? line.dropFirst(old.count) : ""
      result += content.isEmpty ? "\n" : "\(margin)\(content)\n"
    }
    return "\(result)\(margin)\"\"\""
  }

  private static func trimmed(_ comment: String) -> String {
    var comment = comment
    while let last = comment.last, last == " " || last == "\t" { comment.removeLast() }
    return comment
  }
}
