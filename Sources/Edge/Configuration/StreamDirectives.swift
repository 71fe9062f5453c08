import Directives

/// A `tcp` block with its places.
struct TCPDraft: Sendable {
  var settings = TCPSettings()
  var range = SourceRange(source: 0, start: 0, end: 0)
  /// One for each listener.
  var listenerRanges: [SourceRange] = []
  /// The directive that says where the bytes go.
  var proxyStatement: Statement?
  /// The members of `proxy ADDRESS…`.
  var members: [Address] = []
  var routes: [StreamRouteDraft] = []
  var limits = LimitDraft()
}

/// The blocks of layer 4.
let streamBlocks: [Directive<FileDraft>] = [
  .block(
    "tcp",
    form: "",
    tcpDirectives,
    "Passes TCP connections to an upstream, byte for byte.",
    example: "tcp {\n  listen :5432\n  proxy 127.0.0.1:5433\n}",
    begin: { statement, reading -> TCPDraft? in
      if let word = statement.arguments.first {
        reading.error("`tcp` has no name", mend: "write `tcp { … }`", at: word.range)
        return nil
      }
      var draft = TCPDraft()
      draft.range = statement.range
      return draft
    },
    end: { tcp, statement, draft, reading in
      if tcp.proxyStatement == nil {
        reading.error(
          "the block does not say where the bytes go",
          mend: "write `proxy 127.0.0.1:5433`, or `proxy NAME` with an upstream, into it",
          at: statement.range
        )
      }
      var tcp = tcp
      tcp.settings.routes = tcp.routes.map(\.settings)
      draft.tcp.append(tcp)
    },
    show: { draft, mask in .list(draft.tcp.map { tcpDirectives.shown($0, mask) }) }
  )
]

/// What stands in a `tcp` block.
let tcpDirectives = DirectiveTable<TCPDraft>(
  "tcp",
  "A block that passes TCP connections to the members of an upstream, byte for byte. Limits, balancing "
    + "and the state of members are the same as for requests.",
  makeDefault: { TCPDraft() },
  [
    listen,
    proxy,
    streamRouteBlock,
    .value(
      "inspect_timeout",
      \.settings.inspectTimeout,
      .duration(within: .milliseconds(10) ... .seconds(60)),
      "How long the first bytes of a client may take, where routes ask for them; one that says nothing "
        + "until then `speaks nothing`.",
      example: "inspect_timeout 500ms"
    ),
    .value(
      "connect_timeout",
      \.settings.connectTimeout,
      .given(.duration(within: connectTimes)),
      unset: "that of the upstream",
      "How long a connection to a member may take to open; then the next member is tried.",
      example: "connect_timeout 2s"
    ),
    .value(
      "idle_timeout",
      \.settings.idleTimeout,
      .duration(within: waitTimes),
      "How long neither side may send a byte, or a side take none; then the connection ends.",
      example: "idle_timeout 10m"
    ),
    .value(
      "total_timeout",
      \.settings.totalTimeout,
      .optional(.duration(within: waitTimes), none: "none"),
      "How long a connection may last in all; then it is reset.",
      example: "total_timeout 12h"
    ),
    .value(
      "tries",
      \.settings.tryCount,
      .given(.count(within: 1...100)),
      unset: "that of the upstream",
      "How many members one connection may be offered to, if they cannot be connected to.",
      example: "tries 2"
    ),
    .value(
      "max_connections",
      \.settings.maxConnectionCount,
      .optional(.count(within: 1...4_000_000), none: "none"),
      "How many connections of this block may be open at once, all loops together; others wait to be "
        + "accepted.",
      example: "max_connections 1000"
    ),
    streamLimit,
    .value(
      "source",
      \.settings.source,
      .streamSource,
      "From which address members are connected to: the one that the kernel chooses, this one, or the "
        + "client's, for which the edge process needs the capability CAP_NET_ADMIN.",
      example: "source 127.0.0.2"
    ),
    accessLog,
  ]
)

private let listenOptions: [WordOption<StreamListener>] = [
  .value("backlog", \.backlogCount, .count(within: 1...65_535)),
  .mark("reuse_port", \.reusesPort),
  .value("proxy_protocol", \.proxy.demand, .choice),
  .list("from", \.proxy.senders, .network),
  .value("timeout", \.proxy.timeout, .duration(within: proxyTimes)),
]

private let listen = Directive<TCPDraft>(
  "listen",
  form: "ADDRESS " + listenOptions.map(\.form).joined(separator: " "),
  bounds: "backlog 1 to 65535, timeout 100ms to 1m",
  repeats: true,
  words: listenOptions.map(\.name),
  defaultText: "backlog 511 proxy_protocol off timeout 5s",
  "Where connections are accepted. With `reuse_port` other processes of the same user may listen there "
    + "too, and the kernel deals connections out. With `proxy_protocol` those of the senders behind `from` begin with a "
    + "PROXY header, which says who the client is, within `timeout`.",
  example: "listen :5432 backlog 1024",
  read: { statement, draft, reading in
    let example = "listen :5432"
    guard let word = statement.arguments.first else {
      return reading.lacksValue(statement, example: example)
    }
    let address = reading.value(of: word, .listener, in: statement, example: example)
    var listener = StreamListener(address: address ?? .any(port: 1))
    reading.options(of: statement, from: 1, listenOptions, into: &listener, example: example)
    guard let address else { return }
    reading.check(listener.proxy, of: address, in: statement)
    draft.settings.listeners.append(listener)
    draft.listenerRanges.append(statement.range)
  },
  show: { draft, mask in
    .list(
      draft.settings.listeners.map { listener in
        .object([
          JSONValue.Member("address", .text(mask.shown(listener.address.description))),
          JSONValue.Member("backlog", .number(listener.backlogCount)),
          JSONValue.Member("reuse_port", .flag(listener.reusesPort)),
          JSONValue.Member("proxy_protocol", listener.proxy.json),
        ])
      }
    )
  }
)

private let proxy = Directive<TCPDraft>(
  "proxy",
  form: "UPSTREAM, or ADDRESS…",
  "Passes the bytes to a member of the upstream of this name, or of these addresses.",
  example: "proxy 127.0.0.1:5433 127.0.0.1:5434",
  read: { statement, draft, reading in
    draft.proxyStatement = statement
    guard let target = reading.proxyTarget(of: statement, example: "proxy 127.0.0.1:5433") else {
      return
    }
    draft.settings.upstream = target.name
    draft.members = target.members
  },
  show: { draft, mask in .text(mask.shown(draft.settings.upstream)) }
)

private let accessLog = Directive<TCPDraft>.accessLog(
  \.settings.accessLog,
  [.text, .json],
  "Where connections are recorded when they end, and in which form.",
  example: "access_log /var/log/martlet/tcp.log json"
)

extension ValueKind where Value == StreamSource {
  /// `any`, `transparent`, or an address without a port.
  static var streamSource: ValueKind {
    ValueKind(
      "any|transparent|IP",
      words: ["any", "transparent"],
      read: { text throws(ValueError) in
        switch text {
        case "any": return .any
        case "transparent": return .transparent
        default:
          if let address = IPAddress(text) { return .address(address) }
          if let port = text.lastIndex(of: ":"), IPAddress(String(text[..<port])) != nil {
            throw ValueError("the port is chosen by the kernel", mend: String(text[..<port]))
          }
          throw ValueError("`\(text)` is not an address", mend: "127.0.0.2")
        }
      },
      write: { source in
        switch source {
        case .any: "any"
        case .transparent: "transparent"
        case .address(let address): "\(address)"
        }
      }
    )
  }
}

// What can only be known when everything is read.
extension Reading {
  /// Notes listeners of layer 4 that nobody can reach, or that others have already.
  mutating func checkStreams(_ draft: FileDraft) {
    var firsts: [Address: SourceRange] = [:]
    for server in draft.servers {
      for (listener, range) in zip(server.settings.listeners, server.listenerRanges)
      where firsts[listener.address] == nil {
        firsts[listener.address] = range
      }
    }
    for tcp in draft.tcp {
      if tcp.settings.listeners.isEmpty, !hasErrors {
        warning(
          "the block listens nowhere, no connection can reach it",
          mend: "write `listen :5432` into it",
          at: tcp.range
        )
      }
      for (listener, range) in zip(tcp.settings.listeners, tcp.listenerRanges) {
        guard let first = firsts[listener.address] else {
          firsts[listener.address] = range
          continue
        }
        error(
          "`\(listener.address)` is listened on already",
          mend: "give one of them another address",
          at: range,
          notes: [Diagnostic.Note("the first one", place(first))]
        )
      }
      checkSource(of: tcp)
    }
  }

  /// Notes that a source does not fit its members.
  private mutating func checkSource(of tcp: TCPDraft) {
    let isUnix = tcp.settings.listeners.contains {
      if case .unix = $0.address { true } else { false }
    }
    if tcp.settings.source == .transparent, isUnix {
      error(
        "clients of a Unix socket have no address that `source transparent` could use",
        mend: "remove `source`, or listen on an address",
        at: tcp.range
      )
    }
  }
}
