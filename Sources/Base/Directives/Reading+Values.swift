// The longest statement that is written out whole as its own mend.
private let mendCharacters = 100

extension Reading {
  /// Reads a word as a value, and notes what is wrong with it.
  ///
  /// - Parameters:
  ///   - word: The word.
  ///   - kind: What it is read as.
  ///   - statement: The directive it stands in, which the mend writes out.
  ///   - example: What the mend shows where the error has no better one.
  /// - Returns: The value, or nil after an error.
  public mutating func value<Value>(
    of word: Word,
    _ kind: ValueKind<Value>,
    in statement: Statement,
    example: String? = nil
  ) -> Value? {
    guard let text = plainText(of: word, in: statement, example: example) else { return nil }
    do throws(ValueError) {
      return try kind.read(text)
    } catch {
      report(error, word, in: statement, example: example)
      return nil
    }
  }

  /// The text of a word in which no variable may stand; notes one that does.
  public mutating func plainText(
    of word: Word,
    in statement: Statement,
    example: String? = nil
  ) -> String? {
    guard let (name, range) = word.firstVariable else { return word.text }
    error(
      "`{\(name)}` is known for a request only, it cannot stand here",
      mend: example.map { "for example `\($0)`" },
      at: range
    )
    return nil
  }

  /// Notes what is wrong with a word, and how its directive is written instead.
  public mutating func report(
    _ wrong: ValueError,
    _ word: Word,
    in statement: Statement,
    example: String? = nil
  ) {
    let mend =
      wrong.mend.map { self.mend(statement, replacing: word, with: $0) }
      ?? example.map { "for example `\($0)`" }
    error(wrong.problem, mend: mend, at: word.range)
  }

  /// Says how a directive is written with another word in place of one.
  public func mend(_ statement: Statement, replacing word: Word, with text: String) -> String {
    let words = ([statement.name] + statement.arguments).map { other in
      other.range == word.range ? Self.written(text, like: word) : raw(other.range)
    }.filter { !$0.isEmpty }
    let whole = words.joined(separator: " ") + (statement.block == nil ? "" : " { … }")
    guard whole.count <= mendCharacters, !whole.contains("\n") else {
      return "write `\(Self.written(text, like: word))`"
    }
    return "write `\(whole)`"
  }

  private static func written(_ text: String, like word: Word) -> String {
    word.isQuoted && !text.hasPrefix("\"") ? "\"\(text)\"" : text
  }

  /// The one word behind a name; notes when there is none or more.
  public mutating func onlyWord(of statement: Statement, example: String) -> Word? {
    guard let word = statement.arguments.first else {
      lacksValue(statement, example: example)
      return nil
    }
    if statement.arguments.count > 1 {
      let extra = statement.arguments[1]
      error(
        "`\(statement.title)` has one value, `\(raw(extra.range))` is a second one",
        mend: "for example `\(example)`",
        at: extra.range
      )
      return nil
    }
    return word
  }

  /// The two words behind a name, a further name and its value; notes when there are fewer or more.
  public mutating func nameAndValue(
    of statement: Statement,
    example: String
  ) -> (name: Word, value: Word)? {
    guard statement.arguments.count == 2 else {
      error(
        "`\(statement.title)` needs a name and a value",
        mend: "for example `\(example)`",
        at: statement.range
      )
      return nil
    }
    return (statement.arguments[0], statement.arguments[1])
  }

  /// Notes that a directive has too few words.
  public mutating func lacksValue(_ statement: Statement, example: String) {
    error(
      "`\(statement.title)` needs a value",
      mend: "for example `\(example)`",
      at: statement.range
    )
  }

  /// Notes words behind the last one that means something.
  public mutating func refuseWords(of statement: Statement, from index: Int, example: String) {
    guard statement.arguments.count > index else { return }
    let extra = statement.arguments[index]
    error(
      "`\(raw(extra.range))` is one word too many for `\(statement.title)`",
      mend: "for example `\(example)`",
      at: extra.range
    )
  }

  /// Notes a block where none may stand.
  mutating func refuseBlock(of statement: Statement, example: String) {
    guard let block = statement.block else { return }
    error(
      "`\(statement.title)` has no block",
      mend: "for example `\(example)`",
      at: block.first?.range ?? statement.range
    )
  }
}
