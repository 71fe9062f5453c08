/// How one word becomes a value, and a value a word.
public struct ValueKind<Value: Sendable>: Sendable {
  /// What the manual calls it, in capitals: `DURATION`.
  public var form: String
  /// Which values are allowed, as a phrase: `1s to 60s`; nil where all are.
  public var bounds: String?
  /// The words to choose from, where there are few.
  public var words: [String]
  /// Reads a word.
  public var read: @Sendable (String) throws(ValueError) -> Value
  /// Writes a value so that it can be read again.
  public var write: @Sendable (Value) -> String
  /// Writes a value for programs; a text may hold a secret.
  public var json: @Sendable (Value, Mask) -> JSONValue

  /// Creates a kind; without `json` its values are texts for programs too.
  public init(
    _ form: String,
    bounds: String? = nil,
    words: [String] = [],
    read: @escaping @Sendable (String) throws(ValueError) -> Value,
    write: @escaping @Sendable (Value) -> String,
    json: (@Sendable (Value, Mask) -> JSONValue)? = nil
  ) {
    self.form = form
    self.bounds = bounds
    self.words = words
    self.read = read
    self.write = write
    self.json = json ?? { value, mask in .text(mask.shown(write(value))) }
  }

  /// Another kind with a word for "none".
  public static func optional<Wrapped>(
    _ kind: ValueKind<Wrapped>,
    none word: String
  ) -> ValueKind where Value == Wrapped? {
    ValueKind(
      "\(kind.form)|\(word)",
      bounds: kind.bounds.map { "\($0), or \(word)" },
      words: kind.words + [word],
      read: { text throws(ValueError) in text == word ? nil : try kind.read(text) },
      write: { value in value.map(kind.write) ?? word },
      json: { value, mask in value.map { kind.json($0, mask) } ?? .null }
    )
  }

  /// Another kind for a setting that may be unset; no word unsets it.
  public static func given<Wrapped>(
    _ kind: ValueKind<Wrapped>
  ) -> ValueKind where Value == Wrapped? {
    ValueKind(
      kind.form,
      bounds: kind.bounds,
      words: kind.words,
      read: { text throws(ValueError) in try kind.read(text) },
      write: { value in value.map(kind.write) ?? "" },
      json: { value, mask in value.map { kind.json($0, mask) } ?? .null }
    )
  }
}

/// One of several words.
extension ValueKind where Value: Equatable {
  /// A value that each has its word.
  public static func choice(_ choices: [(word: String, value: Value)]) -> ValueKind {
    let words = choices.map(\.word)
    return ValueKind(
      words.joined(separator: "|"),
      words: words,
      read: { text throws(ValueError) in
        if let choice = choices.first(where: { $0.word == text }) { return choice.value }
        throw ValueError(
          "`\(text)` is none of " + words.joined(separator: ", "),
          mend: nearestName(to: text, among: words) ?? words.first
        )
      },
      write: { value in choices.first { $0.value == value }?.word ?? "" },
      json: { value, _ in .text(choices.first { $0.value == value }?.word ?? "") }
    )
  }
}

extension ValueKind where Value: RawRepresentable, Value.RawValue == String, Value: CaseIterable {
  /// A value whose word is its raw value.
  public static var choice: ValueKind {
    let words = Value.allCases.map(\.rawValue)
    return ValueKind(
      words.joined(separator: "|"),
      words: words,
      read: { text throws(ValueError) in
        if let value = Value(rawValue: text) { return value }
        throw ValueError(
          "`\(text)` is none of " + words.joined(separator: ", "),
          mend: nearestName(to: text, among: words) ?? words.first
        )
      },
      write: { $0.rawValue },
      json: { value, _ in .text(value.rawValue) }
    )
  }
}

extension ValueKind where Value == Bool {
  /// `on` or `off`.
  public static var flag: ValueKind {
    ValueKind(
      "on|off",
      words: ["on", "off"],
      read: { text throws(ValueError) in
        switch text {
        case "on": return true
        case "off": return false
        case "true", "yes", "1":
          throw ValueError("`\(text)` is neither on nor off", mend: "on")
        default:
          throw ValueError("`\(text)` is neither on nor off", mend: "off")
        }
      },
      write: { $0 ? "on" : "off" },
      json: { value, _ in .flag(value) }
    )
  }
}

extension ValueKind where Value == Address {
  /// An address with a port, or a Unix socket.
  public static var address: ValueKind {
    ValueKind(
      "ADDRESS",
      read: { text throws(ValueError) in try Address(text) },
      write: { $0.description }
    )
  }
}

extension ValueKind where Value == Network {
  /// An address, or a network of addresses.
  public static var network: ValueKind {
    ValueKind(
      "NETWORK",
      read: { text throws(ValueError) in
        if let network = Network(text) { return network }
        let parts = text.split(separator: "/", maxSplits: 1)
        guard let address = parts.first.flatMap({ IPAddress($0) }) else {
          throw ValueError("`\(text)` is not a network", mend: "10.0.0.0/8")
        }
        guard parts.count == 2, let bits = Int(parts[1]),
          let whole = Network(address, keepingBits: bits)
        else { throw ValueError("`\(text)` has no such number of bits", mend: "\(address)") }
        throw ValueError("`\(text)` has bits behind the first \(bits)", mend: "\(whole)")
      },
      write: { $0.description }
    )
  }
}

extension ValueKind where Value == String {
  /// Any text of at most so many bytes, not empty.
  public static func text(_ form: String, maxBytes: Int = 1024) -> ValueKind {
    ValueKind(
      form,
      read: { text throws(ValueError) in
        guard !text.isEmpty else { throw ValueError("the text is empty") }
        guard text.utf8.count <= maxBytes else {
          throw ValueError("the text has \(text.utf8.count) bytes, at most \(maxBytes) are allowed")
        }
        guard text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
          throw ValueError("the text has a line end or a control character")
        }
        return text
      },
      write: { $0 }
    )
  }
}
