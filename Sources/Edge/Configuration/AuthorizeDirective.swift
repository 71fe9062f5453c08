import Directives

/// `authorize`, of routes.
let authorizeDirective = Directive<RouteDraft>.block(
  "authorize",
  form: "UPSTREAM, or ADDRESS…",
  authorizeDirectives,
  need: .optional,
  "Asks a member of this upstream, or of these addresses, by FastCGI in the role of an authorizer whether a request "
    + "may pass. One that is not answered with 200 does not: the client gets that answer.",
  example: "authorize unix:/run/auth.sock",
  begin: { statement, reading -> AuthorizeDraft? in
    let example = "authorize 127.0.0.1:9000"
    guard let target = reading.proxyTarget(of: statement, example: example) else { return nil }
    var draft = AuthorizeDraft()
    (draft.settings.upstream, draft.members) = target
    return draft
  },
  end: { authorize, statement, draft, reading in
    if draft.authorizerStatement != nil {
      reading.error(
        "`authorize` stands twice",
        mend: "remove one of them: one authorizer lets a request pass",
        at: statement.name.range
      )
    }
    for name in authorize.settings.passed
    where settledVariables.contains(name) || name.hasPrefix("HTTP_") {
      reading.error(
        "`\(name)` follows from the request, no authorizer may say otherwise",
        mend: "have the authorizer give it another name",
        at: statement.range
      )
    }
    draft.settings.authorizer = authorize.settings
    draft.authorizerMembers = authorize.members
    draft.authorizerStatement = statement
  },
  show: { draft, mask in
    guard let settings = draft.settings.authorizer else { return .null }
    let upstream = JSONValue.Member("upstream", .text(mask.shown(settings.upstream)))
    return authorizeDirectives.shown(AuthorizeDraft(settings: settings), mask, behind: upstream)
  }
)

/// What a block has said.
struct AuthorizeDraft: Sendable {
  var settings = AuthorizerSettings(upstream: "")
  var members: [Address] = []
}

let authorizeDirectives = DirectiveTable<AuthorizeDraft>(
  "authorize",
  "How an application is asked whether a request may pass.",
  makeDefault: { AuthorizeDraft() },
  [
    Directive(
      "script",
      form: "/PATH",
      defaultText: "none",
      "The script that is run, by its whole path, where the members run scripts, as php-fpm does.",
      example: "script /srv/auth/check.php",
      read: { statement, draft, reading in
        let example = "script /srv/auth/check.php"
        guard let word = reading.onlyWord(of: statement, example: example) else { return }
        draft.settings.script = reading.value(of: word, scriptPath, in: statement, example: example)
      },
      show: { draft, mask in draft.settings.script.map { .text(mask.shown($0)) } ?? .null }
    ),
    .list(
      "pass",
      \.settings.passed,
      variableName,
      unset: "none",
      "The variables of the authorizer's answer, which come as fields `Variable-NAME`, that what answers is told: an "
        + "application of FastCGI and its kin as a variable, others as a field, `REMOTE_USER` as `Remote-User`. "
        + "Clients cannot send these fields.",
      example: "pass REMOTE_USER GROUPS"
    ),
    .value(
      "keep_connections",
      \.settings.keepsConnections,
      .flag,
      "Whether a connection carries one request after the other.",
      example: "keep_connections on"
    ),
    .value(
      "multiplex",
      \.settings.multiplexing,
      .multiplexing,
      multiplexSentence,
      example: "multiplex auto"
    ),
  ]
)

extension Reading {
  /// Notes routes that tell what they keep for all whom the authorizer has found.
  mutating func checkAuthorizers(_ draft: FileDraft) {
    for route in draft.servers.flatMap(\.routes) {
      guard let authorizer = route.settings.authorizer, !authorizer.passed.isEmpty,
        route.settings.cache != nil
      else { continue }
      error(
        "what a route keeps for all cannot depend on what an authorizer says of a client",
        mend: "remove `pass`, or write `cache off` into the route",
        at: route.authorizerStatement?.range ?? route.range
      )
    }
  }
}
