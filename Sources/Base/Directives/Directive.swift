/// Whether a directive may stand without its block.
public enum BlockNeed: Sendable {
  /// It may not.
  case required
  /// It may: nothing is said in it then.
  case optional
}

/// One row of a table: a directive of the settings `Settings`.
///
/// The row is the one place that knows its name, type, bounds, default, sentence and example; the
/// reader, its errors, the manual and the effective configuration come from it.
public struct Directive<Settings: Sendable>: Sendable {
  /// Its name.
  public let name: String
  /// The words behind the name, as the manual shows them: `ADDRESS [backlog NUMBER]`.
  public let form: String
  /// What it does, as a sentence.
  public let sentence: String
  /// One line, or a block of several, that can stand in a file.
  public let example: String
  /// Which values are allowed, as a phrase, or nil.
  public let bounds: String?
  /// Whether it may stand several times.
  public let repeats: Bool
  /// The table of its block; nil when it has none.
  public let block: (@Sendable () -> [BlockReference])?
  /// The words that may follow the name.
  public let words: [String]

  /// The default as it would be written; nil when there is none.
  let defaultText: @Sendable (Settings) -> String?
  let read: @Sendable (Statement, inout Settings, inout Reading) -> Void
  let show: (@Sendable (Settings, Mask) -> JSONValue?)?

  /// Creates a row that reads its statement itself.
  ///
  /// `defaultText` says what is in force where the directive is missing. `read` reads the statement
  /// into the settings and notes what is wrong. `show` gives the value in force for programs; it is
  /// nil for a directive that another row shows, and gives nil where there is nothing to show.
  public init(
    _ name: String,
    form: String,
    bounds: String? = nil,
    repeats: Bool = false,
    words: [String] = [],
    defaultText: String? = nil,
    _ sentence: String,
    example: String,
    read: @escaping @Sendable (Statement, inout Settings, inout Reading) -> Void,
    show: (@Sendable (Settings, Mask) -> JSONValue?)?
  ) {
    self.name = name
    self.form = form
    self.bounds = bounds
    self.repeats = repeats
    self.words = words
    self.sentence = sentence
    self.example = example
    self.defaultText = { _ in defaultText }
    self.read = { statement, settings, reading in
      if let block = statement.block {
        reading.error(
          "`\(name)` has no block",
          mend: "for example `\(example)`",
          at: block.first?.range ?? statement.range
        )
      }
      read(statement, &settings, &reading)
    }
    self.show = show
    block = nil
  }

  private init(
    _ name: String,
    form: String,
    bounds: String?,
    repeats: Bool,
    words: [String],
    sentence: String,
    example: String,
    block: (@Sendable () -> [BlockReference])?,
    defaultText: @escaping @Sendable (Settings) -> String?,
    read: @escaping @Sendable (Statement, inout Settings, inout Reading) -> Void,
    show: (@Sendable (Settings, Mask) -> JSONValue?)?
  ) {
    self.name = name
    self.form = form
    self.bounds = bounds
    self.repeats = repeats
    self.words = words
    self.sentence = sentence
    self.example = example
    self.block = block
    self.defaultText = defaultText
    self.read = read
    self.show = show
  }
}

extension Directive {
  /// A directive with one value; `unset` is what the manual says of a default that has no word.
  public static func value<Value: Sendable>(
    _ name: String,
    _ path: any WritableKeyPath<Settings, Value> & Sendable,
    _ kind: ValueKind<Value>,
    unset: String? = nil,
    _ sentence: String,
    example: String
  ) -> Directive {
    Directive(
      name,
      form: kind.form,
      bounds: kind.bounds,
      repeats: false,
      words: kind.words,
      sentence: sentence,
      example: example,
      block: nil,
      defaultText: { unset ?? kind.write($0[keyPath: path]) },
      read: { statement, settings, reading in
        reading.refuseBlock(of: statement, example: example)
        guard let word = reading.onlyWord(of: statement, example: example),
          let value = reading.value(of: word, kind, in: statement, example: example)
        else { return }
        settings[keyPath: path] = value
      },
      show: { settings, mask in kind.json(settings[keyPath: path], mask) }
    )
  }

  /// A directive with one or more values, which may stand several times and then adds to the list.
  public static func list<Value: Sendable>(
    _ name: String,
    _ path: any WritableKeyPath<Settings, [Value]> & Sendable,
    _ kind: ValueKind<Value>,
    unset: String? = nil,
    _ sentence: String,
    example: String
  ) -> Directive {
    Directive(
      name,
      form: "\(kind.form)…",
      bounds: kind.bounds,
      repeats: true,
      words: kind.words,
      sentence: sentence,
      example: example,
      block: nil,
      defaultText: { _ in unset },
      read: { statement, settings, reading in
        reading.refuseBlock(of: statement, example: example)
        if statement.arguments.isEmpty { reading.lacksValue(statement, example: example) }
        for word in statement.arguments {
          if let value = reading.value(of: word, kind, in: statement, example: example) {
            settings[keyPath: path].append(value)
          }
        }
      },
      show: { settings, mask in .list(settings[keyPath: path].map { kind.json($0, mask) }) }
    )
  }

  /// A directive with a block, which may stand several times.
  ///
  /// `begin` reads the words in front of the block into new settings, and gives nil after an error;
  /// `end` takes what the block said. `show` gives the values in force of all blocks.
  public static func block<Inner: Sendable>(
    _ name: String,
    form: String,
    _ table: DirectiveTable<Inner>,
    need: BlockNeed = .required,
    words: [String] = [],
    _ sentence: String,
    example: String,
    begin: @escaping @Sendable (Statement, inout Reading) -> Inner?,
    end: @escaping @Sendable (Inner, Statement, inout Settings, inout Reading) -> Void,
    show: (@Sendable (Settings, Mask) -> JSONValue?)?
  ) -> Directive {
    Directive(
      name,
      form: "\(form.isEmpty ? "" : "\(form) ")\(need == .required ? "{ … }" : "[{ … }]")",
      bounds: nil,
      repeats: true,
      words: words,
      sentence: sentence,
      example: example,
      block: { table.references },
      defaultText: { _ in nil },
      read: { statement, settings, reading in
        let begun = begin(statement, &reading)
        guard let block = statement.block ?? (need == .optional ? [] : nil) else {
          let short = form.isEmpty ? name : reading.raw(statement.range)
          reading.error(
            "`\(name)` needs a block",
            mend: "write `\(short) { … }`",
            at: statement.range
          )
          return
        }
        // What is wrong in the block is told even when the words in front of it are wrong.
        var inner = begun ?? table.makeDefault()
        table.read(block, into: &inner, &reading)
        if begun != nil { end(inner, statement, &settings, &reading) }
      },
      show: show
    )
  }
}
