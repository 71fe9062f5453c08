import Directives

/// What stands in an upstream.
let upstreamDirectives = DirectiveTable<UpstreamDraft>(
  "upstream",
  "A named group of members. `route` sends requests to it by `proxy NAME`.",
  makeDefault: { UpstreamDraft() },
  balanceDirectives + [
    member,
    .value(
      "host",
      \.settings.host,
      .upstreamHost,
      "The `Host` that members are sent: the client's, the member's address, or this one.",
      example: "host app.internal"
    ),
    proxyProtocolDirective,
    memberTLSBlock,
    memberHTTP2Directive,
    .value(
      "tries",
      \.settings.tryCount,
      .count(within: 1...100),
      "How often one request may be tried in all, on other members if there are any.",
      example: "tries 2"
    ),
    retryBlock,
    breakerBlock,
    hedge,
    .value(
      "connect_timeout",
      \.settings.timeouts.connect,
      .duration(within: connectTimes),
      "How long a connection to a member may take to open.",
      example: "connect_timeout 2s"
    ),
    .value(
      "first_byte_timeout",
      \.settings.timeouts.firstByte,
      .duration(within: waitTimes),
      "How long a member may take from the end of the request to the first byte of its answer.",
      example: "first_byte_timeout 30s"
    ),
    .value(
      "read_timeout",
      \.settings.timeouts.read,
      .duration(within: waitTimes),
      "How long a member may pause inside of its answer.",
      example: "read_timeout 30s"
    ),
    .value(
      "write_timeout",
      \.settings.timeouts.write,
      .duration(within: waitTimes),
      "How long a member may take no bytes of a request.",
      example: "write_timeout 30s"
    ),
    .value(
      "tunnel_timeout",
      \.settings.timeouts.tunnel,
      .duration(within: waitTimes),
      "How long neither side of a WebSocket, or of another tunnel, may say anything.",
      example: "tunnel_timeout 5m"
    ),
    .value(
      "websocket_ping",
      \.settings.timeouts.webSocketPing,
      .optional(.duration(within: pingTimes), none: "never"),
      "After how long a WebSocket on which nobody says anything asks its client whether it is there, by a ping; it "
        + "ends when the client says nothing for as long again.",
      example: "websocket_ping 30s"
    ),
    .value(
      "total_timeout",
      \.settings.timeouts.total,
      .optional(.duration(within: waitTimes), none: "none"),
      "How long the whole exchange may take, all tries together.",
      example: "total_timeout 5m"
    ),
    .value(
      "idle_connections",
      \.settings.pool.idleCount,
      .count(within: 0...10_000),
      "How many connections wait for their next request, for each loop and member; 0 keeps none.",
      example: "idle_connections 1000"
    ),
    .value(
      "idle_time",
      \.settings.pool.idleTime,
      .duration(within: .milliseconds(100) ... .seconds(86_400)),
      "How long a connection may wait for its next request.",
      example: "idle_time 30s"
    ),
    .value(
      "max_age",
      \.settings.pool.maxAge,
      .duration(within: .seconds(1) ... .seconds(30 * 86_400)),
      "How old a connection may become.",
      example: "max_age 10m"
    ),
    .value(
      "max_requests",
      \.settings.pool.maxRequestCount,
      .count(within: 1...1_000_000_000),
      "How many requests a connection may carry.",
      example: "max_requests 10000"
    ),
    .value(
      "resolve_interval",
      \.settings.resolveInterval,
      .duration(within: .seconds(1) ... .seconds(86_400)),
      "How often the names of members are asked for anew.",
      example: "resolve_interval 10s"
    ),
    queueBlock,
    stickyDirective,
    stickyKeyDirective,
  ] + healthDirectives
)

let connectTimes: ClosedRange<Duration> = .milliseconds(1) ... .seconds(600)
let pingTimes: ClosedRange<Duration> = .milliseconds(100) ... .seconds(3600)
let waitTimes: ClosedRange<Duration> = .milliseconds(1) ... .seconds(86_400)

private let memberOptions: [WordOption<MemberSettings>] = [
  .value("weight", \.weight, .count(within: 0...256)),
  .value("tier", \.tier, .count(within: 1...16)),
  .mark("backup", \.isBackup),
  .value(
    "max_connections",
    \.maxConnectionCount,
    .optional(.count(within: 1...1_000_000), none: "none")
  ),
  .value("mode", \.mode, .memberMode),
]

private let member = Directive<UpstreamDraft>(
  "member",
  form: "ADDRESS " + memberOptions.map(\.form).joined(separator: " "),
  bounds: "weight 0 to 256 (0: drained), tier 1 to 16, max_connections 1 to 1000000",
  repeats: true,
  words: memberOptions.map(\.name),
  defaultText: "weight 1 tier 1",
  "One server of the upstream, by address, by name or by Unix socket.",
  example: "member app-1.internal:9001 weight 2",
  read: { statement, draft, reading in
    let example = "member 127.0.0.1:9001 weight 2"
    draft.namesMember = true
    guard let word = statement.arguments.first else {
      return reading.lacksValue(statement, example: example)
    }
    let address = reading.value(of: word, .member, in: statement, example: example)
    var member = MemberSettings(address: address ?? .any(port: 1))
    reading.options(of: statement, from: 1, memberOptions, into: &member, example: example)
    guard address != nil else { return }
    if let index = draft.settings.members.firstIndex(where: { $0.address == member.address }) {
      reading.warning(
        "`\(member.address)` is a member already, so it gets twice its share",
        mend: "remove it, and write `weight` to give it a larger share",
        at: statement.range,
        notes: [Diagnostic.Note("the first one", reading.place(draft.memberRanges[index]))]
      )
    }
    draft.settings.members.append(member)
    draft.memberRanges.append(statement.range)
  },
  show: { draft, mask in
    .list(
      draft.settings.members.map { member in
        .object([
          JSONValue.Member("address", .text(mask.shown(member.address.description))),
          JSONValue.Member("weight", .number(member.weight)),
          JSONValue.Member("tier", .number(member.tier)),
          JSONValue.Member("backup", .flag(member.isBackup)),
          JSONValue.Member(
            "max_connections",
            member.maxConnectionCount.map { .number($0) } ?? .null
          ),
          JSONValue.Member("mode", .text(member.mode.rawValue)),
        ])
      }
    )
  }
)
