import Directives

/// A `decompress` that is being read.
struct DecompressionDraft: Sendable {
  var settings = DecompressionSettings()
  var isOff = false
}

/// What stands in `decompress`.
let decompressionDirectives = DirectiveTable<DecompressionDraft>(
  "decompress",
  "How large bodies may become that are taken out of their coding: some senders have a few bytes stand for a disk "
    + "full.",
  makeDefault: { DecompressionDraft() },
  [
    .value(
      "size_limit",
      \.settings.byteLimit,
      .size(within: 1 << 10...1 << 40),
      "How many bytes may come of a body; `body_limit` holds for requests besides.",
      example: "size_limit 10MB"
    ),
    .value(
      "ratio_limit",
      \.settings.ratioLimit,
      .count(within: 2...100_000),
      "How many bytes may come of one byte, where more than 1 MB comes of all.",
      example: "ratio_limit 50"
    ),
  ]
)

/// `decompress`, of servers and routes.
func decompressDirective<Settings: Sendable>(
  _ path: any WritableKeyPath<Settings, DecompressionChoice?> & Sendable,
  default defaultText: String?
) -> Directive<Settings> {
  .block(
    "decompress",
    form: "[answers|requests…|off]",
    decompressionDirectives,
    need: .optional,
    words: DecompressionSettings.Side.allCases.map(\.rawValue) + ["off"],
    "Takes bodies out of gzip, Brotli and Zstandard: answers for clients that do not take their coding, requests for "
      + "members, which get them as if no coding had been used. Without a word both.",
    example: "decompress answers",
    begin: { statement, reading in reading.decompression(statement) },
    end: { draft, statement, settings, reading in
      if settings[keyPath: path] != nil {
        reading.error(
          "`decompress` stands twice",
          mend: "remove one of them",
          at: statement.name.range
        )
      }
      if draft.isOff, let inner = statement.block?.first {
        reading.error("`decompress off` has no block", mend: "remove `off`", at: inner.range)
      }
      settings[keyPath: path] = draft.isOff ? .off : .on(draft.settings)
    },
    show: { settings, mask in
      switch settings[keyPath: path] {
      case nil: return defaultText.map { .text($0) }
      case .off: return .text("off")
      case .on(let decompression):
        let names = decompression.sides.map { JSONValue.text($0.rawValue) }
        let sides = JSONValue.Member("bodies", .list(names))
        let draft = DecompressionDraft(settings: decompression)
        return decompressionDirectives.shown(draft, mask, behind: sides)
      }
    }
  )
}

extension Reading {
  /// Reads the words behind `decompress`.
  fileprivate mutating func decompression(_ statement: Statement) -> DecompressionDraft? {
    var draft = DecompressionDraft()
    guard !statement.arguments.isEmpty else { return draft }
    if statement.arguments.count == 1, statement.arguments[0].text == "off" {
      draft.isOff = true
      return draft
    }
    var sides: [DecompressionSettings.Side] = []
    for word in statement.arguments {
      let kind = ValueKind<DecompressionSettings.Side>.choice
      guard let side = value(of: word, kind, in: statement, example: "decompress answers") else {
        return nil
      }
      if sides.contains(side) {
        error("`\(side.rawValue)` stands twice", mend: "remove one of them", at: word.range)
      } else {
        sides.append(side)
      }
    }
    draft.settings.sides = sides
    return draft
  }
}
