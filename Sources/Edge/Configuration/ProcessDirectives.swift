import Directives
import MartletSystem

/// What stands in no block.
let fileDirectives = DirectiveTable<FileDraft>(
  "file",
  "What stands outside of every block: the process as a whole, the servers, the blocks of layer 4 and "
    + "the upstreams.",
  makeDefault: { FileDraft() },
  processDirectives + [
    overloadBlock, sharedLimit, issuanceBlock, cacheStoreBlock, sessionsBlock, serverBlock,
  ] + streamBlocks + [udpBlock, upstreamBlock, applicationBlock]
)

private let processDirectives: [Directive<FileDraft>] = [
  .value(
    "user",
    \.process.user,
    .optional(.name(), none: "same"),
    unset: "the user that started it",
    "The user that the edge process runs as.",
    example: "user www-data"
  ),
  .value(
    "group",
    \.process.group,
    .optional(.name(), none: "same"),
    unset: "the user's group",
    "The group that the edge process runs as.",
    example: "group www-data"
  ),
  .value(
    "loops",
    \.process.loopCount,
    .optional(.count(within: 1...256), none: "auto"),
    unset: "auto: one for each core",
    "How many event loops answer requests.",
    example: "loops 4"
  ),
  .value(
    "polling",
    \.process.polling,
    .optional(.choice(PollingModel.allCases.map { ($0.rawValue, $0) }), none: "auto"),
    unset: "auto: `epoll`",
    "How loops learn which connections are ready; `select` has room for 1,024 descriptors alone.",
    example: "polling io_uring"
  ),
  .value(
    "state_directory",
    \.process.stateDirectory,
    .optional(.path, none: "auto"),
    unset: "auto: chosen by the program",
    "Where the control socket and Unix sockets with a relative path are.",
    example: "state_directory /run/martlet"
  ),
  .value(
    "admin",
    \.process.adminListener,
    .optional(.listener, none: "off"),
    "Where commands and metrics are answered; whoever reaches it may read everything.",
    example: "admin unix:admin.sock"
  ),
  errorLog,
  .value(
    "drain_limit",
    \.process.drainLimit,
    .duration(within: .seconds(0) ... .seconds(86_400)),
    "How long requests may go on after a stop, a reload or an upgrade.",
    example: "drain_limit 30s"
  ),
  .value(
    "hang_limit",
    \.process.hangLimit,
    .optional(.duration(within: .seconds(2) ... .seconds(3600)), none: "off"),
    "How long a loop of the edge process may stand still until the process is ended and another "
      + "started.",
    example: "hang_limit 10s"
  ),
  .value(
    "max_connections",
    \.process.maxConnectionCount,
    .count(within: 1...4_000_000),
    "How many client connections may be open at once, all loops together.",
    example: "max_connections 65536"
  ),
  .value(
    "compress_memory",
    \.process.compressionMemory,
    .size(within: 1 << 20...1 << 36),
    "How many bytes of memory `compress` may take, all loops together; when they are taken, answers are sent as "
      + "they are.",
    example: "compress_memory 512MB"
  ),
]

private let errorLog = Directive<FileDraft>(
  "error_log",
  form: "stdout|stderr|PATH [debug|info|notice|warning|error]",
  words: ["stdout", "stderr"] + ErrorLogSettings.Level.allCases.map(\.rawValue),
  defaultText: "stderr notice",
  "Where errors are written, and the least grave level that is.",
  example: "error_log /var/log/martlet/error.log warning",
  read: { statement, draft, reading in
    let example = "error_log stderr notice"
    guard let word = statement.arguments.first else {
      return reading.lacksValue(statement, example: example)
    }
    if let destination = reading.value(of: word, .destination, in: statement, example: example) {
      draft.process.errorLog.destination = destination
    }
    if statement.arguments.count > 1,
      let level: ErrorLogSettings.Level = reading.value(
        of: statement.arguments[1],
        .choice,
        in: statement,
        example: example
      )
    {
      draft.process.errorLog.level = level
    }
    reading.refuseWords(of: statement, from: 2, example: example)
  },
  show: { draft, mask in
    let log = draft.process.errorLog
    let destination = ValueKind<LogDestination>.destination
    return .object([
      JSONValue.Member("to", destination.json(log.destination, mask)),
      JSONValue.Member("level", .text(log.level.rawValue)),
    ])
  }
)

private let serverBlock = Directive<FileDraft>.block(
  "server",
  form: "[NAME…]",
  serverDirectives,
  "Answers requests for these names; without a name, for every one.",
  example:
    "server shop.example *.shop.example {\n  listen :8080\n  route / { respond 200 \"Hello\" }\n}",
  begin: { statement, reading -> ServerDraft? in
    var draft = ServerDraft()
    draft.range = statement.range
    for word in statement.arguments {
      let kind = ValueKind<HostPattern>(
        "NAME",
        read: { text throws(ValueError) in try HostPattern(text) },
        write: { $0.description }
      )
      guard let name = reading.value(of: word, kind, in: statement) else { continue }
      if draft.settings.names.contains(name) {
        reading.warning("the name `\(name)` stands twice", mend: "remove one", at: word.range)
        continue
      }
      draft.settings.names.append(name)
      draft.nameRanges.append(word.range)
    }
    return draft
  },
  end: { server, _, draft, _ in draft.servers.append(server) },
  show: { draft, mask in
    .list(
      draft.servers.map { server in
        let names = JSONValue.Member(
          "names",
          .list(server.settings.names.map { .text(mask.shown($0.description)) })
        )
        guard case .object(let members) = serverDirectives.shown(server, mask) else { return .null }
        return .object([names] + members)
      }
    )
  }
)

private let upstreamBlock = Directive<FileDraft>.block(
  "upstream",
  form: "NAME",
  upstreamDirectives,
  "A named group of members that routes send requests to.",
  example: "upstream api {\n  member 127.0.0.1:9001\n  member 127.0.0.1:9002\n}",
  begin: { statement, reading -> UpstreamDraft? in
    guard let word = reading.onlyWord(of: statement, example: "upstream api { … }"),
      let name = reading.value(of: word, .name(), in: statement, example: "upstream api { … }")
    else { return nil }
    var draft = UpstreamDraft()
    draft.settings.name = name
    draft.range = statement.range
    return draft
  },
  end: { upstream, _, draft, reading in
    let name = upstream.settings.name
    if let index = draft.upstreamIndices[name] {
      let first = draft.upstreams[index]
      reading.error(
        "there are two upstreams named `\(name)`",
        mend: "give one of them another name",
        at: upstream.range,
        notes: [Diagnostic.Note("the first one", reading.place(first.range))]
      )
    } else {
      draft.upstreamIndices[name] = draft.upstreams.count
      draft.upstreams.append(upstream)
    }
  },
  show: { draft, mask in
    .list(
      draft.upstreams.filter { $0.settings.application == nil }.map { upstream in
        let name = JSONValue.Member("name", .text(mask.shown(upstream.settings.name)))
        guard case .object(let members) = upstreamDirectives.shown(upstream, mask) else {
          return .null
        }
        return .object([name] + members)
      }
    )
  }
)
