/// A word that may follow the value of a directive, as `weight 2` or `backup`.
public struct WordOption<Settings>: Sendable {
  /// The word.
  public let name: String

  let kindForm: String?
  /// Whether further values may follow the first one, up to the next option.
  var takesSeveral = false
  let read: @Sendable (Word?, Statement, String, inout Settings, inout Reading) -> Void

  /// A word with a value behind it.
  public static func value<Value: Sendable>(
    _ name: String,
    _ path: any WritableKeyPath<Settings, Value> & Sendable,
    _ kind: ValueKind<Value>
  ) -> WordOption {
    WordOption(
      name: name,
      kindForm: kind.form,
      read: { word, statement, example, settings, reading in
        guard let word,
          let value = reading.value(of: word, kind, in: statement, example: example)
        else { return }
        settings[keyPath: path] = value
      }
    )
  }

  /// A word with one or more values behind it, up to the next option.
  public static func list<Value: Sendable>(
    _ name: String,
    _ path: any WritableKeyPath<Settings, [Value]> & Sendable,
    _ kind: ValueKind<Value>
  ) -> WordOption {
    WordOption(
      name: name,
      kindForm: kind.form + "…",
      takesSeveral: true,
      read: { word, statement, example, settings, reading in
        guard let word,
          let value = reading.value(of: word, kind, in: statement, example: example)
        else { return }
        settings[keyPath: path].append(value)
      }
    )
  }

  /// A word that says something by itself.
  public static func mark(
    _ name: String,
    _ path: any WritableKeyPath<Settings, Bool> & Sendable
  ) -> WordOption {
    WordOption(
      name: name,
      kindForm: nil,
      read: { _, _, _, settings, _ in settings[keyPath: path] = true }
    )
  }

  /// A word with a value behind it that is read in a way of its own.
  public static func custom(
    _ name: String,
    form: String,
    read: @escaping @Sendable (Word, Statement, inout Settings, inout Reading) -> Void
  ) -> WordOption {
    WordOption(
      name: name,
      kindForm: form,
      read: { word, statement, _, settings, reading in
        if let word { read(word, statement, &settings, &reading) }
      }
    )
  }

  /// The same word for settings that have these as a part of them.
  public func within<Whole>(
    _ path: any WritableKeyPath<Whole, Settings> & Sendable
  ) -> WordOption<Whole> {
    WordOption<Whole>(
      name: name,
      kindForm: kindForm,
      takesSeveral: takesSeveral,
      read: { [read] word, statement, example, settings, reading in
        read(word, statement, example, &settings[keyPath: path], &reading)
      }
    )
  }

  /// How the manual shows it: `[weight NUMBER]`.
  public var form: String { "[\(name)\(kindForm.map { " \($0)" } ?? "")]" }
}

extension Reading {
  /// Reads the options of a directive from its word at `index` on.
  public mutating func options<Settings>(
    of statement: Statement,
    from index: Int,
    _ options: [WordOption<Settings>],
    into settings: inout Settings,
    example: String
  ) {
    var words = statement.arguments.dropFirst(index)
    var seen: Set<String> = []
    while let word = words.popFirst() {
      let text = word.text ?? raw(word.range)
      guard let option = options.first(where: { $0.name == text }) else {
        let near = nearestName(to: text, among: options.map(\.name))
        error(
          "`\(statement.title)` has no option `\(text)`",
          mend: near.map { mend(statement, replacing: word, with: $0) }
            ?? "there are " + options.map(\.form).joined(separator: " "),
          at: word.range
        )
        // What follows may be its value: one error is enough.
        if let next = words.first?.text, !options.contains(where: { $0.name == next }) {
          words.removeFirst()
        }
        continue
      }
      if !seen.insert(text).inserted {
        error("`\(text)` stands twice", mend: "remove one of them", at: word.range)
      }
      guard option.kindForm != nil else {
        option.read(nil, statement, example, &settings, &self)
        continue
      }
      guard let value = words.popFirst() else {
        error("`\(text)` needs a value", mend: "for example `\(example)`", at: word.range)
        return
      }
      option.read(value, statement, example, &settings, &self)
      while option.takesSeveral, let next = words.first {
        let isOption = options.contains { $0.name == (next.text ?? raw(next.range)) }
        if isOption { break }
        words.removeFirst()
        option.read(next, statement, example, &settings, &self)
      }
    }
  }
}
