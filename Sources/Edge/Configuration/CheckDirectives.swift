import Directives

/// What stands in a check.
let checkDirectives = DirectiveTable<CheckSettings>(
  "check",
  "How the members of an upstream are asked, again and again, whether they serve.",
  makeDefault: { CheckSettings(.tcp) },
  timeDirectives + talkDirectives
)

private let intervals: ClosedRange<Duration> = .milliseconds(100) ... .seconds(86_400)

private let timeDirectives: [Directive<CheckSettings>] = [
  .value(
    "interval",
    \.interval,
    .duration(within: intervals),
    "From the beginning of one check of a member to that of the next.",
    example: "interval 5s"
  ),
  .value(
    "fast_interval",
    \.fastInterval,
    .optional(.duration(within: intervals), none: "same"),
    unset: "same: that of `interval`",
    "The interval while a member is on its way up or down.",
    example: "fast_interval 500ms"
  ),
  .value(
    "down_interval",
    \.downInterval,
    .optional(.duration(within: intervals), none: "same"),
    unset: "same: that of `interval`",
    "The interval while a member is down.",
    example: "down_interval 1s"
  ),
  .value(
    "jitter",
    \.jitterPercent,
    .percent(within: 0...50),
    "By how much an interval may be longer or shorter, by chance.",
    example: "jitter 20%"
  ),
  .value(
    "rise",
    \.rise,
    .count(within: 1...1000),
    "How many checks one behind the other must pass until a member that is down is up.",
    example: "rise 3"
  ),
  .value(
    "fall",
    \.fall,
    .count(within: 1...1000),
    "How many checks one behind the other must fail until a member that is up is down.",
    example: "fall 2"
  ),
  .value(
    "timeout",
    \.timeout,
    .duration(within: .milliseconds(10) ... .seconds(600)),
    "How long a check may take, from its connection to the end of the answer.",
    example: "timeout 500ms"
  ),
  .value(
    "port",
    \.port,
    .optional(.checkedPort, none: "same"),
    unset: "same: the member's",
    "The port that is asked in place of the member's.",
    example: "port 8081"
  ),
  .value(
    "address",
    \.address,
    .optional(.host, none: "same"),
    unset: "same: the member's",
    "The address that is asked in place of the member's.",
    example: "address 127.0.0.1"
  ),
]

private let talkDirectives: [Directive<CheckSettings>] = [
  .value(
    "path",
    \.http.path,
    .requestPath,
    "What is asked for, with its query. For `check http`.",
    example: "path /healthz"
  ),
  .value(
    "method",
    \.http.method,
    .choice(["GET", "HEAD", "OPTIONS", "POST"].map { ($0, $0) }),
    "The method; POST has an empty body. For `check http`.",
    example: "method HEAD"
  ),
  .value(
    "host",
    \.http.host,
    .optional(.requestHost, none: "member"),
    unset: "member: its address",
    "The `Host` that is asked for. For `check http`.",
    example: "host api.internal"
  ),
  header,
  .list(
    "status",
    \.http.statuses,
    .statuses,
    unset: "200-399",
    "The statuses that pass: `200`, `200-299` or `2xx`. For `check http`.",
    example: "status 200-299 404"
  ),
  .value(
    "body",
    \.http.body,
    .optional(.sought, none: "any"),
    "A text that the first 256 KB of the body must have in it; `*` stands for anything. For `check http`.",
    example: "body \"\\\"status\\\":\\\"ok\\\"\""
  ),
  .value(
    "keep_alive",
    \.keepsConnection,
    .flag,
    "Whether the connection stays open between two checks. For `check http` and `check redis`.",
    example: "keep_alive on"
  ),
  .value(
    "send",
    \.send,
    .payload,
    unset: "nothing",
    "What is sent. For `check tcp` and `check udp`.",
    example: "send \"STATUS\\r\\n\""
  ),
  .value(
    "expect",
    \.expect,
    .optional(.sought, none: "any"),
    "A text that the answer must have in its first 64 KB; `*` stands for anything. For `check tcp` and "
      + "`check udp`.",
    example: "expect \"220 *ESMTP\""
  ),
  .value(
    "server_name",
    \.serverName,
    .optional(.requestHost, none: "none"),
    "The name of the server that is asked for. For `check tls` and `check grpc`.",
    example: "server_name api.internal"
  ),
  .value(
    "service",
    \.service,
    .optional(.text("NAME", maxBytes: 1024), none: "all"),
    unset: "all: the server as a whole",
    "The service that is asked about. For `check grpc`.",
    example: "service helloworld.Greeter"
  ),
  .value(
    "user",
    \.user,
    .name(),
    "The user in whose name a session is begun; it need not exist. For `check postgresql`.",
    example: "user probe"
  ),
  .list(
    "command",
    \.command,
    .text("WORD", maxBytes: 4096),
    "The program that is run, by its whole path, with its arguments. For `check script`.",
    example: "command /usr/local/bin/check-app --quick"
  ),
]

private let header = Directive<CheckSettings>(
  "header",
  form: "NAME VALUE",
  repeats: true,
  "A further field of the request. For `check http`.",
  example: "header X-Check yes",
  read: { statement, settings, reading in
    let example = "header X-Check yes"
    guard statement.arguments.count > 1 else {
      return reading.lacksValue(statement, example: example)
    }
    reading.refuseWords(of: statement, from: 2, example: example)
    let words = statement.arguments
    let name = reading.value(of: words[0], .fieldName, in: statement, example: example)
    let value = reading.value(
      of: words[1],
      .text("VALUE", maxBytes: 4096),
      in: statement,
      example: example
    )
    guard let name, let value else { return }
    guard !fixedFields.contains(name.lowercased()) else {
      return reading.error(
        "a check writes `\(name)` itself",
        mend: name.lowercased() == "host" ? "write `host \(value)`" : "remove it",
        at: words[0].range
      )
    }
    settings.http.fields.append(CheckSettings.Field(name: name, value: value))
  },
  show: { settings, mask in
    .list(
      settings.http.fields.map { field in
        .object([
          JSONValue.Member("name", .text(field.name)),
          JSONValue.Member("value", .text(mask.shown(field.value))),
        ])
      }
    )
  }
)

private let fixedFields: Set = ["host", "connection", "content-length", "transfer-encoding"]

extension ValueKind where Value == UInt16 {
  fileprivate static var checkedPort: ValueKind {
    let number = ValueKind<Int>.count(within: 1...65_535)
    return ValueKind(
      "NUMBER",
      bounds: number.bounds,
      read: { text throws(ValueError) in UInt16(truncatingIfNeeded: try number.read(text)) },
      write: { "\($0)" },
      json: { value, _ in .number(Int(value)) }
    )
  }
}
