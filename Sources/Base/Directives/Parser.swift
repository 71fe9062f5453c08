/// One directive with its words, and its block where it has one.
public struct Statement: Hashable, Sendable {
  /// The directive's name.
  public var name: Word
  /// The words behind it.
  public var arguments: [Word]
  /// The directives between its braces; nil where it has no braces.
  public var block: [Statement]?
  /// From its opening brace to its closing one; nil where it has no braces.
  public var blockRange: SourceRange?
  /// From its name to its last word; the block does not belong to it.
  public var range: SourceRange

  /// The name as text; empty for a name that is made of variables.
  public var title: String { name.text ?? "" }
}

/// Puts words together to directives and blocks.
struct Parser {
  /// How deep blocks may stand in each other.
  static let depth = 16
  /// The most words of one directive.
  static let wordCount = 4096

  let tokens: [Token]
  var index = 0
  var problems: [SyntaxProblem]

  /// Reads a text.
  ///
  /// - Returns: What could be read, and everything that is wrong with the rest.
  static func read(
    _ text: SourceText,
    source: Int
  ) -> (statements: [Statement], problems: [SyntaxProblem]) {
    var lexer = Lexer(text, source: source)
    lexer.run()
    var parser = Parser(tokens: lexer.tokens, problems: lexer.problems)
    let statements = parser.block(openedAt: nil, depth: 0)
    let problems = parser.problems.sorted { $0.range.start < $1.range.start }
    return (statements, problems)
  }

  private mutating func report(_ problem: String, mend: String? = nil, _ range: SourceRange) {
    guard problems.count < Lexer.problemCount * 2 else { return }
    problems.append(SyntaxProblem(problem: problem, mend: mend, range: range))
  }

  /// Reads directives up to the brace that ends the block, or the end of the text.
  private mutating func block(openedAt opening: SourceRange?, depth: Int) -> [Statement] {
    var statements: [Statement] = []
    while index < tokens.count {
      let token = tokens[index]
      switch token.kind {
      case .lineEnd, .comment: index += 1
      case .close:
        index += 1
        if opening != nil { return statements }
        report("this brace closes nothing", mend: "remove it", token.range)
      case .open: strayBlock(&statements, depth: depth)
      case .word(let name): statements.append(statement(name, depth: depth))
      }
    }
    if let opening {
      report("the block has no end", mend: "write `}` behind its last directive", opening)
    }
    return statements
  }

  /// Reads a block whose brace begins a line.
  private mutating func strayBlock(_ statements: inout [Statement], depth: Int) {
    let opening = tokens[index].range
    index += 1
    if let last = statements.indices.last, statements[last].block == nil {
      report(
        "the brace of a block stands on the line of its directive",
        mend: "move it to the end of the line above",
        opening
      )
      statements[last].block = nested(openedAt: opening, depth: depth)
    } else {
      report(
        "the block belongs to no directive",
        mend: "write the directive before the brace",
        opening
      )
      _ = nested(openedAt: opening, depth: depth)
    }
  }

  private mutating func nested(openedAt opening: SourceRange, depth: Int) -> [Statement] {
    guard depth < Self.depth else {
      report("blocks stand at most \(Self.depth) deep in each other", opening)
      skipBlock()
      return []
    }
    return block(openedAt: opening, depth: depth + 1)
  }

  private mutating func skipBlock() {
    var open = 1
    while index < tokens.count, open > 0 {
      switch tokens[index].kind {
      case .open: open += 1
      case .close: open -= 1
      default: break
      }
      index += 1
    }
  }

  private mutating func statement(_ name: Word, depth: Int) -> Statement {
    var statement = Statement(
      name: name,
      arguments: [],
      block: nil,
      blockRange: nil,
      range: name.range
    )
    index += 1
    while index < tokens.count {
      let token = tokens[index]
      switch token.kind {
      case .word(let word):
        index += 1
        if let block = statement.block {
          // A directive behind a block: read on, so that nothing is lost.
          report("one directive a line", mend: "begin a new line", word.range)
          statement.block = block
          index -= 1
          return statement
        }
        if statement.arguments.count == Self.wordCount {
          report("a directive has at most \(Self.wordCount) words", word.range)
        }
        guard statement.arguments.count < Self.wordCount else { continue }
        statement.arguments.append(word)
        statement.range = statement.range.through(word.range)
      case .open:
        guard statement.block == nil else {
          report("a directive has one block", mend: "begin a new line", token.range)
          index += 1
          _ = nested(openedAt: token.range, depth: depth)
          continue
        }
        index += 1
        statement.block = nested(openedAt: token.range, depth: depth)
        statement.blockRange = token.range.through(tokens[index - 1].range)
      case .close, .lineEnd: return statement
      case .comment: index += 1
      }
    }
    return statement
  }
}
