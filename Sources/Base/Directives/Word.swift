/// One word of a directive: a bare word or a quoted string.
public struct Word: Hashable, Sendable {
  /// What a word is made of.
  public enum Piece: Hashable, Sendable {
    /// These characters, escapes resolved.
    case text(String)
    /// A name in braces, as `{client.address}`; what it means is up to the directive.
    case variable(String, SourceRange)
    /// A value from elsewhere, as `{env TOKEN}` or `{file token.txt}`, before it is known.
    case foreign(ForeignValue, SourceRange)
    /// The same when it is known; never shown to anybody.
    case secret(String)
  }

  /// What it is made of; none for an empty string.
  public var pieces: [Piece]
  /// Whether it stands in quotes.
  public var isQuoted: Bool
  /// Where it stands, quotes included.
  public var range: SourceRange

  /// The characters of a word that is known as a whole; nil when it has variables.
  public var text: String? {
    var text = ""
    for piece in pieces {
      switch piece {
      case .text(let part), .secret(let part): text += part
      case .variable, .foreign: return nil
      }
    }
    return text
  }

  /// The first variable in it, or nil.
  public var firstVariable: (name: String, range: SourceRange)? {
    for piece in pieces {
      if case .variable(let name, let range) = piece { return (name, range) }
    }
    return nil
  }

  mutating func append(_ text: String) {
    guard !text.isEmpty else { return }
    if case .text(let before)? = pieces.last {
      pieces[pieces.count - 1] = .text(before + text)
    } else {
      pieces.append(.text(text))
    }
  }
}

/// Where a value that does not stand in the configuration comes from.
public enum ForeignValue: Hashable, Sendable {
  /// The variable of the environment of this name.
  case environment(String)
  /// The content of the file of this path, without the line end at its end.
  case file(String)

  /// Reads what stands between the braces; nil where it is something else.
  init?(_ content: Substring) {
    let parts = content.split(separator: " ", maxSplits: 1)
    guard parts.count == 2 else { return nil }
    let argument = String(parts[1].drop { $0 == " " })
    guard !argument.isEmpty, !argument.hasSuffix(" ") else { return nil }
    switch parts[0] {
    case "env": self = .environment(argument)
    case "file": self = .file(argument)
    default: return nil
    }
  }
}

/// One piece of a text, comments and line ends included.
struct Token: Sendable {
  enum Kind: Sendable {
    case word(Word)
    case open
    case close
    case lineEnd
    case comment
  }

  var kind: Kind
  var range: SourceRange
}

/// What a lexer or a parser found wrong, before it has a place for people.
struct SyntaxProblem: Sendable {
  var problem: String
  var mend: String?
  var range: SourceRange
}
