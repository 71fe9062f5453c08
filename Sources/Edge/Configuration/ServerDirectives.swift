import Directives

/// What stands in a server.
let serverDirectives = DirectiveTable<ServerDraft>(
  "server",
  "A server answers requests for its names on its listeners. Its routes are tried in the order "
    + "written, and the first that matches answers.",
  makeDefault: { ServerDraft() },
  [listen, accessLog] + tlsServerDirectives + forwarding + limits + timeouts + [
    limitDirective(\.limits),
    priorityDirective(\.settings.priority, default: "5"),
    compressDirective(\.settings.compression, default: "off"),
    decompressDirective(\.settings.decompression, default: "off"),
    serverCacheDirective,
    errorPage(\.settings.errorPages),
    routeBlock,
  ]
)

private let listenOptions: [WordOption<ListenerSettings>] = [
  .mark("tls", \.isTLS),
  .value("backlog", \.backlogCount, .count(within: 1...65_535)),
  .mark("reuse_port", \.reusesPort),
  .mark("fallback", \.isFallback),
  .value("proxy_protocol", \.proxy.demand, .choice),
  .list("from", \.proxy.senders, .network),
  .value("timeout", \.proxy.timeout, .duration(within: proxyTimes)),
]

private let listen = Directive<ServerDraft>(
  "listen",
  form: "ADDRESS " + listenOptions.map(\.form).joined(separator: " "),
  bounds: "backlog 1 to 65535, timeout 100ms to 1m",
  repeats: true,
  words: listenOptions.map(\.name),
  defaultText: "backlog 511 proxy_protocol off timeout 5s",
  "Where the server listens; servers may share an address, and `fallback` answers for hosts that "
    + "none of them names. With `tls` the server and its clients speak TLS there, with the server's "
    + "`certificate`. With `reuse_port` other processes of the same user may listen there too, and the "
    + "kernel deals connections out. With `proxy_protocol` connections of the senders behind `from` begin "
    + "with a "
    + "PROXY header, which says who the client is, within `timeout`.",
  example: "listen 127.0.0.1:8080 backlog 1024",
  read: { statement, draft, reading in
    let example = "listen :8080"
    guard let word = statement.arguments.first else {
      return reading.lacksValue(statement, example: example)
    }
    let address = reading.value(of: word, .listener, in: statement, example: example)
    var listener = ListenerSettings(address: address ?? .any(port: 1))
    reading.options(of: statement, from: 1, listenOptions, into: &listener, example: example)
    guard let address else { return }
    reading.check(listener.proxy, of: address, in: statement)
    if let index = draft.settings.listeners.firstIndex(where: { $0.address == address }) {
      reading.warning(
        "the server listens on `\(address)` already; this line changes nothing",
        mend: "remove it",
        at: statement.range,
        notes: [Diagnostic.Note("the first one", reading.place(draft.listenerRanges[index]))]
      )
      return
    }
    draft.settings.listeners.append(listener)
    draft.listenerRanges.append(statement.range)
  },
  show: { draft, mask in
    .list(
      draft.settings.listeners.map { listener in
        .object([
          JSONValue.Member("address", .text(mask.shown(listener.address.description))),
          JSONValue.Member("tls", .flag(listener.isTLS)),
          JSONValue.Member("backlog", .number(listener.backlogCount)),
          JSONValue.Member("reuse_port", .flag(listener.reusesPort)),
          JSONValue.Member("fallback", .flag(listener.isFallback)),
          JSONValue.Member("proxy_protocol", listener.proxy.json),
        ])
      }
    )
  }
)

private let accessLog = Directive<ServerDraft>.accessLog(
  \.settings.accessLog,
  [.combined, .json],
  "Where requests are recorded, and in which form.",
  example: "access_log /var/log/martlet/access.log json"
)

private let forwarding: [Directive<ServerDraft>] = [
  clientHTTP2Directive,
  .list(
    "trusted_proxies",
    \.settings.trustedProxies,
    .network,
    unset: "none",
    "Peers whose `Forwarded` and `X-Forwarded-*` fields are believed.",
    example: "trusted_proxies 10.0.0.0/8 2001:db8::/32"
  ),
  .value(
    "forwarded",
    \.settings.forwarded,
    .choice,
    "Which fields tell a member about the client.",
    example: "forwarded both"
  ),
  .value(
    "underscores_in_fields",
    \.settings.underscores,
    .choice,
    "What becomes of request fields whose names have an underscore: many applications take "
      + "`X_Forwarded_For` for `X-Forwarded-For`.",
    example: "underscores_in_fields refuse"
  ),
  .value(
    "via",
    \.settings.via,
    .via,
    "The name that the server gives itself in `Via`.",
    example: "via off"
  ),
]

private let limits: [Directive<ServerDraft>] = [
  .value(
    "head_limit",
    \.settings.limits.headBytes,
    .size(within: 1024...1 << 20),
    "How large the head of a request may be; more is answered with 431.",
    example: "head_limit 16KB"
  ),
  .value(
    "field_limit",
    \.settings.limits.fieldCount,
    .count(within: 1...1000),
    "How many fields a request may have; more is answered with 431.",
    example: "field_limit 50"
  ),
  .value(
    "line_limit",
    \.settings.limits.lineBytes,
    .size(within: 256...1 << 20),
    "How long one field of a request may be; more is answered with 431.",
    example: "line_limit 4KB"
  ),
  .value(
    "target_limit",
    \.settings.limits.targetBytes,
    .size(within: 64...1 << 20),
    "How long the target of a request may be; more is answered with 414.",
    example: "target_limit 2KB"
  ),
  .value(
    "body_limit",
    \.settings.limits.bodyBytes,
    .optional(.size(within: bodyLimits), none: "none"),
    "How large the body of a request may be; more is answered with 413.",
    example: "body_limit 10MB"
  ),
  .value(
    "chunk_extension_limit",
    \.settings.limits.chunkExtensionBytes,
    .size(within: 0...4096),
    "How long the extension of a chunk may be; more is answered with 400.",
    example: "chunk_extension_limit 64B"
  ),
  .value(
    "request_limit",
    \.settings.limits.requestsPerConnection,
    .count(within: 1...1_000_000_000),
    "How many requests a connection may carry; the last is answered with `Connection: close`.",
    example: "request_limit 10000"
  ),
]

private let timeouts: [Directive<ServerDraft>] = [
  .value(
    "idle_timeout",
    \.settings.timeouts.idle,
    .duration(within: waitTimes),
    "How long a connection may wait for its next request.",
    example: "idle_timeout 30s"
  ),
  .value(
    "head_timeout",
    \.settings.timeouts.head,
    .duration(within: waitTimes),
    "How long the head of a request may take; then the answer is 408.",
    example: "head_timeout 10s"
  ),
  .value(
    "body_timeout",
    \.settings.timeouts.body,
    .duration(within: waitTimes),
    "How long a client may pause inside of a body; then the answer is 408.",
    example: "body_timeout 30s"
  ),
  .value(
    "send_timeout",
    \.settings.timeouts.send,
    .duration(within: waitTimes),
    "How long a client may take no bytes of an answer; then the connection is reset.",
    example: "send_timeout 30s"
  ),
]

private let routeBlock = Directive<ServerDraft>.block(
  "route",
  form: "[=] PATH",
  routeDirectives,
  "What answers requests for these paths: every path that begins so where the pattern ends in `/` "
    + "or `*`, else exactly this one; `=` always means exactly this one. In the middle, `*` is one "
    + "segment and `**` any number of them.",
  example: "route /api/* { proxy 127.0.0.1:9001 }",
  begin: { statement, reading -> RouteDraft? in
    let isExact = statement.arguments.first?.text == "=" && statement.arguments[0].isQuoted == false
    let words = statement.arguments.dropFirst(isExact ? 1 : 0)
    guard words.count == 1, let word = words.first else {
      reading.error(
        words.isEmpty ? "`route` needs a path" : "`route` has one path",
        mend: words.isEmpty ? "write `route / { … }`" : "write a route for each path",
        at: words.dropFirst().first?.range ?? statement.range
      )
      return nil
    }
    let kind = ValueKind<PathPattern>(
      "PATH",
      read: { text throws(ValueError) in
        isExact ? try PathPattern(exactly: text) : try PathPattern(text)
      },
      write: { $0.text }
    )
    guard let path = reading.value(of: word, kind, in: statement) else { return nil }
    return RouteDraft(path: path, range: statement.range)
  },
  end: { route, statement, draft, reading in
    if route.handlerStatement == nil {
      reading.error(
        "the route does not say what answers",
        mend: "write `proxy`, `files`, `respond` or `redirect` into its block",
        at: statement.range
      )
    }
    draft.routes.append(route)
  },
  show: { draft, mask in
    .list(
      draft.routes.map { route in
        let form = ValueKind<String>.path.json(route.settings.path.description, mask)
        return routeDirectives.shown(route, mask, behind: JSONValue.Member("path", form))
      }
    )
  }
)
