import Directives

/// What the words of `sticky` say, whichever way it is.
struct StickyDraft: Sendable {
  var cookie = StickyCookie(name: "")
  var memory = StickyMemory()
  var whenGone = StickySettings.Otherwise.choose
  var whenDraining = true
}

/// `sticky`, in an upstream.
let stickyDirective = Directive<UpstreamDraft>(
  "sticky",
  form: "cookie NAME|learn NAME|by VALUE "
    + (cookieOptions.dropLast(commonOptions.count) + memoryOptions).map(\.form)
    .joined(separator: " "),
  bounds: "lifetime 1s to 365d, idle 1s to 30d, keys 1 to 1000000",
  words: ["cookie", "learn", "by"],
  "The requests of a client go to one member, which it is known for by a sealed cookie that Martlet "
    + "gives it, by a cookie that the application gives it, or by a value of its requests.",
  example: "sticky cookie route lifetime 1d",
  read: { statement, draft, reading in
    draft.settings.sticky = stickySettings(of: statement, &reading) ?? draft.settings.sticky
  },
  show: { draft, mask in draft.settings.sticky.map { $0.shown(mask) } ?? .null }
)

/// `sticky_key`, in an upstream.
let stickyKeyDirective = Directive<UpstreamDraft>(
  "sticky_key",
  form: "SECRET…",
  bounds: "16 to 1024 bytes, at most 8 of them",
  "The secrets of sealed cookies: the first seals, each of them opens, so that secrets can be "
    + "exchanged. All machines with the same ones know each other's clients. Without it a machine "
    + "makes a secret of its own.",
  example: "sticky_key \"a secret of your own\"",
  read: { statement, draft, reading in
    reading.secrets(
      of: statement,
      into: &draft.settings.stickyKeys,
      example: "sticky_key \"a secret of your own\""
    )
  },
  show: { draft, _ in .list(draft.settings.stickyKeys.map { _ in .text("***") }) }
)

private let stickyKeyBytes = 16...1024

extension Reading {
  /// Takes the secrets that a directive names, which nothing shows.
  mutating func secrets(of statement: Statement, into keys: inout [String], example: String) {
    if statement.arguments.isEmpty { return lacksValue(statement, example: example) }
    for word in statement.arguments {
      guard let text = word.text else { continue }
      hide(text)
      guard stickyKeyBytes.contains(text.utf8.count), keys.count < 8 else {
        error(
          "a secret has \(stickyKeyBytes.lowerBound) to \(stickyKeyBytes.upperBound) bytes, and "
            + "there are at most 8 of them",
          mend: "`openssl rand -base64 32` makes a good one",
          at: word.range
        )
        continue
      }
      keys.append(text)
    }
  }
}

private let commonOptions: [WordOption<StickyDraft>] = [
  .value(
    "when_gone",
    \.whenGone,
    .choice([("choose", StickySettings.Otherwise.choose), ("refuse", .refuse)])
  ),
  .value("when_draining", \.whenDraining, .choice([("keep", true), ("choose", false)])),
]

private let cookieOptions: [WordOption<StickyDraft>] =
  [
    .value(
      "lifetime",
      \.cookie.lifetime,
      .optional(.duration(within: .seconds(1) ... .seconds(365 * 86_400)), none: "session")
    )
  ] + cookieAttributes.map { $0.within(\.cookie) } + commonOptions

private let memoryOptions: [WordOption<StickyDraft>] =
  [
    .value(
      "idle",
      \.memory.idleTime,
      .duration(within: .seconds(1) ... .seconds(30 * 86_400))
    ),
    .value("keys", \.memory.keyCount, .count(within: 1...1_000_000)),
  ] + commonOptions

private let example = "sticky cookie route lifetime 1d"

private func stickySettings(
  of statement: Statement,
  _ reading: inout Reading
) -> StickySettings? {
  guard let way = statement.arguments.first, statement.arguments.count > 1 else {
    reading.lacksValue(statement, example: example)
    return nil
  }
  let word = statement.arguments[1]
  var draft = StickyDraft()
  let recognition: StickySettings.Recognition
  switch way.text {
  case "cookie":
    guard let name = reading.value(of: word, .cookieName, in: statement, example: example) else {
      return nil
    }
    draft.cookie.name = name
    reading.options(of: statement, from: 2, cookieOptions, into: &draft, example: example)
    reading.check(draft.cookie, of: statement)
    recognition = .cookie(draft.cookie)
  case "learn":
    guard let name = reading.value(of: word, .cookieName, in: statement, example: example) else {
      return nil
    }
    reading.options(of: statement, from: 2, memoryOptions, into: &draft, example: example)
    recognition = .learned(cookie: name, draft.memory)
  case "by":
    guard let key = reading.distinctKey(of: word, in: statement) else { return nil }
    reading.options(of: statement, from: 2, memoryOptions, into: &draft, example: example)
    recognition = .key(key, draft.memory)
  default:
    reading.error(
      "`sticky` is by `cookie`, `learn` or `by`",
      mend: "for example `\(example)`",
      at: way.range
    )
    return nil
  }
  return StickySettings(
    recognition,
    whenGone: draft.whenGone,
    keepsDraining: draft.whenDraining
  )
}

extension Reading {
  /// Reads a text that differs from client to client.
  fileprivate mutating func distinctKey(of word: Word, in statement: Statement) -> Template? {
    guard let key = template(of: word, for: .requestField, in: statement) else { return nil }
    guard key.literal != nil else { return key }
    error(
      "all clients have the same value",
      mend: "write a variable, such as `{client.address}`",
      at: word.range
    )
    return nil
  }
}

extension StickySettings {
  fileprivate func shown(_ mask: Mask) -> JSONValue {
    var members: [JSONValue.Member]
    switch recognition {
    case .cookie(let cookie):
      members = [
        JSONValue.Member("cookie", .text(cookie.name)),
        JSONValue.Member(
          "lifetime",
          cookie.lifetime.map { .number(Int($0.components.seconds)) } ?? .null
        ),
      ]
      members += cookie.shownAttributes
    case .learned(let name, let memory):
      members = [JSONValue.Member("learn", .text(name))] + memory.shown
    case .key(let key, let memory):
      members = [JSONValue.Member("by", .text(mask.shown(key.description)))] + memory.shown
    }
    members.append(JSONValue.Member("when_gone", .text(whenGone == .choose ? "choose" : "refuse")))
    members.append(JSONValue.Member("when_draining", .text(keepsDraining ? "keep" : "choose")))
    return .object(members)
  }
}

extension StickyMemory {
  fileprivate var shown: [JSONValue.Member] {
    [
      JSONValue.Member("idle", .number(Int(idleTime.components.seconds))),
      JSONValue.Member("keys", .number(keyCount)),
    ]
  }
}
