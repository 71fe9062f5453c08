import Directives

/// The directives that say what answers; a route has one of them.
let handlers: [Directive<RouteDraft>] = answers + gatewayDirectives

private let answers: [Directive<RouteDraft>] = [
  Directive(
    "proxy",
    form: "UPSTREAM, or ADDRESS…",
    "Sends the request to a member of the upstream of this name, or of these addresses.",
    example: "proxy 127.0.0.1:9001 127.0.0.1:9002",
    read: { statement, draft, reading in
      guard reading.isOnlyHandler(statement, &draft) else { return }
      reading.readProxy(statement, &draft)
    },
    show: { draft, mask in
      guard case .proxy(let name)? = draft.handler, draft.handlerStatement?.title != "app" else {
        return nil
      }
      return .text(mask.shown(name))
    }
  ),
  Directive(
    "respond",
    form: "STATUS [TEXT] [type TYPE]",
    bounds: "200 to 599",
    words: ["type"],
    defaultText: "type \"text/plain; charset=utf-8\"",
    "Answers with this status and text.",
    example: "respond 200 \"Hello, {client.address}\" type text/plain",
    read: { statement, draft, reading in
      guard reading.isOnlyHandler(statement, &draft) else { return }
      reading.readRespond(statement, &draft)
    },
    show: { draft, mask in
      guard case .respond(let answer)? = draft.handler else { return nil }
      return .object([
        JSONValue.Member("status", .number(answer.status)),
        JSONValue.Member("body", .text(mask.shown(answer.body.description))),
        JSONValue.Member("type", .text(mask.shown(answer.contentType))),
      ])
    }
  ),
  Directive(
    "redirect",
    form: "STATUS TARGET",
    bounds: "301, 302, 303, 307 or 308",
    words: redirections.map { String($0) },
    "Sends the client to another place.",
    example: "redirect 308 https://{request.host}{request.target}",
    read: { statement, draft, reading in
      guard reading.isOnlyHandler(statement, &draft) else { return }
      reading.readRedirect(statement, &draft)
    },
    show: { draft, mask in
      guard case .redirect(let status, let target)? = draft.handler else { return nil }
      return .object([
        JSONValue.Member("status", .number(status)),
        JSONValue.Member("target", .text(mask.shown(target.description))),
      ])
    }
  ),
  applicationDirective,
  handlerDirective,
  filesDirective,
  authorityDirective,
]

/// `handler`, of routes.
private let handlerDirective = Directive<RouteDraft>(
  "handler",
  form: "NAME",
  "Answers by the handler of this name, which is a part of the program: for programs in Swift that have Martlet in "
    + "them.",
  example: "handler shop",
  read: { statement, draft, reading in
    guard reading.isOnlyHandler(statement, &draft),
      let word = reading.onlyWord(of: statement, example: "handler shop"),
      let name = reading.value(of: word, .name(), in: statement, example: "handler shop")
    else { return }
    draft.handler = .program(name)
  },
  show: { draft, mask in
    guard case .program(let name)? = draft.handler else { return nil }
    return .text(mask.shown(name))
  }
)

private let redirections = [301, 302, 303, 307, 308]

extension Reading {
  /// Notes a second directive that says what answers.
  mutating func isOnlyHandler(_ statement: Statement, _ draft: inout RouteDraft) -> Bool {
    if let first = draft.handlerStatement {
      error(
        "the route has an answer already",
        mend: "remove one of them, or write a second route",
        at: statement.range,
        notes: [Diagnostic.Note("`\(first.title)`, the first one", place(first.range))]
      )
      return false
    }
    draft.handlerStatement = statement
    return true
  }

  fileprivate mutating func readProxy(_ statement: Statement, _ draft: inout RouteDraft) {
    let example = "proxy 127.0.0.1:9001"
    guard let target = proxyTarget(of: statement, example: example) else { return }
    draft.members = target.members
    draft.handler = .proxy(upstream: target.name)
  }

  /// Reads `proxy UPSTREAM` or `proxy ADDRESS…`; the upstream of addresses is named by them.
  mutating func proxyTarget(
    of statement: Statement,
    example: String
  ) -> (name: String, members: [Address])? {
    guard let first = statement.arguments.first else {
      lacksValue(statement, example: example)
      return nil
    }
    guard let text = plainText(of: first, in: statement, example: example) else { return nil }
    if !text.contains(":"), statement.arguments.count == 1 {
      return value(of: first, .name(), in: statement, example: example).map { ($0, []) }
    }
    let members = statement.arguments.compactMap { word in
      value(of: word, .member, in: statement, example: example)
    }
    guard members.count == statement.arguments.count else { return nil }
    return (UpstreamSettings(members: members).name, members)
  }

  fileprivate mutating func readRespond(_ statement: Statement, _ draft: inout RouteDraft) {
    let example = "respond 200 \"Hello\""
    guard let first = statement.arguments.first else {
      return lacksValue(statement, example: example)
    }
    let kind = ValueKind<Int>.count(within: 200...599)
    guard let status = value(of: first, kind, in: statement, example: example) else { return }
    var answer = FixedResponse(status: status)
    readBody(statement, from: 1, into: &answer.body, &answer.contentType, example: example)
    if [204, 205, 304].contains(status), answer.body != Template() {
      error(
        "an answer with status \(status) has no body",
        mend: "write `respond \(status)`",
        at: statement.range
      )
    }
    draft.handler = .respond(answer)
  }

  fileprivate mutating func readRedirect(_ statement: Statement, _ draft: inout RouteDraft) {
    let example = "redirect 308 https://shop.example{request.target}"
    guard statement.arguments.count >= 2 else {
      error(
        "`redirect` needs a status and a target",
        mend: "for example `\(example)`",
        at: statement.range
      )
      return
    }
    refuseWords(of: statement, from: 2, example: example)
    let kind = ValueKind<Int>.choice(redirections.map { (String($0), $0) })
    let status = value(of: statement.arguments[0], kind, in: statement, example: example)
    let target = template(of: statement.arguments[1], for: .requestField, in: statement)
    guard let status, let target else { return }
    draft.handler = .redirect(status: status, target: target)
  }

  /// Reads `[TEXT] [type TYPE]` from the word at `index` on.
  fileprivate mutating func readBody(
    _ statement: Statement,
    from index: Int,
    into body: inout Template,
    _ contentType: inout String,
    example: String
  ) {
    var words = statement.arguments.dropFirst(index)
    if let word = words.first, word.isQuoted || word.text != "type" {
      words.removeFirst()
      if let template = template(of: word, for: .body, in: statement) { body = template }
    }
    guard let mark = words.popFirst() else { return }
    guard mark.text == "type" else {
      error(
        "a text with spaces stands in quotes",
        mend: "for example `\(example)`",
        at: mark.range
      )
      return
    }
    guard let word = words.popFirst() else {
      error("`type` needs a value", mend: "write `type text/html`", at: mark.range)
      return
    }
    if let type = value(of: word, .mediaType, in: statement, example: example) {
      contentType = type
    }
    if let extra = words.first {
      error(
        "a value with spaces stands in quotes",
        mend: "for example `type \"text/html; charset=utf-8\"`",
        at: extra.range
      )
    }
  }
}

/// Pages for failures, of a server or of a route.
func errorPage<Settings: Sendable>(
  _ path: any WritableKeyPath<Settings, [ErrorPage]> & Sendable
) -> Directive<Settings> {
  let example = "error_page 502 503 504 \"<h1>Back soon</h1>\""
  return Directive(
    "error_page",
    form: "STATUS… TEXT [type TYPE]",
    bounds: "400 to 599",
    repeats: true,
    words: ["type"],
    defaultText: "a line of text; type \"text/html; charset=utf-8\"",
    "The body of answers that Martlet makes itself for a failure of this status.",
    example: example,
    read: { statement, settings, reading in
      let count = statement.arguments.prefix { word in
        !word.isQuoted && word.text?.utf8.allSatisfy { (0x30...0x39).contains($0) } == true
      }.count
      guard count > 0, statement.arguments.count > count else {
        reading.error(
          count == 0 ? "`error_page` needs a status" : "`error_page` needs a text",
          mend: "for example `\(example)`",
          at: statement.range
        )
        return
      }
      var page = ErrorPage(status: 0, body: Template())
      reading.readBody(
        statement,
        from: count,
        into: &page.body,
        &page.contentType,
        example: example
      )
      for word in statement.arguments.prefix(count) {
        let kind = ValueKind<Int>.count(within: 400...599)
        guard let status = reading.value(of: word, kind, in: statement) else { continue }
        if settings[keyPath: path].contains(where: { $0.status == status }) {
          reading.error("there is a page for \(status) already", at: word.range)
        }
        page.status = status
        settings[keyPath: path].append(page)
      }
    },
    show: { settings, mask in
      .list(
        settings[keyPath: path].map { page in
          .object([
            JSONValue.Member("status", .number(page.status)),
            JSONValue.Member("body", .text(mask.shown(page.body.description))),
            JSONValue.Member("type", .text(mask.shown(page.contentType))),
          ])
        }
      )
    }
  )
}
