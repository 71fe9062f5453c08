import Directives

/// A route of a `tcp` block with its places.
struct StreamRouteDraft: Sendable {
  var settings = StreamRoute()
  var range = SourceRange(source: 0, start: 0, end: 0)
  /// The directive that says what becomes of its connections.
  var handlerStatement: Statement?
  /// The members of `proxy ADDRESS…`.
  var members: [Address] = []
}

/// The block of a route in a `tcp` block.
let streamRouteBlock = Directive<TCPDraft>.block(
  "route",
  form: "",
  streamRouteDirectives,
  "Sends connections elsewhere than `proxy` of the block does, by what their clients say first: the "
    + "first route in written order takes a connection of which everything in it is true.",
  example: "route {\n  server_name shop.example\n  proxy 127.0.0.1:8443\n}",
  begin: { statement, reading -> StreamRouteDraft? in
    if let word = statement.arguments.first {
      reading.error(
        "a `route` of a `tcp` block has no path",
        mend: "write `route { server_name shop.example; … }` on lines of their own",
        at: word.range
      )
      return nil
    }
    var draft = StreamRouteDraft()
    draft.range = statement.range
    return draft
  },
  end: { route, statement, draft, reading in
    if route.handlerStatement == nil {
      reading.error(
        "the route does not say where the bytes go",
        mend: "write `proxy` or `close` into its block",
        at: statement.range
      )
    }
    draft.routes.append(route)
  },
  show: { draft, mask in .list(draft.routes.map { streamRouteDirectives.shown($0, mask) }) }
)

/// What stands in a `route` of a `tcp` block.
let streamRouteDirectives = DirectiveTable<StreamRouteDraft>(
  "tcp route",
  "A route of a `tcp` block. Nothing is decrypted: what is asked for stands in clear before TLS begins.",
  makeDefault: { StreamRouteDraft() },
  [
    .list(
      "server_name",
      \.settings.serverNames,
      .hostPattern,
      unset: "any",
      "The hosts of which the client asks for one by TLS.",
      example: "server_name shop.example *.shop.example"
    ),
    .list(
      "alpn",
      \.settings.protocols,
      .alpnName,
      unset: "any",
      "The protocols of which the client offers one by TLS.",
      example: "alpn h2 http/1.1"
    ),
    .list(
      "speaks",
      \.settings.languages,
      .choice,
      unset: "anything",
      "What the client's first bytes are.",
      example: "speaks ssh"
    ),
    .list(
      "client",
      \.settings.clients,
      .network,
      unset: "any",
      "Where the client connects from.",
      example: "client 10.0.0.0/8"
    ),
    .list(
      "authority",
      \.settings.authorities,
      .hostPattern,
      unset: "any",
      "The hosts of which a PROXY header names one.",
      example: "authority shop.example"
    ),
    proxy,
    close,
  ]
)

private let proxy = Directive<StreamRouteDraft>(
  "proxy",
  form: "UPSTREAM, or ADDRESS…",
  "Passes the bytes to a member of the upstream of this name, or of these addresses.",
  example: "proxy 127.0.0.1:8443",
  read: { statement, draft, reading in
    draft.handlerStatement = statement
    guard let target = reading.proxyTarget(of: statement, example: "proxy 127.0.0.1:8443") else {
      return
    }
    draft.settings.upstream = target.name
    draft.members = target.members
  },
  show: { draft, mask in draft.settings.upstream.map { .text(mask.shown($0)) } ?? .null }
)

private let close = Directive<StreamRouteDraft>(
  "close",
  form: "",
  "Closes the connection.",
  example: "close",
  read: { statement, draft, reading in
    draft.handlerStatement = statement
    reading.refuseWords(of: statement, from: 0, example: "close")
    draft.settings.upstream = nil
  },
  show: { draft, _ in .flag(draft.handlerStatement != nil && draft.settings.upstream == nil) }
)

extension ValueKind where Value == HostPattern {
  /// A host, or all hosts below one.
  static var hostPattern: ValueKind {
    ValueKind(
      "NAME",
      read: { text throws(ValueError) in try HostPattern(text) },
      write: { $0.description }
    )
  }
}

extension ValueKind where Value == String {
  /// The name of a protocol, as ALPN has it: 1 to 255 visible bytes.
  static var alpnName: ValueKind {
    ValueKind(
      "NAME",
      read: { text throws(ValueError) in
        guard (1...255).contains(text.utf8.count), text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else { throw ValueError("`\(text)` is not the name of a protocol", mend: "h2") }
        return text
      },
      write: { $0 }
    )
  }
}
