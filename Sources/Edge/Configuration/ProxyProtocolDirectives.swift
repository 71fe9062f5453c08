import Directives

/// How long a PROXY header may take to come.
let proxyTimes: ClosedRange<Duration> = .milliseconds(100) ... .seconds(60)

extension Reading {
  /// Notes a listener's words about PROXY headers that do not go together.
  mutating func check(_ proxy: ProxyReception, of address: Address, in statement: Statement) {
    let isUnix = if case .unix = address { true } else { false }
    if proxy.demand != .off, proxy.senders.isEmpty, !isUnix {
      error(
        "`proxy_protocol` does not say whose headers are believed",
        mend: "name the proxies in front, as in `proxy_protocol \(proxy.demand.rawValue) from "
          + "10.0.0.0/8`",
        at: statement.range
      )
    }
    if proxy.demand == .off, !proxy.senders.isEmpty {
      error(
        "`from` is about PROXY headers, which this listener does not read",
        mend: "write `proxy_protocol required` in front of it, or remove it",
        at: statement.range
      )
    }
  }
}

extension ProxyReception {
  var json: JSONValue {
    .object([
      JSONValue.Member("demand", .text(demand.rawValue)),
      JSONValue.Member("from", .list(senders.map { .text($0.description) })),
    ])
  }
}

/// The directive of upstreams that sends PROXY headers.
let proxyProtocolDirective = Directive<UpstreamDraft>(
  "proxy_protocol",
  form: "off|v1|v2 [authority] [alpn] [unique_id] [tls] [crc32c]",
  words: ["off"] + ProxySending.Version.allCases.map(\.rawValue)
    + ProxySending.Value.allCases.map(\.rawValue),
  defaultText: "off",
  "Begins each connection to a member with a PROXY header, which says who the client is; a "
    + "connection then serves one client alone. Version 2 may say more: the host and the protocol "
    + "that the client has asked for by TLS, a name for the connection, what the proxy in front said "
    + "about TLS, a checksum.",
  example: "proxy_protocol v2 authority crc32c",
  read: { statement, draft, reading in
    let example = "proxy_protocol v2"
    guard let word = statement.arguments.first else {
      return reading.lacksValue(statement, example: example)
    }
    let kind = ValueKind<ProxySending.Version?>.optional(.choice, none: "off")
    guard let value = reading.value(of: word, kind, in: statement, example: example) else { return }
    guard let version = value else {
      draft.settings.proxyProtocol = nil
      return reading.refuseWords(of: statement, from: 1, example: "proxy_protocol off")
    }
    var sending = ProxySending(version: version)
    for word in statement.arguments.dropFirst() {
      let read: ProxySending.Value? = reading.value(
        of: word,
        .choice,
        in: statement,
        example: example
      )
      guard let value = read else { continue }
      if version == .v1 {
        reading.error(
          "a header of version 1 has no place for `\(value.rawValue)`",
          mend: "write `proxy_protocol v2 \(value.rawValue)`",
          at: word.range
        )
      }
      if !sending.values.contains(value) { sending.values.append(value) }
    }
    draft.settings.proxyProtocol = sending
  },
  show: { draft, _ in
    guard let sending = draft.settings.proxyProtocol else { return .null }
    return .object([
      JSONValue.Member("version", .text(sending.version.rawValue)),
      JSONValue.Member("values", .list(sending.values.map { .text($0.rawValue) })),
    ])
  }
)
