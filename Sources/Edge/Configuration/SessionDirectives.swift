import Directives

/// What stands in `sessions`.
let sessionsDirectives = DirectiveTable<SessionSettings>(
  "sessions",
  "What is remembered of clients on this side, by a sealed cookie that says nothing but which session is theirs. "
    + "Routes have them by `sessions NAME`.",
  makeDefault: { SessionSettings(name: "") },
  [
    storeDirective(
      "memory",
      form: "SIZE",
      bounds: "1MB to 1024GB",
      defaultText: "64MB",
      "Keeps sessions in the edge process; when it holds more bytes than these, those go that were not used for "
        + "longest.",
      example: "memory 256MB",
      read: { statement, reading, example in
        let kind = ValueKind<Int>.size(within: 1 << 20...1 << 40)
        return reading.onlyWord(of: statement, example: example)
          .flatMap { reading.value(of: $0, kind, in: statement, example: example) }
          .map { .memory(byteLimit: $0) }
      },
      show: { store, _ in
        if case .memory(let limit) = store { .number(limit) } else { nil }
      }
    ),
    storeDirective(
      "files",
      form: "DIR [COUNT]",
      bounds: "1 to 10000000 files",
      "Keeps sessions in this folder, a file for each, and at most so many; 100000 if nothing is said.",
      example: "files /var/lib/martlet/sessions",
      read: { statement, reading, example in
        guard let word = statement.arguments.first,
          let path = reading.value(of: word, folderPath, in: statement, example: example)
        else { return nil }
        reading.refuseWords(of: statement, from: 2, example: example)
        var count: Int? = 100_000
        if statement.arguments.count > 1 {
          let kind = ValueKind<Int>.count(within: 1...10_000_000)
          count = reading.value(of: statement.arguments[1], kind, in: statement, example: example)
        }
        return count.map { .files(path: path, countLimit: $0) }
      },
      show: { store, mask in
        guard case .files(let path, let count) = store else { return nil }
        return .object([
          JSONValue.Member("path", .text(mask.shown(path))),
          JSONValue.Member("count", .number(count)),
        ])
      }
    ),
    storeDirective(
      "redis",
      form: "ADDRESS " + redisOptions.map(\.form).joined(separator: " "),
      bounds: "database 0 to 1000000",
      "Keeps sessions in this server of Redis, or in one that speaks like it.",
      example: "redis 127.0.0.1:6379 database 1",
      read: { statement, reading, example in reading.redis(statement, example: example) },
      show: { store, mask in
        guard case .redis(let redis) = store else { return nil }
        return .object([
          JSONValue.Member("address", .text(mask.shown(redis.address.description))),
          JSONValue.Member("database", .number(redis.database)),
          JSONValue.Member("prefix", .text(mask.shown(redis.prefix))),
          JSONValue.Member("password", redis.password == nil ? .null : .text("***")),
        ])
      }
    ),
    cookieDirective,
    keysDirective,
    .value(
      "idle",
      \.idleTime,
      .duration(within: .seconds(10) ... .seconds(30 * 86_400)),
      "How long after its last request a session ends.",
      example: "idle 1h"
    ),
    .value(
      "absolute",
      \.absoluteTime,
      .duration(within: .seconds(10) ... .seconds(400 * 86_400)),
      "How long after its begin a session ends in any case.",
      example: "absolute 7d"
    ),
    .value(
      "size_limit",
      \.byteLimit,
      .size(within: 64...1 << 19),
      "How many bytes one session may remember.",
      example: "size_limit 16KB"
    ),
  ]
)

private func storeDirective(
  _ name: String,
  form: String,
  bounds: String,
  defaultText: String? = nil,
  _ sentence: String,
  example: String,
  read: @escaping @Sendable (Statement, inout Reading, String) -> SessionSettings.Store?,
  show: @escaping @Sendable (SessionSettings.Store, Mask) -> JSONValue?
) -> Directive<SessionSettings> {
  Directive(
    name,
    form: form,
    bounds: bounds,
    defaultText: defaultText,
    sentence,
    example: example,
    read: { statement, settings, reading in
      if let store = read(statement, &reading, example) { settings.store = store }
    },
    show: { settings, mask in show(settings.store, mask) ?? .null }
  )
}

private let redisOptions: [WordOption<SessionSettings.RedisSettings>] = [
  .value("database", \.database, .count(within: 0...1_000_000)),
  .value("prefix", \.prefix, .text("TEXT", maxBytes: 128)),
  .value("password", \.password, .given(.text("SECRET", maxBytes: 1024))),
]

private let cookieOptions: [WordOption<SessionSettings>] =
  cookieAttributes.map { $0.within(\.cookie) } + [.mark("persistent", \.isPersistent)]

private let cookieDirective = Directive<SessionSettings>(
  "cookie",
  form: "NAME " + cookieOptions.map(\.form).joined(separator: " "),
  defaultText: "session",
  "The cookie that clients are given. Over TLS it is for TLS alone, with `secure` always; with `persistent` browsers "
    + "keep it when they are closed.",
  example: "cookie __Host-session secure",
  read: { statement, settings, reading in
    let example = "cookie __Host-session secure"
    guard let word = statement.arguments.first else {
      return reading.lacksValue(statement, example: example)
    }
    guard let name = reading.value(of: word, .cookieName, in: statement, example: example) else {
      return
    }
    settings.cookie = StickyCookie(name: name)
    reading.options(of: statement, from: 1, cookieOptions, into: &settings, example: example)
    reading.check(settings.cookie, of: statement)
  },
  show: { settings, mask in
    .object(
      [JSONValue.Member("name", .text(mask.shown(settings.cookie.name)))]
        + settings.cookie.shownAttributes
        + [JSONValue.Member("persistent", .flag(settings.isPersistent))]
    )
  }
)

private let keysDirective = Directive<SessionSettings>(
  "keys",
  form: "SECRET…",
  bounds: "16 to 1024 bytes, at most 8 of them",
  "The secrets of the cookies: the first seals, each of them opens, so that secrets can be exchanged. Without it a "
    + "machine makes a secret of its own, which other machines do not know.",
  example: "keys \"a secret of your own\"",
  read: { statement, settings, reading in
    reading.secrets(of: statement, into: &settings.keys, example: "keys \"a secret of your own\"")
  },
  show: { settings, _ in .list(settings.keys.map { _ in .text("***") }) }
)

extension Reading {
  fileprivate mutating func redis(
    _ statement: Statement,
    example: String
  ) -> SessionSettings.Store? {
    guard let word = statement.arguments.first else {
      lacksValue(statement, example: example)
      return nil
    }
    guard let address = value(of: word, .address, in: statement, example: example) else {
      return nil
    }
    switch address {
    case .ip, .unix: break
    case .any, .name:
      error(
        "the server of Redis is named by an IP address and a port, or by the path of a Unix socket",
        mend: "for example `\(example)`",
        at: word.range
      )
      return nil
    }
    var settings = SessionSettings.RedisSettings(address: address)
    options(of: statement, from: 1, redisOptions, into: &settings, example: example)
    if let password = settings.password { hide(password) }
    return .redis(settings)
  }
}

/// `sessions`, outside of blocks.
let sessionsBlock = Directive<FileDraft>.block(
  "sessions",
  form: "NAME",
  sessionsDirectives,
  need: .optional,
  "Sessions, which routes have by `sessions NAME`.",
  example: "sessions shop {\n  redis 127.0.0.1:6379\n  idle 1h\n}",
  begin: { statement, reading -> SessionSettings? in
    let example = "sessions shop { idle 1h }"
    guard let word = reading.onlyWord(of: statement, example: example),
      let name = reading.value(of: word, .name(), in: statement, example: example)
    else { return nil }
    return SessionSettings(name: name)
  },
  end: { sessions, statement, draft, reading in
    if draft.sessions.contains(where: { $0.name == sessions.name }) {
      reading.error(
        "there are two blocks `sessions \(sessions.name)`",
        mend: "give one of them another name",
        at: statement.arguments.first?.range ?? statement.range
      )
      return
    }
    if sessions.absoluteTime < sessions.idleTime {
      reading.error(
        "a session would end by `absolute` before it could by `idle`",
        mend: "write a longer `absolute`, or a shorter `idle`",
        at: statement.range
      )
    }
    draft.sessions.append(sessions)
  },
  show: { draft, mask in
    .list(
      draft.sessions.map { sessions in
        let name = JSONValue.Member("name", .text(mask.shown(sessions.name)))
        return sessionsDirectives.shown(sessions, mask, behind: name)
      }
    )
  }
)

/// `sessions`, of routes.
let routeSessionsDirective = Directive<RouteDraft>(
  "sessions",
  form: "NAME",
  defaultText: "none",
  "The client's session of this name is known to what answers: to an application behind by the fields "
    + "`Martlet-Session`, `Martlet-Session-User` and `Martlet-Session-Values`, which clients cannot send.",
  example: "sessions shop",
  read: { statement, draft, reading in
    guard let word = reading.onlyWord(of: statement, example: "sessions shop"),
      let name = reading.value(of: word, .name(), in: statement, example: "sessions shop")
    else { return }
    draft.settings.sessions = name
    draft.sessionsStatement = statement
  },
  show: { draft, mask in draft.settings.sessions.map { .text(mask.shown($0)) } }
)

extension Reading {
  /// Notes routes whose sessions are not there, or cannot be, and those through which somebody could say whose
  /// session it is.
  mutating func placeSessions(of draft: inout FileDraft) {
    let names = Set(draft.sessions.map(\.name))
    for server in draft.servers.indices {
      for route in draft.servers[server].routes.indices {
        let settings = draft.servers[server].routes[route].settings
        draft.servers[server].routes[route].settings.hidesSessionFields = !names.isEmpty
        guard let name = settings.sessions,
          let statement = draft.servers[server].routes[route].sessionsStatement
        else { continue }
        let range = statement.arguments.first?.range ?? statement.range
        if !names.contains(name) {
          error(
            "there are no sessions named `\(name)`",
            mend: nearestName(to: name, among: names.sorted()).map { "did you mean `\($0)`?" }
              ?? "write `sessions \(name) { idle 1h }` outside of the server",
            at: range
          )
        }
        if settings.cache != nil {
          error(
            "what a route keeps for all cannot depend on a client's session",
            mend: "write `cache off` into the route, or another route for what is kept",
            at: range
          )
        }
      }
    }
  }
}
