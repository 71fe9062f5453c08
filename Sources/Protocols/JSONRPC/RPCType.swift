public import JSON

/// Which values a parameter takes, or a result has.
public indirect enum RPCType: Hashable, Sendable {
  /// True or false.
  case flag
  /// A whole number within bounds.
  case number(ClosedRange<Int>)
  /// A text of at most so many bytes.
  case text(maxBytes: Int)
  /// One of these texts.
  case word([String])
  /// A list of at most so many values.
  case list(RPCType, maxCount: Int)
  /// An object with these members, and no others.
  case object([RPCParameter])
  /// Any value; for results alone.
  case any

  /// The type in the words of JSON Schema.
  public var schema: JSONValue {
    switch self {
    case .flag: .object(["type": .text("boolean")])
    case .number(let range):
      .object([
        "type": .text("integer"), "minimum": .number(range.lowerBound),
        "maximum": .number(range.upperBound),
      ])
    case .text(let maxBytes):
      .object(["type": .text("string"), "maxLength": .number(maxBytes)])
    case .word(let words):
      .object(["type": .text("string"), "enum": .list(words.map { .text($0) })])
    case .list(let type, let maxCount):
      .object([
        "type": .text("array"), "items": type.schema, "maxItems": .number(maxCount),
      ])
    case .object(let members):
      .object([
        "type": .text("object"),
        "properties": .object(
          members.map { member in
            var schema = member.type.schema.members ?? []
            schema.append(JSONValue.Member("description", .text(member.sentence)))
            return JSONValue.Member(member.name, .object(schema))
          }
        ),
        "required": .list(members.filter(\.isRequired).map { .text($0.name) }),
        "additionalProperties": .flag(false),
      ])
    case .any: .object([])
    }
  }

  /// What is wrong with a value, as the end of a sentence that begins with its name; nil: nothing.
  public func problem(with value: JSONValue) -> String? {
    switch (self, value) {
    case (.any, _), (.flag, .flag): return nil
    case (.flag, _): return "is true or false"
    case (.number(let range), _):
      if case .number(let number) = value, range.contains(number) { return nil }
      return "is a whole number from \(range.lowerBound) to \(range.upperBound)"
    case (.text(let maxBytes), .text(let text)):
      return text.utf8.count <= maxBytes ? nil : "has at most \(maxBytes) bytes"
    case (.text, _): return "is a text"
    case (.word(let words), _):
      if case .text(let text) = value, words.contains(text) { return nil }
      return "is one of " + words.map { "`\($0)`" }.joined(separator: ", ")
    case (.list(let type, let maxCount), .list(let values)):
      guard values.count <= maxCount else { return "has at most \(maxCount) values" }
      return values.lazy.compactMap { type.problem(with: $0) }.first.map {
        "has a value that \($0)"
      }
    case (.list, _): return "is a list"
    case (.object(let members), .object(let values)):
      return Self.problem(with: values, of: members).map { "is an object: \($0)" }
    case (.object, _): return "is an object"
    }
  }

  /// What is wrong with the members of an object, as a sentence; nil: nothing.
  static func problem(
    with values: [JSONValue.Member],
    of parameters: [RPCParameter]
  ) -> String? {
    for value in values {
      guard let parameter = parameters.first(where: { $0.name == value.name }) else {
        let names = parameters.map { "`\($0.name)`" }.joined(separator: ", ")
        return "there is no `\(value.name)`; there "
          + (parameters.isEmpty
            ? "are none" : parameters.count == 1 ? "is \(names)" : "are \(names)")
      }
      if let problem = parameter.type.problem(with: value.value) {
        return "`\(parameter.name)` \(problem)"
      }
    }
    let missing = parameters.first { parameter in
      parameter.isRequired && !values.contains { $0.name == parameter.name }
    }
    return missing.map { "`\($0.name)` is missing" }
  }
}

/// One parameter of a method, or one member of an object.
public struct RPCParameter: Hashable, Sendable {
  /// Its name.
  public var name: String
  /// Which values it takes.
  public var type: RPCType
  /// Whether it must be given.
  public var isRequired: Bool
  /// What it is, as a sentence.
  public var sentence: String

  /// Creates a parameter that must be given, unless it is optional.
  public init(_ name: String, _ type: RPCType, isOptional: Bool = false, _ sentence: String) {
    self.name = name
    self.type = type
    isRequired = !isOptional
    self.sentence = sentence
  }
}
