import Directives

private let memberHTTP2Options: [WordOption<MemberHTTP2Settings>] = [
  .value("streams", \.streamCount, .count(within: 1...1000)),
  .value(
    "ping",
    \.pingInterval,
    .optional(.duration(within: .seconds(1) ... .seconds(3600)), none: "never")
  ),
]

/// The directive of upstreams about HTTP/2.
let memberHTTP2Directive = Directive<UpstreamDraft>(
  "http2",
  form: "on|off " + memberHTTP2Options.map(\.form).joined(separator: " "),
  bounds: "streams 1 to 1000, ping 1s to 1h",
  words: ["on", "off"] + memberHTTP2Options.map(\.name),
  defaultText: "off",
  "Speaks HTTP/2 with members: many requests at a time, `streams` (100) at most, share a connection. "
    + "With `tls` members may choose HTTP/1.1 instead; without it they must know HTTP/2 beforehand. With "
    + "`ping` a member that is silent for so long, while requests wait for it, is asked whether it "
    + "lives, and its connection is closed when it does not answer in the same time.",
  example: "http2 on streams 50 ping 30s",
  read: { statement, draft, reading in
    let example = "http2 on"
    guard let word = statement.arguments.first else {
      return reading.lacksValue(statement, example: example)
    }
    guard let isOn = reading.value(of: word, .flag, in: statement, example: example) else { return }
    guard isOn else {
      draft.settings.http2 = nil
      return reading.refuseWords(of: statement, from: 1, example: "http2 off")
    }
    var settings = MemberHTTP2Settings()
    reading.options(of: statement, from: 1, memberHTTP2Options, into: &settings, example: example)
    draft.settings.http2 = settings
    draft.http2Range = statement.range
  },
  show: { draft, _ in
    guard let settings = draft.settings.http2 else { return .flag(false) }
    let duration = ValueKind<Duration>.duration(within: .zero ... .seconds(3600))
    return .object([
      JSONValue.Member("streams", .number(settings.streamCount)),
      JSONValue.Member("ping", settings.pingInterval.map { .text(duration.write($0)) } ?? .null),
    ])
  }
)

extension Reading {
  /// Notes what does not go together with HTTP/2.
  mutating func checkHTTP2(of upstream: UpstreamDraft) {
    guard upstream.settings.http2 != nil, upstream.settings.proxyProtocol != nil else { return }
    error(
      "a PROXY header and HTTP/2 do not go together towards members: requests of several clients share "
        + "a connection",
      mend: "remove `proxy_protocol` or `http2`",
      at: upstream.http2Range
    )
  }
}
