import Directives

/// What stands in a route.
let routeDirectives = DirectiveTable<RouteDraft>(
  "route",
  "A route takes the requests for its paths that meet all of its conditions. Its settings come "
    + "before those of its server and its upstream.",
  makeDefault: { RouteDraft() },
  conditions + handlers + changes + overrides
)

private let conditions: [Directive<RouteDraft>] = [
  .list(
    "method",
    \.settings.methods,
    .method,
    unset: "every method",
    "Takes requests of these methods only.",
    example: "method GET HEAD"
  ),
  condition(
    "header",
    \.settings.headers,
    "Takes requests with this field only, and with one of the values if there are any; `*` in a "
      + "value stands for anything. Several lines must all be met.",
    example: "header Accept *text/html*",
    name: { $0.lowercased() }
  ),
  condition(
    "query",
    \.settings.queries,
    "Takes requests with this query parameter only, and with one of the values if there are any.",
    example: "query version 2 3",
    name: { $0 }
  ),
  .list(
    "client",
    \.settings.clients,
    .network,
    unset: "every client",
    "Takes requests of clients in these networks only.",
    example: "client 10.0.0.0/8 2001:db8::/32"
  ),
]

private func condition(
  _ name: String,
  _ path: any WritableKeyPath<RouteDraft, [ValueCondition]> & Sendable,
  _ sentence: String,
  example: String,
  name normalized: @escaping @Sendable (String) -> String
) -> Directive<RouteDraft> {
  Directive(
    name,
    form: "NAME [VALUE…]",
    repeats: true,
    sentence,
    example: example,
    read: { statement, draft, reading in
      guard let word = statement.arguments.first else {
        return reading.lacksValue(statement, example: example)
      }
      let kind: ValueKind<String> = name == "header" ? .fieldName : .text("NAME", maxBytes: 256)
      let written = reading.value(of: word, kind, in: statement, example: example)
      let values = statement.arguments.dropFirst().compactMap { value in
        reading.value(of: value, .pattern, in: statement, example: example)
      }
      guard let written else { return }
      draft[keyPath: path].append(ValueCondition(name: normalized(written), values: values))
    },
    show: { draft, mask in
      .list(
        draft[keyPath: path].map { condition in
          .object([
            JSONValue.Member("name", .text(mask.shown(condition.name))),
            JSONValue.Member(
              "values",
              .list(condition.values.map { .text(mask.shown($0.description)) })
            ),
          ])
        }
      )
    }
  )
}

private let changes: [Directive<RouteDraft>] = [
  Directive(
    "strip_prefix",
    form: "PATH",
    "Takes this from the front of the path before the request is sent on.",
    example: "strip_prefix /api",
    read: { statement, draft, reading in
      let kind = ValueKind<String>(
        "PATH",
        read: { text throws(ValueError) in
          guard text.hasPrefix("/") else {
            throw ValueError("a path begins with `/`", mend: "/\(text)")
          }
          _ = try PathPattern(exactly: text)
          return text
        },
        write: { $0 }
      )
      guard let word = reading.onlyWord(of: statement, example: "strip_prefix /api"),
        let path = reading.value(of: word, kind, in: statement)
      else { return }
      draft.settings.stripPrefix = path
    },
    show: { draft, mask in draft.settings.stripPrefix.map { .text(mask.shown($0)) } }
  ),
  Directive(
    "rewrite",
    form: "TARGET",
    "Sends this target on instead of the client's; `strip_prefix` has then been done.",
    example: "rewrite /v2{request.path}",
    read: { statement, draft, reading in
      guard let word = reading.onlyWord(of: statement, example: "rewrite /v2{request.path}"),
        let template = reading.template(of: word, for: .requestField, in: statement)
      else { return }
      if case .literal(let bytes)? = template.parts.first, bytes.first == UInt8(ascii: "/") {
        draft.settings.rewrite = template
      } else if case .variable(.requestPath)? = template.parts.first {
        draft.settings.rewrite = template
      } else if case .variable(.requestTarget)? = template.parts.first {
        draft.settings.rewrite = template
      } else {
        let text = "/" + reading.raw(word.range)
        reading.report(ValueError("a target begins with `/`", mend: text), word, in: statement)
      }
    },
    show: { draft, mask in draft.settings.rewrite.map { .text(mask.shown($0.description)) } }
  ),
  headerRules(
    "request",
    \.settings.requestHeaders,
    "Changes a field of the request before it is sent on.",
    example: "request header set X-Real-IP {client.address}"
  ),
  headerRules(
    "response",
    \.settings.responseHeaders,
    "Changes a field of the answer before the client gets it.",
    example: "response header add Strict-Transport-Security max-age=31536000"
  ),
  crossOriginBlock,
]

// Fields that say how a message is framed and sent on are written by Martlet alone.
let ownFields: Set<String> = [
  "connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer",
  "transfer-encoding", "upgrade",
]

private func headerRules(
  _ name: String,
  _ path: any WritableKeyPath<RouteDraft, [HeaderRule]> & Sendable,
  _ sentence: String,
  example: String
) -> Directive<RouteDraft> {
  Directive(
    name,
    form: "header set|add NAME VALUE, or header remove NAME",
    repeats: true,
    words: ["header"] + HeaderRule.Action.allCases.map(\.rawValue),
    sentence,
    example: example,
    read: { statement, draft, reading in
      guard let rule = reading.headerRule(statement, example: example) else { return }
      draft[keyPath: path].append(rule)
    },
    show: { draft, mask in
      .list(
        draft[keyPath: path].map { rule in
          var members = [
            JSONValue.Member("action", .text(rule.action.rawValue)),
            JSONValue.Member("name", .text(mask.shown(rule.name))),
          ]
          if rule.action != .remove {
            members.append(JSONValue.Member("value", .text(mask.shown(rule.value.description))))
          }
          return .object(members)
        }
      )
    }
  )
}

extension Reading {
  /// Reads `request header set NAME VALUE` and its like.
  fileprivate mutating func headerRule(_ statement: Statement, example: String) -> HeaderRule? {
    let words = statement.arguments
    guard let first = words.first else {
      lacksValue(statement, example: example)
      return nil
    }
    guard first.text == "header" else {
      error(
        "`\(statement.title)` is followed by `header`",
        mend: "for example `\(example)`",
        at: first.range
      )
      return nil
    }
    guard words.count > 2 else {
      lacksValue(statement, example: example)
      return nil
    }
    let read: HeaderRule.Action? = value(of: words[1], .choice, in: statement, example: example)
    let name = value(of: words[2], .fieldName, in: statement, example: example)
    guard let action = read, let name else { return nil }
    if let problem = refusal(of: name, statement) {
      error(problem.problem, mend: problem.mend, at: words[2].range)
      return nil
    }
    guard action != .remove else {
      refuseWords(of: statement, from: 3, example: "\(statement.title) header remove \(name)")
      return HeaderRule(.remove, name)
    }
    guard words.count > 3 else {
      error("the field has no value", mend: "for example `\(example)`", at: statement.range)
      return nil
    }
    if words.count > 4 {
      let value = words[3...].map { raw($0.range) }.joined(separator: " ")
      error(
        "a value with spaces stands in quotes",
        mend: "write `\(statement.title) header \(action.rawValue) \(name) \"\(value)\"`",
        at: words[4].range
      )
      return nil
    }
    let place: TemplatePlace = statement.title == "request" ? .requestField : .responseField
    return template(of: words[3], for: place, in: statement).map { HeaderRule(action, name, $0) }
  }

  private func refusal(of name: String, _ statement: Statement) -> ValueError? {
    // Gateways take `Content_Length` for the field with a hyphen.
    let lower = String(name.lowercased().map { $0 == "_" ? "-" : $0 })
    if ownFields.contains(lower) {
      return ValueError("`\(name)` says how the message is sent on, no rule may change it")
    }
    if lower == "host", statement.title == "request" {
      return ValueError(
        "`Host` belongs to the upstream",
        mend: "write `host member` or `host app.internal` into the upstream"
      )
    }
    return nil
  }
}

private let overrides: [Directive<RouteDraft>] = [
  routeCacheDirective,
  routeSessionsDirective,
  authorizeDirective,
  sendFileDirective,
  limitDirective(\.limits),
  priorityDirective(\.settings.overrides.priority, default: nil),
  compressDirective(\.settings.overrides.compression, default: nil),
  decompressDirective(\.settings.overrides.decompression, default: nil),
  Directive(
    "access_log",
    form: "on|off",
    words: ["on", "off"],
    defaultText: "on",
    "Whether requests of this route are recorded in the server's access log.",
    example: "access_log off",
    read: { statement, draft, reading in
      guard let word = reading.onlyWord(of: statement, example: "access_log off"),
        let isLogged = reading.value(of: word, .flag, in: statement)
      else { return }
      draft.settings.overrides.isLogged = isLogged
    },
    show: { draft, _ in draft.settings.overrides.isLogged ? nil : .flag(false) }
  ),
  .value(
    "client_certificate",
    \.settings.overrides.clientDemand,
    .choice,
    "Whether requests are refused with 403 whose clients have shown no certificate. The `tls` block of the "
      + "server asks for certificates and says who vouches for them.",
    example: "client_certificate required"
  ),
  override(
    "body_limit",
    \.settings.overrides.bodyLimit,
    .bodyLimit,
    "What `body_limit` of the server says, for this route alone.",
    example: "body_limit 1GB"
  ),
  override(
    "body_timeout",
    \.settings.overrides.bodyTimeout,
    times,
    "What `body_timeout` of the server says, for this route alone.",
    example: "body_timeout 5m"
  ),
  override(
    "send_timeout",
    \.settings.overrides.sendTimeout,
    times,
    "What `send_timeout` of the server says, for this route alone.",
    example: "send_timeout 5m"
  ),
  override(
    "connect_timeout",
    \.settings.overrides.connectTimeout,
    .given(.duration(within: connectTimes)),
    "What `connect_timeout` of the upstream says, for this route alone.",
    example: "connect_timeout 500ms"
  ),
  override(
    "first_byte_timeout",
    \.settings.overrides.firstByteTimeout,
    times,
    "What `first_byte_timeout` of the upstream says, for this route alone.",
    example: "first_byte_timeout 5m"
  ),
  override(
    "read_timeout",
    \.settings.overrides.readTimeout,
    times,
    "What `read_timeout` of the upstream says, for this route alone.",
    example: "read_timeout 5m"
  ),
  override(
    "write_timeout",
    \.settings.overrides.writeTimeout,
    times,
    "What `write_timeout` of the upstream says, for this route alone.",
    example: "write_timeout 5m"
  ),
  override(
    "tunnel_timeout",
    \.settings.overrides.tunnelTimeout,
    times,
    "What `tunnel_timeout` of the upstream says, for this route alone.",
    example: "tunnel_timeout 5m"
  ),
  override(
    "websocket_ping",
    \.settings.overrides.webSocketPing,
    .given(.duration(within: pingTimes)),
    "What `websocket_ping` of the upstream says, for this route alone.",
    example: "websocket_ping 30s"
  ),
  override(
    "total_timeout",
    \.settings.overrides.totalTimeout,
    times,
    "What `total_timeout` of the upstream says, for this route alone.",
    example: "total_timeout 10s"
  ),
  override(
    "tries",
    \.settings.overrides.tryCount,
    .given(.count(within: 1...100)),
    "What `tries` of the upstream says, for this route alone.",
    example: "tries 1"
  ),
  errorPage(\.settings.overrides.errorPages),
]

private let times = ValueKind<Duration?>.given(.duration(within: waitTimes))

/// A directive that is shown only where it says something.
private func override<Value: Sendable>(
  _ name: String,
  _ path: any WritableKeyPath<RouteDraft, Value?> & Sendable,
  _ kind: ValueKind<Value?>,
  _ sentence: String,
  example: String
) -> Directive<RouteDraft> {
  Directive(
    name,
    form: kind.form,
    bounds: kind.bounds,
    words: kind.words,
    sentence,
    example: example,
    read: { statement, draft, reading in
      guard let word = reading.onlyWord(of: statement, example: example),
        let value = reading.value(of: word, kind, in: statement, example: example)
      else { return }
      draft[keyPath: path] = value
    },
    show: { draft, mask in
      draft[keyPath: path].map { kind.json($0, mask) }
    }
  )
}
