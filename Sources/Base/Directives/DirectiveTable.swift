/// The directives of one kind of block.
public struct DirectiveTable<Settings: Sendable>: Sendable {
  /// What the block is called: `server`, or `file` for what stands in no block.
  public let name: String
  /// What such a block is, as a sentence.
  public let sentence: String
  /// The directives, in the order of the manual.
  public let directives: [Directive<Settings>]
  /// The settings of a block that says nothing.
  public let makeDefault: @Sendable () -> Settings

  private let indices: [String: Int]

  /// Creates a table; no two of its directives may have one name.
  public init(
    _ name: String,
    _ sentence: String,
    makeDefault: @escaping @Sendable () -> Settings,
    _ directives: [Directive<Settings>]
  ) {
    self.name = name
    self.sentence = sentence
    self.makeDefault = makeDefault
    self.directives = directives
    var indices: [String: Int] = [:]
    for (index, directive) in directives.enumerated() {
      let before = indices.updateValue(index, forKey: directive.name)
      precondition(before == nil, "\(name) has two directives named \(directive.name)")
    }
    self.indices = indices
  }

  /// Reads the directives of a block into settings, and notes everything that is wrong.
  public func read(
    _ statements: [Statement],
    into settings: inout Settings,
    _ reading: inout Reading
  ) {
    var firsts: [Int: SourceRange] = [:]
    for statement in statements {
      guard let index = indices[statement.title] else {
        unknown(statement, &reading)
        continue
      }
      let directive = directives[index]
      if !directive.repeats, let first = firsts.updateValue(statement.range, forKey: index) {
        reading.error(
          "`\(directive.name)` stands twice",
          mend: "remove one of them",
          at: statement.name.range,
          notes: [Diagnostic.Note("the first one", reading.place(first))]
        )
        continue
      }
      directive.read(statement, &settings, &reading)
    }
  }

  private func unknown(_ statement: Statement, _ reading: inout Reading) {
    let title = statement.title
    let place = name == "file" ? "outside of a block" : "in `\(name)`"
    if title.hasPrefix("//") || title.hasPrefix(";") || title.hasPrefix("/*") {
      reading.error("a comment begins with `#`", at: statement.name.range)
    } else if let synonym = reading.synonyms["\(name)/\(title)"] ?? reading.synonyms[title] {
      reading.error(
        "there is no directive `\(title)` \(place)",
        mend: "\(synonym) does it here",
        at: statement.name.range
      )
    } else if let homes = reading.homes[title] {
      let list = homes.map { $0 == "file" ? "outside of every block" : "in `\($0)`" }
      reading.error(
        "`\(title)` does not stand \(place)",
        mend: "it stands " + list.joined(separator: " or "),
        at: statement.name.range
      )
    } else {
      let here = directives.map(\.name) + ["include"]
      let near = nearestName(to: title, among: here)
      let elsewhere = near == nil ? nearestName(to: title, among: reading.homes.keys.sorted()) : nil
      let mend =
        near.map { reading.mend(statement, replacing: statement.name, with: $0) }
        ?? elsewhere.map { word in
          let homes = (reading.homes[word] ?? []).map { "`\($0)`" }.joined(separator: " or ")
          return "`\(word)` stands in \(homes)"
        } ?? "there are " + here.sorted().joined(separator: ", ")
      reading.error(
        "there is no directive `\(title)` \(place)",
        mend: mend,
        at: statement.name.range
      )
    }
  }

  /// The values in force, by the name of their directive, for programs; `first` stands before them.
  public func shown(
    _ settings: Settings,
    _ mask: Mask,
    behind first: JSONValue.Member...
  ) -> JSONValue {
    .object(
      first
        + directives.compactMap { directive in
          directive.show?(settings, mask).map { JSONValue.Member(directive.name, $0) }
        }
    )
  }
}

/// What the manual says of one directive.
public struct DirectiveReference: Hashable, Sendable {
  /// Its name.
  public var name: String
  /// The words behind the name.
  public var form: String
  /// Which values are allowed, or nil.
  public var bounds: String?
  /// What is in force without it, or nil.
  public var defaultText: String?
  /// Whether it may stand several times.
  public var repeats: Bool
  /// What it does.
  public var sentence: String
  /// One line that can stand in a file.
  public var example: String
  /// The words that may follow the name, for completion.
  public var words: [String]
}

/// What the manual says of one kind of block.
public struct BlockReference: Hashable, Sendable {
  /// What the block is called; `file` for what stands in no block.
  public var name: String
  /// What it is.
  public var sentence: String
  /// Its directives.
  public var directives: [DirectiveReference]
}

extension DirectiveTable {
  /// What the manual says of this table and of those of its blocks, outer ones first.
  public var references: [BlockReference] {
    let settings = makeDefault()
    let own = BlockReference(
      name: name,
      sentence: sentence,
      directives: directives.map { directive in
        DirectiveReference(
          name: directive.name,
          form: directive.form,
          bounds: directive.bounds,
          defaultText: directive.defaultText(settings),
          repeats: directive.repeats,
          sentence: directive.sentence,
          example: directive.example,
          words: directive.words
        )
      }
    )
    return [own] + directives.flatMap { $0.block?() ?? [] }
  }
}
