import Directives

/// The directive that answers with files.
let filesDirective = Directive<RouteDraft>.block(
  "files",
  form: "ROOT",
  filesDirectives,
  need: .optional,
  "Answers with the files below this folder, at the path of the request; what `strip_prefix` says is done "
    + "before.",
  example: "files /srv/www",
  begin: { statement, reading -> FilesSettings? in
    let example = "files /srv/www"
    guard let word = reading.onlyWord(of: statement, example: example),
      let root = reading.value(of: word, folderPath, in: statement, example: example)
    else { return nil }
    return FilesSettings(root: root)
  },
  end: { settings, statement, draft, reading in
    guard reading.isOnlyHandler(statement, &draft) else { return }
    if settings.uploads != nil, !settings.changes.contains(where: { $0 != .delete }) {
      reading.error(
        "`resumable` is for files that clients may write",
        mend: "write `allow put` beside it",
        at: statement.range
      )
    }
    draft.handler = .files(settings)
  },
  show: { draft, mask in
    guard case .files(let settings)? = draft.handler else { return nil }
    let root = JSONValue.Member("root", .text(mask.shown(settings.root)))
    return filesDirectives.shown(settings, mask, behind: root)
  }
)

/// The whole path of a folder.
let folderPath = ValueKind<String>(
  "DIR",
  read: { text throws(ValueError) in
    let path = try ValueKind<String>.path.read(text)
    guard path.hasPrefix("/") else {
      throw ValueError(
        "a folder is named by its whole path, which begins with `/`",
        mend: "/\(path)"
      )
    }
    guard path.utf8.count <= 2048 else { throw ValueError("a path has at most 2048 bytes") }
    return path
  },
  write: { $0 }
)

private let filesDirectives = DirectiveTable<FilesSettings>(
  "files",
  "Which files of a folder answer, and how.",
  makeDefault: { FilesSettings(root: "/") },
  [indexDirective, tryDirective] + appearance + caching + safety
)

private let indexDirective = Directive<FilesSettings>(
  "index",
  form: "NAME…|off",
  words: ["off"],
  defaultText: "index.html",
  "The files that stand for a folder; the first that is there does.",
  example: "index index.html index.htm",
  read: { statement, settings, reading in
    let example = "index index.html"
    guard !statement.arguments.isEmpty else {
      return reading.lacksValue(statement, example: example)
    }
    if statement.arguments.count == 1, statement.arguments[0].text == "off" {
      settings.indexNames = []
      return
    }
    settings.indexNames = statement.arguments.compactMap { word in
      reading.value(of: word, fileName, in: statement, example: example)
    }
  },
  show: { settings, mask in .list(settings.indexNames.map { .text(mask.shown($0)) }) }
)

/// One name, without a slash.
let fileName = ValueKind<String>(
  "NAME",
  read: { text throws(ValueError) in
    guard (1...255).contains(text.utf8.count), !text.contains("/"), text != ".", text != "..",
      text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
    else { throw ValueError("`\(text)` is not the name of a file", mend: "index.html") }
    return text
  },
  write: { $0 }
)

private let tryDirective = Directive<FilesSettings>(
  "try",
  form: "{path}[ENDING]|{path}/|/PATH|=STATUS…",
  defaultText: "{path} {path}/",
  "What is looked for in turn: a file at the path of the request, perhaps with an ending; the folder there, "
    + "with its index; one certain file, as single-page applications want it; at the end perhaps a status.",
  example: "try {path} {path}.html {path}/ /app.html",
  read: { statement, settings, reading in
    let example = "try {path} {path}/ /app.html"
    guard !statement.arguments.isEmpty else {
      return reading.lacksValue(statement, example: example)
    }
    settings.candidates = statement.arguments.enumerated().compactMap { index, word in
      let isLast = index == statement.arguments.count - 1
      do throws(ValueError) {
        return try FileCandidate(written: reading.raw(word.range), isLast: isLast)
      } catch {
        reading.report(error, word, in: statement, example: example)
        return nil
      }
    }
  },
  show: { settings, mask in
    .list(settings.candidates.map { .text(mask.shown($0.description)) })
  }
)

extension FileCandidate: CustomStringConvertible {
  fileprivate init(written text: String, isLast: Bool) throws(ValueError) {
    let text =
      text.hasPrefix("\"") && text.hasSuffix("\"") ? String(text.dropFirst().dropLast()) : text
    if text.hasPrefix("=") {
      guard let status = Int(text.dropFirst()), (400...599).contains(status) else {
        throw ValueError("`=` is followed by a status, 400 to 599", mend: "=404")
      }
      guard isLast else { throw ValueError("nothing is looked for behind a status") }
      self = .status(status)
    } else if text.hasPrefix("{path}") {
      let after = String(text.dropFirst("{path}".count))
      if after == "/" {
        self = .folder
        return
      }
      guard !after.contains("/"), !after.contains("{"), after.utf8.count <= 64 else {
        throw ValueError(
          "behind `{path}` stands an ending, or `/` for a folder",
          mend: "{path}.html"
        )
      }
      self = .file(after: after)
    } else {
      guard text.hasPrefix("/"), !text.contains("{"), !text.hasSuffix("/"),
        text.utf8.count <= 1024,
        !text.split(separator: "/").contains(where: { $0 == "." || $0 == ".." })
      else { throw ValueError("`\(text)` is not a path below the root", mend: "/app.html") }
      self = .fixed(text)
    }
  }

  /// The candidate as it is written.
  public var description: String {
    switch self {
    case .file(let after): "{path}\(after)"
    case .folder: "{path}/"
    case .fixed(let path): path
    case .status(let status): "=\(status)"
    }
  }
}

private let appearance: [Directive<FilesSettings>] = [
  .value(
    "listing",
    \.listing,
    .choice,
    "Shows folders that have no index, as a page, or as JSON for who accepts that rather, or asks for it by "
      + "`?format=json`.",
    example: "listing on"
  ),
  Directive(
    "type",
    form: "ENDING… TYPE",
    repeats: true,
    "The media type of files with these endings.",
    example: "type .glsl .vert text/plain",
    read: { statement, settings, reading in
      let example = "type .glsl text/plain"
      guard statement.arguments.count >= 2, let last = statement.arguments.last else {
        reading.error(
          "`type` needs endings and a type",
          mend: "for example `\(example)`",
          at: statement.range
        )
        return
      }
      let type = reading.value(of: last, .mediaType, in: statement, example: example)
      for word in statement.arguments.dropLast() {
        guard let ending = reading.value(of: word, endingKind, in: statement, example: example)
        else { continue }
        if let type { settings.types.append(FileType(ending: ending, type: type)) }
      }
    },
    show: { settings, mask in
      .list(
        settings.types.map { rule in
          .object([
            JSONValue.Member("ending", .text(mask.shown(rule.ending))),
            JSONValue.Member("type", .text(mask.shown(rule.type))),
          ])
        }
      )
    }
  ),
  .value(
    "default_type",
    \.fallbackType,
    .optional(.mediaType, none: "off"),
    "The media type of files whose ending is not known.",
    example: "default_type text/plain"
  ),
  .value(
    "charset",
    \.charset,
    .optional(.name("NAME"), none: "off"),
    "What files of type `text/…` are said to be written in.",
    example: "charset iso-8859-1"
  ),
]

/// The ending of a name.
let endingKind = ValueKind<String>(
  "ENDING",
  read: { text throws(ValueError) in
    let ending = text.hasPrefix(".") ? String(text.dropFirst()) : text
    guard (1...32).contains(ending.utf8.count), !ending.contains("/"), !ending.contains("*"),
      ending.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F })
    else { throw ValueError("`\(text)` is not an ending", mend: ".txt") }
    return ending.lowercased()
  },
  write: { ".\($0)" }
)

private let caching: [Directive<FilesSettings>] = [
  .value(
    "etag",
    \.tags,
    .choice,
    "What versions of a file are told apart by: a tag of its size and of when it was changed, that tag as a "
      + "weak one, or dates alone.",
    example: "etag weak"
  ),
  Directive(
    "cache_control",
    form: "PATTERN… VALUE",
    repeats: true,
    "What browsers and caches are told of files whose path or name one of the patterns takes; the first such "
      + "line counts.",
    example: "cache_control *.css *.js \"public, max-age=31536000, immutable\"",
    read: { statement, settings, reading in
      let example = "cache_control *.css max-age=3600"
      guard statement.arguments.count >= 2, let last = statement.arguments.last else {
        reading.error(
          "`cache_control` needs patterns and a value",
          mend: "for example `\(example)`",
          at: statement.range
        )
        return
      }
      let value = reading.value(of: last, fieldValue, in: statement, example: example)
      let patterns = statement.arguments.dropLast().compactMap { word in
        reading.value(of: word, .pattern, in: statement, example: example)
      }
      guard let value else { return }
      settings.cacheRules.append(FileCacheRule(patterns: patterns, value: value))
    },
    show: { settings, mask in
      .list(
        settings.cacheRules.map { rule in
          .object([
            JSONValue.Member(
              "patterns",
              .list(rule.patterns.map { .text(mask.shown($0.description)) })
            ),
            JSONValue.Member("value", .text(mask.shown(rule.value))),
          ])
        }
      )
    }
  ),
  .list(
    "precompressed",
    \.codings,
    .choice,
    unset: "none",
    "Sends `NAME.br`, `NAME.zst` or `NAME.gz` in place of `NAME` to clients that take it, if it is there and not "
      + "older.",
    example: "precompressed br zstd gzip"
  ),
  Directive(
    "open_files",
    form: "NUMBER " + cacheOptions.map(\.form).joined(separator: " "),
    bounds: "0 to 1000000, valid 0ms to 1h, memory 0B to 4GB, up_to 0B to 1MB",
    words: cacheOptions.map(\.name),
    defaultText: "1000 valid 1s memory 16MB up_to 64KB",
    "How many files each loop keeps open, how long it believes what it has seen of them, and how many bytes of "
      + "files it keeps in memory that are no larger than `up_to`. As many paths are remembered where there is "
      + "none.",
    example: "open_files 10000 valid 10s memory 64MB",
    read: { statement, settings, reading in
      let example = "open_files 1000 valid 1s"
      guard let word = statement.arguments.first else {
        return reading.lacksValue(statement, example: example)
      }
      let kind = ValueKind<Int>.count(within: 0...1_000_000)
      if let count = reading.value(of: word, kind, in: statement, example: example) {
        settings.cache.count = count
      }
      reading.options(of: statement, from: 1, cacheOptions, into: &settings.cache, example: example)
    },
    show: { settings, mask in
      let cache = settings.cache
      return .object([
        JSONValue.Member("count", .number(cache.count)),
        JSONValue.Member("valid", validTimes.json(cache.valid, mask)),
        JSONValue.Member("memory", memorySizes.json(cache.memoryBytes, mask)),
        JSONValue.Member("up_to", fileSizes.json(cache.fileBytes, mask)),
      ])
    }
  ),
]

private let validTimes = ValueKind<Duration>.duration(within: .zero ... .seconds(3600))
private let memorySizes = ValueKind<Int>.size(within: 0...4 << 30)
private let fileSizes = ValueKind<Int>.size(within: 0...1 << 20)

private let cacheOptions: [WordOption<FileCacheSettings>] = [
  .value("valid", \.valid, validTimes),
  .value("memory", \.memoryBytes, memorySizes),
  .value("up_to", \.fileBytes, fileSizes),
]

/// The value of a field.
private let fieldValue = ValueKind<String>(
  "VALUE",
  read: { text throws(ValueError) in
    guard (1...512).contains(text.utf8.count),
      text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F })
    else { throw ValueError("`\(text)` is not the value of a field", mend: "max-age=3600") }
    return text
  },
  write: { $0 }
)

private let safety: [Directive<FilesSettings>] = [
  .list(
    "allow",
    \.changes,
    .choice,
    unset: "none",
    "Lets clients write files by PUT, make files that are not there by POST, and remove them by DELETE; "
      + "`body_limit` says how large a request may be.",
    example: "allow put delete"
  ),
  uploadsDirective,
  .value(
    "links",
    \.links,
    .choice,
    "Which symbolic links paths may go through: none; relative ones that stay below the root; any that belong "
      + "to the owner of what they point to; all.",
    example: "links never"
  ),
  .value(
    "hidden",
    \.showsHidden,
    .flag,
    "Whether names that begin with a dot are served; `/.well-known` always is.",
    example: "hidden on"
  ),
]
