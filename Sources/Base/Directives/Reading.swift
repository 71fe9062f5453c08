/// One reading of a configuration: its texts, and everything found wrong with them.
public struct Reading: Sendable {
  /// The texts read so far, the main one first.
  public private(set) var sources: [SourceText] = []
  /// What was found, errors and warnings, at most ``Diagnostic/maxCount``.
  public private(set) var diagnostics: [Diagnostic] = []
  /// How many were found besides.
  public private(set) var omittedCount = 0
  /// Whether an error was found.
  public private(set) var hasErrors = false
  /// What may be shown of values.
  public private(set) var mask = Mask()
  /// The blocks that have a directive, by the directive's name, to tell where a misplaced one goes.
  public var homes: [String: [String]] = [:]

  /// What words of other products are called here, by the word, or by `BLOCK/WORD`.
  public var synonyms: [String: String] = [:]

  private let bundle: SourceBundle
  // A text that includes itself is stopped by depth; this stops what would double at each level.
  private static let sourceCount = 2 * SourceBundle.maxFileCount

  /// Creates a reading of a bundle.
  public init(_ bundle: SourceBundle) {
    self.bundle = bundle
  }

  /// Reads the main text: included files are put in place, values from elsewhere are known.
  public mutating func statements() -> [Statement] {
    statements(of: bundle.main, includedAt: nil, stack: [])
  }

  /// Notes something wrong.
  public mutating func note(_ diagnostic: Diagnostic) {
    hasErrors = hasErrors || diagnostic.severity == .error
    guard diagnostics.count < Diagnostic.maxCount else { return omittedCount += 1 }
    var shown = diagnostic
    shown.problem = mask.shown(diagnostic.problem)
    shown.mend = diagnostic.mend.map(mask.shown)
    diagnostics.append(shown)
  }

  /// Notes an error at a place.
  public mutating func error(
    _ problem: String,
    mend: String? = nil,
    at range: SourceRange?,
    notes: [Diagnostic.Note] = []
  ) {
    note(Diagnostic(.error, problem, mend: mend, place: range.map(place), notes: notes))
  }

  /// Notes a warning at a place.
  public mutating func warning(
    _ problem: String,
    mend: String? = nil,
    at range: SourceRange?,
    notes: [Diagnostic.Note] = []
  ) {
    note(Diagnostic(.warning, problem, mend: mend, place: range.map(place), notes: notes))
  }

  /// The place of a range for people.
  public func place(_ range: SourceRange) -> Place {
    sources[range.source].place(from: range.start, to: range.end)
  }

  /// What stands in a range, as written.
  public func raw(_ range: SourceRange) -> String {
    sources[range.source].text(from: range.start, to: range.end)
  }
}

// What puts files and values in their places.
extension Reading {
  private mutating func statements(
    of name: String,
    includedAt range: SourceRange?,
    stack: [String]
  ) -> [Statement] {
    guard case .bytes(let bytes)? = bundle.files[name] else {
      var reason = "is not at hand"
      if case .missing(let known)? = bundle.files[name] { reason = known }
      error("cannot read `\(name)`: \(reason)", at: range)
      return []
    }
    guard sources.count < Self.sourceCount else {
      error("at most \(Self.sourceCount) files are included", at: range)
      return []
    }
    let text = SourceText(name: name, bytes: bytes)
    sources.append(text)
    let (statements, problems) = Parser.read(text, source: sources.count - 1)
    for problem in problems {
      error(problem.problem, mend: problem.mend, at: problem.range)
    }
    return placed(statements, in: name, stack: stack + [name])
  }

  private mutating func placed(
    _ statements: [Statement],
    in file: String,
    stack: [String]
  ) -> [Statement] {
    var result: [Statement] = []
    for var statement in statements {
      if statement.title == "include" {
        result += included(by: statement, in: file, stack: stack)
        continue
      }
      for index in statement.arguments.indices {
        resolve(&statement.arguments[index], in: file)
      }
      if let block = statement.block {
        statement.block = placed(block, in: file, stack: stack)
      }
      result.append(statement)
    }
    return result
  }

  private mutating func included(
    by statement: Statement,
    in file: String,
    stack: [String]
  ) -> [Statement] {
    guard statement.arguments.count == 1, statement.block == nil,
      let written = statement.arguments[0].text, !written.isEmpty
    else {
      error("`include` takes one path", mend: "write `include sites/*.conf`", at: statement.range)
      return []
    }
    let range = statement.arguments[0].range
    guard stack.count < SourceBundle.maxDepth else {
      error("files include each other at most \(SourceBundle.maxDepth) deep", at: range)
      return []
    }
    let path = SourceBundle.path(written, from: file)
    let paths = SourceBundle.isPattern(path) ? bundle.lists[path] ?? [] : [path]
    var result: [Statement] = []
    for path in paths {
      if stack.contains(path) {
        error("`\(path)` includes itself", at: range)
      } else {
        result += statements(of: path, includedAt: range, stack: stack)
      }
    }
    return result
  }

  /// A file that a directive names.
  public struct NamedFile: Sendable {
    /// Its path, as it is from `/`, else beside the file that names it.
    public var path: String
    /// What is in it; nil where the bundle was made of a text alone.
    public var bytes: [UInt8]?
  }

  /// The file that a word names; notes one that cannot be read.
  public mutating func file(
    of word: Word,
    in statement: Statement,
    example: String
  ) -> NamedFile? {
    guard let written = plainText(of: word, in: statement, example: example) else { return nil }
    guard !written.isEmpty else {
      lacksValue(statement, example: example)
      return nil
    }
    let path = SourceBundle.path(written, from: sources[word.range.source].name)
    switch bundle.files[path] {
    case .bytes(let bytes)?: return NamedFile(path: path, bytes: bytes)
    case nil: return NamedFile(path: path, bytes: nil)
    case .missing(let reason)?:
      error(
        "cannot read `\(path)`: \(reason)",
        mend: "name a file that is there and can be read, for example `\(example)`",
        at: word.range
      )
      return nil
    }
  }

  /// Hides a text that a directive takes for a secret, wherever it stands.
  public mutating func hide(_ secret: String) { mask.hide(secret) }

  private mutating func resolve(_ word: inout Word, in file: String) {
    for index in word.pieces.indices {
      guard case .foreign(let value, let range) = word.pieces[index] else { continue }
      switch value {
      case .environment(let name):
        if let known = bundle.environment[name], let text = known {
          word.pieces[index] = .secret(text)
          mask.hide(text)
        } else {
          error(
            "the environment has no variable `\(name)`",
            mend: "set it where martlet is started: `\(name)=…`",
            at: range
          )
        }
      case .file(let written):
        let path = SourceBundle.path(written, from: file)
        switch bundle.files[path] {
        case .bytes(let bytes)?:
          guard var text = String(validating: bytes, as: UTF8.self) else {
            error("`\(path)` is not UTF-8", at: range)
            continue
          }
          if text.utf8.last == UInt8(ascii: "\n") { text.unicodeScalars.removeLast() }
          if text.utf8.last == UInt8(ascii: "\r") { text.unicodeScalars.removeLast() }
          word.pieces[index] = .secret(text)
          mask.hide(text)
        case .missing(let reason)?: error("cannot read `\(path)`: \(reason)", at: range)
        case nil: error("cannot read `\(path)`: is not at hand", at: range)
        }
      }
    }
  }
}

/// What may be shown of values: all but those that came from elsewhere.
public struct Mask: Sendable {
  private var secrets: [String] = []

  /// Creates a mask that hides nothing.
  public init() {}

  /// Hides a text from now on, wherever it stands.
  public mutating func hide(_ secret: String) {
    guard !secret.isEmpty, !secrets.contains(secret) else { return }
    secrets.append(secret)
    // A secret may hold another one: the longest goes first.
    secrets.sort { ($0.utf8.count, $0) > ($1.utf8.count, $1) }
  }

  /// The text with `***` in place of each secret.
  ///
  /// - Complexity: O(*n* · *m*) in the text and in the secrets.
  public func shown(_ text: String) -> String {
    var text = text
    for secret in secrets where text.contains(secret) {
      text = text.split(separator: secret, omittingEmptySubsequences: false)
        .joined(separator: "***")
    }
    return text
  }
}
