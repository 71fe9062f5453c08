import Directives

/// What stands in an `app`.
let applicationDirectives = DirectiveTable<ApplicationSettings>(
  "app",
  "An application in Python that Martlet runs in processes of its own, and starts again when they end. "
    + "`route` sends requests to it by `app NAME`.",
  makeDefault: { ApplicationSettings() },
  [
    target(
      .wsgi,
      "What is called for each request: this name in this module, by WSGI.",
      example: "wsgi shop.wsgi:application"
    ),
    target(
      .asgi,
      "What is called for each request: this name in this module, by ASGI 3.",
      example: "asgi shop.asgi:application"
    ),
    .value(
      "folder",
      \.folder,
      .given(folderPath),
      unset: "where Martlet was started",
      "Where the application runs, and where its modules are looked for first.",
      example: "folder /srv/shop"
    ),
    .value(
      "python",
      \.interpreter,
      .given(interpreterPath),
      unset: "the first `python3` of `PATH`",
      "The interpreter, 3.9 or later; that of a virtual environment is its `bin/python`.",
      example: "python /srv/shop/venv/bin/python"
    ),
    .value(
      "user",
      \.user,
      .optional(.name(), none: "same"),
      unset: "the user that started Martlet",
      "The user with whose rights the application runs.",
      example: "user shop"
    ),
    .value(
      "group",
      \.group,
      .optional(.name(), none: "same"),
      unset: "the user's group",
      "The group with whose rights the application runs.",
      example: "group shop"
    ),
    environmentDirective,
    .value(
      "processes",
      \.processCounts,
      processCounts,
      "How many processes run the application; `2..8`: at least two, and up to eight as long as requests wait.",
      example: "processes 2..8"
    ),
    .value(
      "idle_time",
      \.idleTime,
      .duration(within: .seconds(1) ... .seconds(86_400)),
      "For how long one process less must have been enough until one is ended, where `processes` says two numbers.",
      example: "idle_time 5m"
    ),
    .value(
      "threads",
      \.concurrency,
      .given(.count(within: 1...10_000)),
      unset: "4, and 100 for ASGI",
      "How many requests each process answers at once: each in a thread, or for ASGI all on one event loop.",
      example: "threads 8"
    ),
    .value(
      "ahead",
      \.aheadCount,
      .count(within: 0...64),
      "How many requests more a process has in hand whose requests take less than 5 ms, so that it never waits "
        + "for the next. Below 1 ms it has as many for each thread, up to 12.",
      example: "ahead 0"
    ),
    .value(
      "stream_bodies",
      \.streamsBodies,
      .flag,
      "Whether the application has a request as soon as its head is there, and reads the body as it comes; else a "
        + "process gets a request when all of it has come.",
      example: "stream_bodies on"
    ),
    .value(
      "queue_length",
      \.queueLength,
      .count(within: 1...65_536),
      "How many requests may wait for a process; the answer to others is 503.",
      example: "queue_length 200"
    ),
    .value(
      "queue_timeout",
      \.queueTime,
      .duration(within: .milliseconds(10) ... .seconds(3600)),
      "How long a request may wait for a process; then the answer is 503.",
      example: "queue_timeout 5s"
    ),
    .value(
      "request_timeout",
      \.requestTime,
      .optional(.duration(within: .milliseconds(100) ... .seconds(86_400)), none: "none"),
      "How long a request may take in its process; then the process writes what each of its threads is at to the "
        + "error log, and is ended.",
      example: "request_timeout 30s"
    ),
    .value(
      "max_requests",
      \.requestLimit,
      .optional(.count(within: 1...1_000_000_000), none: "none"),
      "After how many requests a process is replaced by another; up to a tenth more, so that not all are at once.",
      example: "max_requests 10000"
    ),
    .value(
      "max_age",
      \.ageLimit,
      .optional(.duration(within: .seconds(1) ... .seconds(30 * 86_400)), none: "none"),
      "At what age a process is replaced by another; up to a tenth more, so that not all are at once.",
      example: "max_age 1h"
    ),
    .value(
      "max_memory",
      \.memoryLimit,
      .optional(.size(within: 1 << 20...1 << 40), none: "none"),
      "With how much memory a process is replaced by another, between two requests.",
      example: "max_memory 512MB"
    ),
    .value(
      "preload",
      \.preloads,
      .flag,
      "Whether the application is loaded once, by a process of which the others are copies: they begin at once, and "
        + "have in common what none of them changes.",
      example: "preload on"
    ),
    .value(
      "reload",
      \.reloads,
      .flag,
      "Whether processes are replaced when a file of the application changes: for whoever is writing it.",
      example: "reload on"
    ),
  ]
)

private func target(
  _ interface: ApplicationSettings.Interface,
  _ sentence: String,
  example: String
) -> Directive<ApplicationSettings> {
  Directive(
    interface.rawValue,
    form: "MODULE:NAME",
    sentence,
    example: example,
    read: { statement, settings, reading in
      guard let word = reading.onlyWord(of: statement, example: example) else { return }
      if !settings.target.isEmpty {
        reading.error(
          "the application says already what is called",
          mend: "remove one of them",
          at: statement.range
        )
      }
      settings.interface = interface
      settings.target =
        reading.value(of: word, callable, in: statement, example: example) ?? "?"
    },
    show: { settings, mask in
      settings.interface == interface ? .text(mask.shown(settings.target)) : .null
    }
  )
}

private let callable = ValueKind<String>(
  "MODULE:NAME",
  read: { text throws(ValueError) in
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    let isName =
      text.utf8.count <= 512
      && text.unicodeScalars.allSatisfy { scalar in
        scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
          || ["_", ".", ":", "(", ")"].contains(scalar)
      }
    guard isName, parts.count <= 2, let module = parts.first, !module.isEmpty,
      !module.hasPrefix("."), parts.last?.isEmpty == false
    else {
      throw ValueError("`\(text)` is not a module and a name in it", mend: "shop.wsgi:application")
    }
    guard parts.count == 2 else {
      throw ValueError("`\(text)` names no callable in the module", mend: "\(text):application")
    }
    return text
  },
  write: { $0 }
)

private let processCounts = ValueKind<ClosedRange<Int>>(
  "NUMBER|NUMBER..NUMBER",
  bounds: "1 to 256",
  read: { text throws(ValueError) in
    let number = ValueKind.count(within: 1...256)
    guard let dots = text.firstRange(of: "..") else {
      let count = try number.read(text)
      return count...count
    }
    let least = try number.read(String(text[..<dots.lowerBound]))
    let most = try number.read(String(text[dots.upperBound...]))
    guard least <= most else {
      throw ValueError(
        "`\(text)` has more processes at least than at most",
        mend: "\(most)..\(least)"
      )
    }
    return least...most
  },
  write: { counts in
    counts.count == 1 ? "\(counts.lowerBound)" : "\(counts.lowerBound)..\(counts.upperBound)"
  }
)

private let interpreterPath = ValueKind<String>(
  "PATH",
  read: { text throws(ValueError) in
    let path = try ValueKind<String>.path.read(text)
    guard path.hasPrefix("/") else {
      throw ValueError("a program is named by its whole path, which begins with `/`")
    }
    return path
  },
  write: { $0 }
)

private let environmentDirective = Directive<ApplicationSettings>(
  "environment",
  form: "NAME VALUE",
  repeats: true,
  "A variable of the application's environment; the others are those that Martlet was started with.",
  example: "environment DJANGO_SETTINGS_MODULE shop.settings",
  read: { statement, settings, reading in
    let example = "environment DJANGO_SETTINGS_MODULE shop.settings"
    guard let (word, other) = reading.nameAndValue(of: statement, example: example),
      let name = reading.value(of: word, variableName, in: statement),
      let value = reading.value(
        of: other,
        .text("VALUE", maxBytes: 8192),
        in: statement,
        example: example
      )
    else { return }
    settings.environment.removeAll { $0.name == name }
    settings.environment.append(EnvironmentEntry(name: name, value: value))
  },
  show: { settings, mask in
    // Secrets of applications are in their environment.
    .list(settings.environment.map { .text(mask.shown($0.name)) })
  }
)

let variableName = ValueKind<String>(
  "NAME",
  read: { text throws(ValueError) in
    guard (1...256).contains(text.utf8.count),
      text.utf8.allSatisfy({
        $0 == 0x5F || (0x30...0x39).contains($0) || (0x41...0x5A).contains($0)
          || (0x61...0x7A).contains($0)
      })
    else { throw ValueError("`\(text)` is not the name of a variable", mend: "APP_SECRET") }
    return text
  },
  write: { $0 }
)

/// `app`, outside of blocks.
let applicationBlock = Directive<FileDraft>.block(
  "app",
  form: "NAME",
  applicationDirectives,
  "An application in Python, which Martlet runs.",
  example: "app shop {\n  wsgi shop.wsgi:application\n  folder /srv/shop\n}",
  begin: { statement, reading -> ApplicationSettings? in
    let example = "app shop { wsgi shop.wsgi:application }"
    guard let word = reading.onlyWord(of: statement, example: example),
      reading.value(of: word, .name(), in: statement, example: example) != nil
    else { return nil }
    return ApplicationSettings()
  },
  end: { application, statement, draft, reading in
    guard let name = statement.arguments.first?.text else { return }
    if application.target.isEmpty {
      reading.error(
        "the application `\(name)` does not say what is called",
        mend: "write `wsgi \(name).wsgi:application` into its block",
        at: statement.range
      )
    }
    var upstream = UpstreamDraft()
    upstream.settings = UpstreamSettings(application, named: name)
    upstream.range = statement.range
    if let index = draft.upstreamIndices[name] {
      reading.error(
        "there is something else named `\(name)` that routes send requests to",
        mend: "give one of them another name",
        at: statement.arguments.first?.range ?? statement.range,
        notes: [Diagnostic.Note("the first one", reading.place(draft.upstreams[index].range))]
      )
      return
    }
    draft.upstreamIndices[name] = draft.upstreams.count
    draft.upstreams.append(upstream)
  },
  show: { draft, mask in
    .list(
      draft.upstreams.compactMap { upstream in
        guard let application = upstream.settings.application,
          case .object(let members) = applicationDirectives.shown(application, mask)
        else { return nil }
        return .object(
          [JSONValue.Member("name", .text(mask.shown(upstream.settings.name)))] + members
        )
      }
    )
  }
)

extension UpstreamSettings {
  /// The upstream that an application is: one member, which stands for all of its processes.
  init(_ application: ApplicationSettings, named name: String) {
    self.init(
      name: name,
      members: [MemberSettings(address: .unix("app/\(name)"))],
      timeouts: UpstreamTimeouts(firstByte: .seconds(3600), read: .seconds(3600)),
      tryCount: 2
    )
    self.application = application
  }
}

/// `app`, of routes.
let applicationDirective = Directive<RouteDraft>(
  "app",
  form: "NAME",
  "Sends the request to the application of this name.",
  example: "app shop",
  read: { statement, draft, reading in
    guard reading.isOnlyHandler(statement, &draft),
      let word = reading.onlyWord(of: statement, example: "app shop"),
      let name = reading.value(of: word, .name(), in: statement, example: "app shop")
    else { return }
    draft.handler = .proxy(upstream: name)
  },
  show: { draft, mask in
    guard case .proxy(let name)? = draft.handler, draft.handlerStatement?.title == "app" else {
      return nil
    }
    return .text(mask.shown(name))
  }
)
