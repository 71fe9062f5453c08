import Compression
import Directives

/// A `dictionary` that is being read.
private struct DictionaryDraft: Sendable {
  var path = ""
  var bytes: [UInt8] = []
  var match = "/*"
  var destinations: [String] = []
  var id = ""
}

private let dictionaryDirectives = DirectiveTable<DictionaryDraft>(
  "dictionary",
  "What browsers are told of a dictionary by `Use-As-Dictionary`, when a route of the same server sends the file.",
  makeDefault: { DictionaryDraft() },
  [
    .value(
      "match",
      \.match,
      .urlPattern,
      "The paths of the requests that the browser uses it for: `*` stands for any characters, `:name` for a part "
        + "between slashes.",
      example: "match /products/*"
    ),
    .list(
      "destinations",
      \.destinations,
      .destination,
      unset: "all",
      "What a request has to be for: `document`, `script`, `style` and so on, as browsers have it.",
      example: "destinations document"
    ),
    .value(
      "id",
      \.id,
      .dictionaryID,
      unset: "none",
      "What the browser is to send as `Dictionary-ID`, for a member that looks for it.",
      example: "id pages-1"
    ),
  ]
)

/// `dictionary` of `compress`.
let dictionaryBlock = Directive<CompressionDraft>.block(
  "dictionary",
  form: "FILE",
  dictionaryDirectives,
  need: .optional,
  "A file of up to 1 MB with what answers have in common: they are compressed against it, for clients that have it. It "
    + "is read when the configuration is.",
  example: "dictionary /srv/shop/pages.dict {\n  match /products/*\n}",
  begin: { statement, reading -> DictionaryDraft? in
    let example = "dictionary /srv/shop/pages.dict"
    guard let word = reading.onlyWord(of: statement, example: example),
      let file = reading.file(of: word, in: statement, example: example)
    else { return nil }
    if let bytes = file.bytes, bytes.isEmpty {
      reading.error("`\(file.path)` is empty", at: word.range)
      return nil
    }
    return DictionaryDraft(path: file.path, bytes: file.bytes ?? [])
  },
  end: { dictionary, statement, draft, reading in
    guard draft.settings.dictionaries.allSatisfy({ $0.path != dictionary.path }) else {
      reading.error(
        "`\(dictionary.path)` stands twice",
        mend: "remove one of them",
        at: statement.name.range
      )
      return
    }
    draft.settings.dictionaries.append(
      DictionarySettings(
        path: dictionary.path,
        bytes: dictionary.bytes,
        use: DictionaryUse(
          match: dictionary.match,
          destinations: dictionary.destinations,
          id: dictionary.id
        )
      )
    )
  },
  show: { draft, mask in
    .list(
      draft.settings.dictionaries.map { dictionary in
        let use = dictionary.use
        let draft = DictionaryDraft(
          path: dictionary.path,
          match: use.match,
          destinations: use.destinations,
          id: use.id
        )
        let path = JSONValue.Member("path", .text(mask.shown(dictionary.path)))
        return dictionaryDirectives.shown(draft, mask, behind: path)
      }
    )
  }
)

private let rememberOptions: [WordOption<RememberedAnswerSettings>] = [
  .value("memory", \.memoryBytes, memorySizes),
  .value("up_to", \.bodyBytes, bodySizes),
]

private let memorySizes = ValueKind<Int>.size(within: 1 << 20...4 << 30)
private let bodySizes = ValueKind<Int>.size(within: 1 << 10...8 << 20)
private let counts = ValueKind<Int>.count(within: 1...1000)

/// `remember` of `compress`.
let rememberDirective = Directive<CompressionDraft>(
  "remember",
  form: "NUMBER " + rememberOptions.map(\.form).joined(separator: " "),
  bounds: "1 to 1000, memory 1MB to 4GB, up_to 1KB to 8MB",
  words: rememberOptions.map(\.name),
  defaultText: "off",
  "How many answers with `Use-As-Dictionary` are kept, so that later ones are compressed against them for clients "
    + "that have them: the next version of a script, the next page. They take `memory` (16MB) together, and are no "
    + "larger than `up_to` (1MB) each.",
  example: "remember 32 memory 64MB up_to 4MB",
  read: { statement, draft, reading in
    let example = "remember 16 memory 16MB"
    guard let word = statement.arguments.first else {
      return reading.lacksValue(statement, example: example)
    }
    var settings = RememberedAnswerSettings()
    guard let count = reading.value(of: word, counts, in: statement, example: example) else {
      return
    }
    settings.count = count
    reading.options(of: statement, from: 1, rememberOptions, into: &settings, example: example)
    draft.settings.remembered = settings
  },
  show: { draft, mask in
    guard let remembered = draft.settings.remembered else { return .text("off") }
    return .object([
      JSONValue.Member("count", .number(remembered.count)),
      JSONValue.Member("memory", memorySizes.json(remembered.memoryBytes, mask)),
      JSONValue.Member("up_to", bodySizes.json(remembered.bodyBytes, mask)),
    ])
  }
)

extension Reading {
  /// Notes dictionaries of which nothing comes.
  mutating func checkDictionaries(of settings: CompressionSettings, at range: SourceRange) {
    guard !settings.dictionaries.isEmpty || settings.remembered != nil else { return }
    let names = settings.codings.map(\.rawValue).joined(separator: " ")
    if settings.codings == [.gzip] {
      error(
        "gzip knows no dictionaries",
        mend: "write `compress zstd gzip`",
        at: range
      )
    } else if !settings.codings.contains(.zstandard),
      !CompressionDictionary.isBrotliSupported
    {
      warning(
        "the Brotli of this system is older than 1.1 and knows no dictionaries",
        mend: "write `compress zstd \(names)`",
        at: range
      )
    }
  }
}

extension ValueKind where Value == String {
  /// A pattern of URLs.
  fileprivate static var urlPattern: ValueKind {
    ValueKind(
      "PATTERN",
      read: { text throws(ValueError) in
        if let problem = DictionaryUse.problem(ofMatch: text) {
          throw ValueError("`\(text)` is no pattern of paths: \(problem)", mend: "/products/*")
        }
        return text
      },
      write: { $0 }
    )
  }

  /// What a browser asks for something for.
  fileprivate static var destination: ValueKind {
    ValueKind(
      "DESTINATION",
      read: { text throws(ValueError) in
        guard (1...32).contains(text.utf8.count),
          text.utf8.allSatisfy({ (0x61...0x7A).contains($0) || $0 == 0x2D })
        else { throw ValueError("`\(text)` is no destination of requests", mend: "document") }
        return text
      },
      write: { $0 }
    )
  }

  /// The identifier of a dictionary.
  fileprivate static var dictionaryID: ValueKind {
    ValueKind(
      "TEXT",
      read: { text throws(ValueError) in
        guard (1...DictionaryUse.idLimit).contains(text.utf8.count),
          text.utf8.allSatisfy({ (0x20..<0x7F).contains($0) })
        else {
          throw ValueError("`\(text)` is not 1 to 1024 characters of ASCII", mend: "pages-1")
        }
        return text
      },
      write: { $0 }
    )
  }
}
