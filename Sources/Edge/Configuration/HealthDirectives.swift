import Directives

// `check`, `eject` and `on_change` of an upstream.

let healthDirectives: [Directive<UpstreamDraft>] = [
  .block(
    "check",
    form: "KIND",
    checkDirectives,
    need: .optional,
    words: CheckSettings.Kind.allCases.map(\.rawValue),
    "Asks members, again and again, whether they serve; those that do not get no request. KIND is "
      + kindNames + ".",
    example: "check http {\n  path /healthz\n  interval 5s\n}",
    begin: { statement, reading -> CheckSettings? in
      let example = "check http { path /healthz }"
      guard let word = reading.onlyWord(of: statement, example: example),
        let kind = reading.value(of: word, ValueKind.choice, in: statement, example: example)
          as CheckSettings.Kind?
      else { return nil }
      return CheckSettings(kind)
    },
    end: { settings, statement, draft, reading in
      if let first = draft.checkStatement {
        reading.error(
          "the upstream has a check already",
          mend: "remove one of them",
          at: statement.range,
          notes: [Diagnostic.Note("the first one", reading.place(first.range))]
        )
        return
      }
      draft.checkStatement = statement
      draft.settings.check = settings
      reading.checkFit(of: settings, statement)
    },
    show: { draft, mask in
      guard let check = draft.settings.check else { return .null }
      guard case .object(let members) = checkDirectives.shown(check, mask) else { return .null }
      return .object([JSONValue.Member("kind", .text(check.kind.rawValue))] + members)
    }
  ),
  .block(
    "eject",
    form: "",
    ejectDirectives,
    need: .optional,
    words: [],
    "Takes members out of service, for a time, whose answers to requests show that they do not serve.",
    example: "eject {\n  failures 5\n  time 30s\n}",
    begin: { statement, reading -> EjectSettings? in
      reading.refuseWords(of: statement, from: 0, example: "eject { failures 5 }")
      return EjectSettings()
    },
    end: { settings, statement, draft, reading in
      if let first = draft.ejectStatement {
        reading.error(
          "the upstream has an `eject` already",
          mend: "remove one of them",
          at: statement.range,
          notes: [Diagnostic.Note("the first one", reading.place(first.range))]
        )
        return
      }
      draft.ejectStatement = statement
      draft.settings.eject = settings
      if settings.failureCount == nil, settings.failurePercent == nil,
        settings.deviationThousandths == nil
      {
        reading.warning(
          "nothing ejects a member here",
          mend: "write `failures 5`, `failure_share 50%` or `deviation 1.9` into its block",
          at: statement.range
        )
      }
    },
    show: { draft, mask in draft.settings.eject.map { ejectDirectives.shown($0, mask) } ?? .null }
  ),
  .list(
    "on_change",
    \.settings.changeCommand,
    .text("WORD", maxBytes: 4096),
    "A program that is run, by its whole path with its arguments, when a member goes down, comes up, is "
      + "ejected or returns.",
    example: "on_change /usr/local/bin/tell-operator"
  ),
]

private let kindNames: String = {
  let names = CheckSettings.Kind.allCases.map { "`\($0.rawValue)`" }
  return names.dropLast().joined(separator: ", ") + " or " + (names.last ?? "")
}()

/// What stands in an `eject`.
let ejectDirectives = DirectiveTable<EjectSettings>(
  "eject",
  "When members are taken out of service for their answers to requests.",
  makeDefault: { EjectSettings() },
  [
    .value(
      "failures",
      \.failureCount,
      .optional(.count(within: 1...1_000_000), none: "off"),
      "So many failures one behind the other eject a member, all loops together.",
      example: "failures 3"
    ),
    .value(
      "failure_share",
      \.failurePercent,
      .optional(.percent(within: 1...100), none: "off"),
      "So large a share of the requests of a window ejects a member.",
      example: "failure_share 40%"
    ),
    .value(
      "deviation",
      \.deviationThousandths,
      .optional(.decimal(within: 100...100_000), none: "off"),
      "How many standard deviations a member's share of successes may lie below the mean of all.",
      example: "deviation 1.9"
    ),
    .list(
      "status",
      \.statuses,
      .statuses,
      unset: "500-599",
      "The statuses that count as failures, besides connections that fail and answers that are late, cut "
        + "or malformed.",
      example: "status 502-504"
    ),
    .value(
      "min_requests",
      \.leastRequestCount,
      .count(within: 1...1_000_000),
      "The fewest requests of a member in a window of which a share is told.",
      example: "min_requests 50"
    ),
    .value(
      "min_members",
      \.leastMemberCount,
      .count(within: 2...10_000),
      "The fewest members with so many requests that `deviation` compares.",
      example: "min_members 5"
    ),
    .value(
      "window",
      \.window,
      .duration(within: .seconds(1) ... .seconds(3600)),
      "How long requests are counted until they are judged.",
      example: "window 30s"
    ),
    .value(
      "time",
      \.time,
      .duration(within: .milliseconds(100) ... .seconds(86_400)),
      "How long the first ejection of a member takes; each further one takes twice as long.",
      example: "time 10s"
    ),
    .value(
      "max_time",
      \.longestTime,
      .duration(within: .milliseconds(100) ... .seconds(86_400)),
      "The longest ejection.",
      example: "max_time 10m"
    ),
    .value(
      "max_ejected",
      \.largestPercent,
      .percent(within: 0...100),
      "The largest share of the members that may be ejected at once, rounded down; 100% also takes the "
        + "last one.",
      example: "max_ejected 34%"
    ),
  ]
)

/// The kinds of check that a directive is for; the others are for all.
private let homesOfTalk: [String: [CheckSettings.Kind]] = [
  "path": [.http], "method": [.http], "host": [.http], "header": [.http], "status": [.http],
  "body": [.http], "keep_alive": [.http, .redis], "send": [.tcp, .udp], "expect": [.tcp, .udp],
  "server_name": [.tls, .grpc], "service": [.grpc], "user": [.postgresql], "command": [.script],
  "port": [.tcp, .http, .tls, .udp, .redis, .postgresql, .mysql, .grpc],
  "address": [.tcp, .http, .tls, .icmp, .udp, .redis, .postgresql, .mysql, .grpc],
]

extension Reading {
  /// Notes what the kind of a check cannot use, and what it lacks.
  fileprivate mutating func checkFit(of settings: CheckSettings, _ statement: Statement) {
    let kind = settings.kind
    for inner in statement.block ?? [] {
      guard let kinds = homesOfTalk[inner.title], !kinds.contains(kind) else { continue }
      let names = kinds.map { "`check \($0.rawValue)`" }.joined(separator: " or ")
      error(
        "`\(inner.title)` means nothing to `check \(kind.rawValue)`",
        mend: kinds.count > 3 ? "remove it" : "it is for \(names)",
        at: inner.range
      )
    }
    if kind == .udp, settings.send.isEmpty {
      error(
        "`check udp` sends something",
        mend: "write `send ping` into its block",
        at: statement.range
      )
    }
    if kind == .script {
      if let program = settings.command.first, !program.hasPrefix("/") {
        error("a program is named by its whole path", at: statement.range)
      } else if settings.command.isEmpty {
        error(
          "`check script` runs a program",
          mend: "write `command /usr/local/bin/check-app` into its block",
          at: statement.range
        )
      }
    }
    if settings.http.method == "HEAD", settings.http.body != nil {
      error("an answer to HEAD has no body", mend: "write `method GET`", at: statement.range)
    }
  }

  /// Notes members that a check cannot ask.
  mutating func checkMembers(of upstream: UpstreamDraft) {
    if let program = upstream.settings.changeCommand.first, !program.hasPrefix("/") {
      error(
        "`on_change` names a program by its whole path, `\(program)` is none",
        mend: "write `on_change /usr/local/bin/\(program)`",
        at: upstream.range
      )
    }
    guard let check = upstream.settings.check, let statement = upstream.checkStatement else {
      return
    }
    let needsPort = [.icmp, .udp].contains(check.kind) || check.port != nil
    for member in upstream.settings.members
    where member.address.port == nil && check.address == nil && needsPort {
      error(
        "the member `\(member.address)` is a Unix socket: it has no address that can be asked so",
        mend: "write `check tcp` or `check http`",
        at: statement.range
      )
    }
  }
}
