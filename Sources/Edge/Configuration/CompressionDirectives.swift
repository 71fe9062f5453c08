import Compression
import Directives

/// A `compress` that is being read.
struct CompressionDraft: Sendable {
  var settings = CompressionSettings()
  var isOff = false
}

/// What stands in `compress`.
let compressionDirectives = DirectiveTable<CompressionDraft>(
  "compress",
  "Which answers are sent in a content coding. Answers that have one already stay as they are, and so do those "
    + "that say `Cache-Control: no-transform`.",
  makeDefault: { CompressionDraft() },
  [
    levelDirective,
    .list(
      "types",
      \.settings.types,
      .mediaPattern,
      unset:
        "`usual`: texts, JSON, scripts, XML, WebAssembly, and fonts and images without a coding of their own",
      "The media types that are compressed: `text/html`, `text/*`, `*+json`; `usual` stands for those that are "
        + "if nothing is said.",
      example: "types usual application/x-model"
    ),
    .value(
      "min_size",
      \.settings.leastBytes,
      .size(within: 1...1 << 20),
      "How large a body has to be; one whose length is not known is compressed.",
      example: "min_size 512B"
    ),
    .value(
      "cross_site",
      \.settings.crossSite,
      .choice,
      "Whether answers are compressed that pages of other sites ask for with cookies or `Authorization`: from how "
        + "long they are, such a page could learn what stands in them. Files, and what a cache keeps, always are.",
      example: "cross_site allow"
    ),
    dictionaryBlock,
    rememberDirective,
  ]
)

private let levelDirective = Directive<CompressionDraft>(
  "level",
  form: "zstd|br|gzip NUMBER",
  bounds: "zstd 1 to 15, br 1 to 9, gzip 1 to 9",
  repeats: true,
  words: CompressionSettings.Coding.allCases.map(\.rawValue),
  defaultText: "zstd 3, br 4, gzip 5",
  "How much a coding tries: more takes more time, and at the high levels far more for little.",
  example: "level gzip 6",
  read: { statement, draft, reading in
    let example = "level gzip 6"
    guard let first = statement.arguments.first else {
      return reading.lacksValue(statement, example: example)
    }
    let coding = reading.value(
      of: first,
      ValueKind<CompressionSettings.Coding>.choice,
      in: statement
    )
    guard statement.arguments.count > 1 else {
      return reading.error(
        "`level` needs a coding and a number",
        mend: "for example `\(example)`",
        at: statement.range
      )
    }
    reading.refuseWords(of: statement, from: 2, example: example)
    guard let coding,
      let level = reading.value(
        of: statement.arguments[1],
        .count(within: coding.levels),
        in: statement
      )
    else { return }
    if draft.settings.levels.updateValue(level, forKey: coding) != nil {
      reading.error("there is a level for `\(coding.rawValue)` already", at: first.range)
    }
  },
  show: { draft, _ in
    .object(
      CompressionSettings.Coding.allCases.map { coding in
        JSONValue.Member(coding.rawValue, .number(draft.settings.level(of: coding)))
      }
    )
  }
)

/// `compress`, of servers and routes.
func compressDirective<Settings: Sendable>(
  _ path: any WritableKeyPath<Settings, CompressionChoice?> & Sendable,
  default defaultText: String?
) -> Directive<Settings> {
  .block(
    "compress",
    form: "[zstd|br|gzip…|off]",
    compressionDirectives,
    need: .optional,
    words: CompressionSettings.Coding.allCases.map(\.rawValue) + ["off"],
    "Sends answers in a content coding that the client takes, where that makes them smaller. The codings that are "
      + "named are used, the first one rather than the others; without a name all three.",
    example: "compress",
    begin: { statement, reading in reading.compression(statement) },
    end: { draft, statement, settings, reading in
      if settings[keyPath: path] != nil {
        reading.error(
          "`compress` stands twice",
          mend: "remove one of them",
          at: statement.name.range
        )
      }
      if draft.isOff, let inner = statement.block?.first {
        reading.error("`compress off` has no block", mend: "remove `off`", at: inner.range)
      }
      reading.checkDictionaries(of: draft.settings, at: statement.name.range)
      settings[keyPath: path] = draft.isOff ? .off : .on(draft.settings)
    },
    show: { settings, mask in
      switch settings[keyPath: path] {
      case nil: return defaultText.map { .text($0) }
      case .off: return .text("off")
      case .on(let compression):
        let names = compression.codings.map { JSONValue.text($0.rawValue) }
        let codings = JSONValue.Member("codings", .list(names))
        let draft = CompressionDraft(settings: compression)
        return compressionDirectives.shown(draft, mask, behind: codings)
      }
    }
  )
}

extension Reading {
  /// Reads the words behind `compress`.
  fileprivate mutating func compression(_ statement: Statement) -> CompressionDraft? {
    var draft = CompressionDraft()
    guard !statement.arguments.isEmpty else { return draft }
    if statement.arguments.count == 1, statement.arguments[0].text == "off" {
      draft.isOff = true
      return draft
    }
    var codings: [CompressionSettings.Coding] = []
    for word in statement.arguments {
      guard
        let coding = value(
          of: word,
          ValueKind<CompressionSettings.Coding>.choice,
          in: statement,
          example: "compress zstd gzip"
        )
      else { return nil }
      if codings.contains(coding) {
        error("`\(coding.rawValue)` stands twice", mend: "remove one of them", at: word.range)
      } else {
        codings.append(coding)
      }
    }
    draft.settings.codings = codings
    return draft
  }
}

extension ValueKind where Value == String {
  /// A media type, or a pattern of some.
  fileprivate static var mediaPattern: ValueKind {
    ValueKind(
      "TYPE",
      words: ["usual"],
      read: { text throws(ValueError) in
        let lower = text.lowercased()
        if lower == "usual" || MediaPattern(lower) != nil { return lower }
        throw ValueError(
          "`\(text)` is neither a media type nor a pattern such as `text/*` or `*+json`",
          mend: "text/html"
        )
      },
      write: { $0 }
    )
  }
}
