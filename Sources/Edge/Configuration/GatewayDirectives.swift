import Directives

/// The directives that ask applications which are no servers of HTTP.
let gatewayDirectives: [Directive<RouteDraft>] = [
  gateway(
    .fastcgi,
    "Sends the request by FastCGI to a member of the upstream of this name, or of these addresses. With "
      + "`root` a script of that folder is run, as PHP wants it; without it the members are one application, "
      + "which gets every path.",
    example: "fastcgi unix:/run/php/php-fpm.sock { root /srv/www }"
  ),
  gateway(
    .scgi,
    "Sends the request by SCGI to a member of the upstream of this name, or of these addresses.",
    example: "scgi 127.0.0.1:4000"
  ),
  gateway(
    .uwsgi,
    "Sends the request by the protocol of uWSGI to a member of the upstream of this name, or of these "
      + "addresses.",
    example: "uwsgi unix:/run/uwsgi/app.sock"
  ),
]

private func gateway(
  _ kind: GatewayKind,
  _ sentence: String,
  example: String
) -> Directive<RouteDraft> {
  .block(
    kind.rawValue,
    form: "UPSTREAM, or ADDRESS…",
    table,
    need: .optional,
    sentence,
    example: example,
    begin: { statement, reading -> GatewayDraft? in
      let example = "\(kind.rawValue) 127.0.0.1:9000"
      guard let target = reading.proxyTarget(of: statement, example: example) else { return nil }
      var draft = GatewayDraft()
      draft.settings.kind = kind
      (draft.upstream, draft.members) = target
      return draft
    },
    end: { gateway, statement, draft, reading in
      guard reading.isOnlyHandler(statement, &draft) else { return }
      if gateway.settings.root == nil, let word = gateway.needsRoot {
        reading.error(
          "`\(word)` is about the scripts of a folder",
          mend: "write `root /srv/www` beside it",
          at: statement.range
        )
      }
      if let problem = gateway.filterProblem {
        reading.error(
          "`filter` \(problem)",
          mend: "write `fastcgi`, with `root` alone about files",
          at: statement.range
        )
      }
      if gateway.settings.multiplexing != .off, kind != .fastcgi {
        reading.error(
          "`\(kind.rawValue)` carries one request on a connection",
          mend: "remove `multiplex`, or write `fastcgi`",
          at: statement.range
        )
      }
      draft.members = gateway.members
      draft.handler = .proxy(upstream: gateway.upstream)
      draft.settings.gateway = gateway.settings
    },
    show: { draft, mask in
      guard let settings = draft.settings.gateway, settings.kind == kind,
        case .proxy(let name)? = draft.handler
      else { return nil }
      let shown = GatewayDraft(settings: settings)
      let upstream = JSONValue.Member("upstream", .text(mask.shown(name)))
      return table.shown(shown, mask, behind: upstream)
    }
  )
}

/// What a block has said.
struct GatewayDraft: Sendable {
  var settings = GatewaySettings(kind: .fastcgi)
  var upstream = ""
  var members: [Address] = []
  /// A directive that means something with a root alone.
  var needsRoot: String?

  /// Why nothing can be filtered, where that is asked for.
  var filterProblem: String? {
    guard settings.filteredBytes != nil else { return nil }
    if settings.kind != .fastcgi { return "is a role of FastCGI alone" }
    if settings.root == nil { return "is about the files of a folder" }
    return needsRoot.map { "gives files to the application, and `\($0)` is about scripts" }
  }
}

private let table = DirectiveTable<GatewayDraft>(
  "fastcgi",
  "How an application is asked that is no server of HTTP; the same in `scgi` and `uwsgi`.",
  makeDefault: { GatewayDraft() },
  scripts + [
    variableDirective,
    .value(
      "keep_connections",
      \.settings.keepsConnections,
      .flag,
      "Whether a connection of FastCGI carries one request after the other. Each one that waits keeps one "
        + "process of php-fpm: `idle_connections` of the upstream, for each loop, are to be fewer than those.",
      example: "keep_connections on"
    ),
    .value(
      "multiplex",
      \.settings.multiplexing,
      .multiplexing,
      multiplexSentence,
      example: "multiplex auto"
    ),
    .value(
      "body_buffer",
      \.settings.bodyBytes,
      .size(within: 0...1 << 30),
      "How much is kept of a body whose length is not known, of which the application has to be told first; "
        + "more is answered with 411.",
      example: "body_buffer 10MB"
    ),
    .value(
      "filter",
      \.settings.filteredBytes,
      .optional(.size(within: 1...1 << 30), none: "off"),
      "Has an application of FastCGI answer in the role of a filter: the path names a file of the root, whatever its "
        + "ending, of at most so many bytes, which the application is given with the request.",
      example: "filter 10MB"
    ),
  ]
)

/// What `multiplex` says.
let multiplexSentence =
  "Whether a connection of FastCGI carries several requests at once: with `auto` as many as the application says that "
  + "it takes, 100 at most, and one where it says nothing of the kind, as php-fpm does; with a number so many, without "
  + "a question."

extension ValueKind<FastCGIMultiplexing> {
  /// Whether a connection carries several requests.
  static let multiplexing = ValueKind(
    "off|auto|NUMBER",
    bounds: "2 to 1000",
    words: ["off", "auto"],
    read: { text throws(ValueError) in
      switch text {
      case "off": return .off
      case "auto": return .auto
      default:
        guard let count = Int(text), (2...1000).contains(count) else {
          throw ValueError(
            "`\(text)` is neither off, auto nor a number from 2 to 1000",
            mend: "auto"
          )
        }
        return .atMost(count)
      }
    },
    write: { value in
      switch value {
      case .off: "off"
      case .auto: "auto"
      case .atMost(let count): "\(count)"
      }
    }
  )
}

private let scripts: [Directive<GatewayDraft>] = [
  Directive(
    "root",
    form: "DIR",
    defaultText: "none",
    "The folder of the scripts. One is run only if it is there, as a file below the root: a path behind it is "
      + "for the script, and never makes a script of another file.",
    example: "root /srv/www",
    read: { statement, draft, reading in
      let example = "root /srv/www"
      guard let word = reading.onlyWord(of: statement, example: example) else { return }
      draft.settings.root = reading.value(of: word, folderPath, in: statement, example: example)
    },
    show: { draft, mask in draft.settings.root.map { .text(mask.shown($0)) } ?? .null }
  ),
  Directive(
    "index",
    form: "NAME|off",
    words: ["off"],
    defaultText: "index.php",
    "The script that stands for a folder.",
    example: "index app.php",
    read: { statement, draft, reading in
      let example = "index index.php"
      draft.needsRoot = "index"
      guard let word = reading.onlyWord(of: statement, example: example) else { return }
      if word.text == "off" {
        draft.settings.index = ""
      } else if let name = reading.value(of: word, fileName, in: statement, example: example) {
        draft.settings.index = name
      }
    },
    show: { draft, mask in .text(mask.shown(draft.settings.index)) }
  ),
  Directive(
    "endings",
    form: "ENDING…",
    defaultText: ".php",
    "How the names of scripts end.",
    example: "endings .php .phtml",
    read: { statement, draft, reading in
      let example = "endings .php"
      draft.needsRoot = "endings"
      guard !statement.arguments.isEmpty else {
        return reading.lacksValue(statement, example: example)
      }
      draft.settings.endings = statement.arguments.compactMap { word in
        reading.value(of: word, endingKind, in: statement, example: example).map { ".\($0)" }
      }
    },
    show: { draft, mask in .list(draft.settings.endings.map { .text(mask.shown($0)) }) }
  ),
  Directive(
    "front",
    form: "/PATH|off",
    words: ["off"],
    defaultText: "off",
    "The script for every path that names none which is there, as most frameworks want it.",
    example: "front /index.php",
    read: { statement, draft, reading in
      let example = "front /index.php"
      draft.needsRoot = "front"
      guard let word = reading.onlyWord(of: statement, example: example) else { return }
      if word.text == "off" {
        draft.settings.front = nil
        return
      }
      guard let path = reading.value(of: word, scriptPath, in: statement, example: example) else {
        return
      }
      draft.settings.front = path
    },
    show: { draft, mask in draft.settings.front.map { .text(mask.shown($0)) } ?? .null }
  ),
  Directive(
    "static",
    form: "on|off",
    words: ["on", "off"],
    defaultText: "off",
    "Whether files of the root that are no scripts answer as well, as `files` does; copies of scripts do not, "
      + "nor names that begin with a dot.",
    example: "static on",
    read: { statement, draft, reading in
      draft.needsRoot = "static"
      guard let word = reading.onlyWord(of: statement, example: "static on"),
        let isOn = reading.value(of: word, .flag, in: statement, example: "static on")
      else { return }
      draft.settings.servesFiles = isOn
    },
    show: { draft, _ in .flag(draft.settings.servesFiles) }
  ),
]

private let variableDirective = Directive<GatewayDraft>(
  "variable",
  form: "NAME VALUE",
  repeats: true,
  "A variable that the application is told besides those of CGI, such as `APP_ENV`, or `HTTPS` and `REMOTE_USER`, "
    + "which stand for what Martlet would have said.",
  example: "variable APP_ENV production",
  read: { statement, draft, reading in
    let example = "variable APP_ENV production"
    guard let (word, other) = reading.nameAndValue(of: statement, example: example),
      let name = reading.value(of: word, variableName, in: statement, example: example),
      let value = reading.template(of: other, for: .requestField, in: statement)
    else { return }
    if name.hasPrefix("HTTP_") {
      reading.error(
        "`\(name)` is the field of a request",
        mend: "write `request header set` into the route",
        at: word.range
      )
    } else if settledVariables.contains(name) {
      reading.error(
        "`\(name)` follows from the request, another value would be a lie",
        mend: "give the variable another name",
        at: word.range
      )
    }
    draft.settings.variables.removeAll { $0.name == name }
    draft.settings.variables.append(GatewayVariable(name, value))
  },
  show: { draft, mask in
    .list(
      draft.settings.variables.map { variable in
        .object([
          JSONValue.Member("name", .text(mask.shown(variable.name))),
          JSONValue.Member("value", .text(mask.shown(variable.value.description))),
        ])
      }
    )
  }
)

/// What says which request it is, and which script answers it.
let settledVariables: Set<String> = [
  "CONTENT_LENGTH", "CONTENT_TYPE", "GATEWAY_INTERFACE", "PATH_INFO", "PATH_TRANSLATED",
  "QUERY_STRING", "REDIRECT_STATUS", "REMOTE_ADDR", "REQUEST_METHOD", "REQUEST_URI", "SCGI",
  "SCRIPT_FILENAME", "SCRIPT_NAME", "SERVER_PROTOCOL",
]

/// The path of a script.
let scriptPath = ValueKind<String>(
  "/PATH",
  read: { text throws(ValueError) in
    guard text.hasPrefix("/"), text.utf8.count <= 1024, !text.hasSuffix("/"),
      text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F && $0 != 0x25 }),
      !text.split(separator: "/").contains(where: { $0 == "." || $0 == ".." })
    else { throw ValueError("`\(text)` is not the path of a script", mend: "/index.php") }
    return text
  },
  write: { $0 }
)

// What can only be known when everything is read.
extension Reading {
  /// Tells upstreams what is spoken with their members.
  mutating func placeGateways(of draft: inout FileDraft) {
    var uses: [String: (settings: MemberGatewaySettings?, range: SourceRange)] = [:]
    for (name, use, statement) in draft.servers.flatMap(\.routes).flatMap(\.memberUses) {
      guard let first = uses[name] else {
        uses[name] = (use, statement.range)
        continue
      }
      guard first.settings != use else { continue }
      error(
        "the members of `\(name)` are spoken to in another way by another route",
        mend: "write an `upstream` for each, or the same in both routes",
        at: statement.range,
        notes: [Diagnostic.Note("the other way", place(first.range))]
      )
    }
    for index in draft.upstreams.indices {
      guard let use = uses[draft.upstreams[index].settings.name], let settings = use.settings else {
        continue
      }
      draft.upstreams[index].settings.gateway = settings
      refuseOthers(of: draft.upstreams[index], for: settings.kind, at: use.range)
    }
  }

  private mutating func refuseOthers(
    of upstream: UpstreamDraft,
    for kind: GatewayKind,
    at range: SourceRange
  ) {
    let settings = upstream.settings
    var others: [String] = []
    if settings.tls != nil { others.append("tls") }
    if settings.http2 != nil { others.append("http2") }
    if settings.proxyProtocol != nil { others.append("proxy_protocol") }
    if settings.hedge != nil { others.append("hedge") }
    if settings.check?.kind == .http || settings.check?.kind == .grpc {
      error(
        "`check \(settings.check?.kind.rawValue ?? "")` asks as HTTP does, which a member of "
          + "`\(kind.rawValue)` does not speak",
        mend: "write `check tcp`, or `check script` with a program that asks it",
        at: upstream.checkStatement?.range ?? upstream.range,
        notes: [Diagnostic.Note("the route that says so", place(range))]
      )
    }
    guard let first = others.first else { return }
    error(
      "`\(first)` of the upstream `\(settings.name)` does not go together with `\(kind.rawValue)`",
      mend: "remove `\(first)` from the upstream",
      at: range,
      notes: [Diagnostic.Note("the upstream", place(upstream.range))]
    )
  }
}

extension RouteDraft {
  /// The upstreams whose members it speaks to, and how; nil as HTTP.
  fileprivate var memberUses: [(name: String, use: MemberGatewaySettings?, statement: Statement)] {
    var uses: [(name: String, use: MemberGatewaySettings?, statement: Statement)] = []
    if case .proxy(let name)? = handler, let statement = handlerStatement {
      let use = settings.gateway.map {
        MemberGatewaySettings(
          kind: $0.kind,
          keepsConnections: $0.keepsConnections,
          multiplexing: $0.multiplexing
        )
      }
      uses.append((name, use, statement))
    }
    if let authorizer = settings.authorizer, let statement = authorizerStatement {
      let use = MemberGatewaySettings(
        kind: .fastcgi,
        keepsConnections: authorizer.keepsConnections,
        multiplexing: authorizer.multiplexing
      )
      uses.append((authorizer.upstream, use, statement))
    }
    return uses
  }
}
