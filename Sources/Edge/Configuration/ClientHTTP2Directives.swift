import Directives

private let clientHTTP2Options: [WordOption<ClientHTTP2Settings>] = [
  .value("streams", \.streamCount, .count(within: 1...1000)),
  .value("window", \.windowBytes, .size(within: 64 << 10...16 << 20)),
  .value("connection_window", \.connectionWindowBytes, .size(within: 64 << 10...64 << 20)),
  .value(
    "requests",
    \.requestCount,
    .optional(.count(within: 1...1_000_000_000), none: "unlimited")
  ),
  .value(
    "ping",
    \.pingInterval,
    .optional(.duration(within: .seconds(1) ... .seconds(3600)), none: "never")
  ),
]

/// The directive of servers about HTTP/2.
let clientHTTP2Directive = Directive<ServerDraft>(
  "http2",
  form: "on|off " + clientHTTP2Options.map(\.form).joined(separator: " "),
  bounds: "streams 1 to 1000, window 64KB to 16MB, connection_window 64KB to 64MB, "
    + "requests 1 to 1000000000, ping 1s to 1h",
  words: ["on", "off"] + clientHTTP2Options.map(\.name),
  defaultText:
    "on streams 128 window 1MB connection_window 1MB requests unlimited ping never",
  "Whether clients may speak HTTP/2: over TLS it is offered to them, without TLS they begin with it, "
    + "which is called prior knowledge. A client may have `streams` requests under way at a time, and send "
    + "`window` of each body and `connection_window` of all of them ahead. After `requests` it is told to "
    + "open another connection. With `ping` one that is silent for so long, while it waits for answers, is "
    + "asked whether it lives, and its connection is closed when it does not answer in the same time. Where "
    + "servers share an address, one of them is enough to allow HTTP/2, and the widest values count.",
  example: "http2 on streams 200 requests 10000 ping 30s",
  read: { statement, draft, reading in
    let example = "http2 on"
    guard let word = statement.arguments.first else {
      return reading.lacksValue(statement, example: example)
    }
    guard let isOn = reading.value(of: word, .flag, in: statement, example: example) else { return }
    draft.settings.allowsHTTP2 = isOn
    guard isOn else { return reading.refuseWords(of: statement, from: 1, example: "http2 off") }
    var settings = ClientHTTP2Settings()
    reading.options(of: statement, from: 1, clientHTTP2Options, into: &settings, example: example)
    draft.settings.http2 = settings
  },
  show: { draft, _ in
    guard draft.settings.allowsHTTP2 else { return .flag(false) }
    let settings = draft.settings.http2
    let size = ValueKind<Int>.size(within: 0...64 << 20)
    let duration = ValueKind<Duration>.duration(within: .zero ... .seconds(3600))
    return .object([
      JSONValue.Member("streams", .number(settings.streamCount)),
      JSONValue.Member("window", .text(size.write(settings.windowBytes))),
      JSONValue.Member("connection_window", .text(size.write(settings.connectionWindowBytes))),
      JSONValue.Member("requests", settings.requestCount.map { .number($0) } ?? .null),
      JSONValue.Member("ping", settings.pingInterval.map { .text(duration.write($0)) } ?? .null),
    ])
  }
)
