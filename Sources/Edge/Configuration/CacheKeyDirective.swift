import Directives

/// What of a request tells the answers of a cache apart.
let keyDirective = Directive<RouteCacheSettings>(
  "key",
  form: "query none|query [except] NAME…|header NAME…|cookie NAME…",
  repeats: true,
  words: ["query", "header", "cookie", "except", "none"],
  defaultText: "the whole URL",
  "What tells answers apart besides scheme, host and path: no parameters of the query, those with these names, or "
    + "all but those (`*` at the end of a name stands for anything); fields and cookies. Parameters that do not "
    + "count are not sent to the upstream for an answer that is kept.",
  example: "key query except utm_* gclid fbclid",
  read: { statement, settings, reading in
    let example = "key query except utm_* gclid fbclid"
    guard let kind = statement.arguments.first, statement.arguments.count > 1 else {
      return reading.lacksValue(statement, example: example)
    }
    let words = statement.arguments.dropFirst()
    switch kind.text {
    case "query":
      guard settings.key.query == .all else {
        return reading.error(
          "`key query` stands twice",
          mend: "write all names into one of them",
          at: statement.range
        )
      }
      settings.key.query = query(words, statement, &reading)
    case "header":
      settings.key.fields += words.compactMap {
        reading.value(of: $0, .fieldName, in: statement, example: "key header X-Tenant")?
          .lowercased()
      }
    case "cookie":
      settings.key.cookies += words.compactMap {
        reading.value(of: $0, cookieName, in: statement, example: "key cookie lang")
      }
    default:
      reading.error(
        "`\(reading.raw(kind.range))` is nothing that tells answers apart",
        mend: "write `key query`, `key header` or `key cookie`",
        at: kind.range
      )
    }
    if settings.key.fields.count + settings.key.cookies.count > 16 {
      reading.error(
        "more than 16 fields and cookies tell answers apart",
        mend: "write fewer: each of their values is kept by itself",
        at: statement.range
      )
    }
  },
  show: { settings, mask in
    let key = settings.key
    func list(_ texts: [String]) -> JSONValue { .list(texts.map { .text(mask.shown($0)) }) }
    let query: JSONValue =
      switch key.query {
      case .all: .text("all")
      case .none: .text("none")
      case .only(let names): .object(["only": list(names)])
      case .except(let names): .object(["except": list(names)])
      }
    return .object([
      JSONValue.Member("query", query), JSONValue.Member("header", list(key.fields)),
      JSONValue.Member("cookie", list(key.cookies)),
    ])
  }
)

private func query(
  _ words: ArraySlice<Word>,
  _ statement: Statement,
  _ reading: inout Reading
) -> CacheKeySettings.Query {
  if words.count == 1, words.first?.text == "none" { return .none }
  let isExcept = words.first?.text == "except"
  let names = words.dropFirst(isExcept ? 1 : 0).compactMap { word in
    reading.value(of: word, parameterName, in: statement, example: "key query except utm_*")
  }
  if isExcept, words.count == 1 {
    reading.lacksValue(statement, example: "key query except utm_*")
  }
  if names.count > 256 {
    reading.error(
      "`key query` has more than 256 names",
      mend: "write the beginning of several with `*`",
      at: statement.range
    )
  }
  return isExcept ? .except(names) : .only(names)
}

/// The name of a parameter, as it stands in a URL.
private let parameterName = ValueKind<String>(
  "NAME",
  read: { text throws(ValueError) in
    let name = text.hasSuffix("*") ? text.dropLast() : text[...]
    guard (1...256).contains(text.utf8.count),
      name.utf8.allSatisfy({ (0x21...0x7E).contains($0) && !"&=;%+*#".utf8.contains($0) })
    else {
      throw ValueError("`\(text)` is not the name of a parameter", mend: "utm_*")
    }
    return text
  },
  write: { $0 }
)

/// The name of a cookie: a token.
private let cookieName = ValueKind<String>(
  "NAME",
  read: { text throws(ValueError) in
    guard (1...256).contains(text.utf8.count),
      text.utf8.allSatisfy({
        (0x21...0x7E).contains($0) && !"()<>@,;:\\\"/[]?={}".utf8.contains($0)
      })
    else { throw ValueError("`\(text)` is not the name of a cookie", mend: "lang") }
    return text
  },
  write: { $0 }
)
