import Directives

private let sendFileOptions: [WordOption<SendFileSettings>] = [
  .value("prefix", \.prefix, pathPrefix)
]

/// `send_file`, of routes.
let sendFileDirective = Directive<RouteDraft>(
  "send_file",
  form: "FIELD DIR " + sendFileOptions.map(\.form).joined(separator: " "),
  defaultText: "none",
  "A file below this folder is sent in the place of a member's answer with the status 200 that names it by this "
    + "field, which clients never see. Its value is a path as in a URL, whose beginning `prefix` stands for the "
    + "folder.",
  example: "send_file X-Accel-Redirect /srv/private prefix /private",
  read: { statement, draft, reading in
    let example = "send_file X-Accel-Redirect /srv/private"
    guard statement.arguments.count > 1 else {
      return reading.lacksValue(statement, example: example)
    }
    let words = statement.arguments
    guard let field = reading.value(of: words[0], .fieldName, in: statement, example: example),
      let root = reading.value(of: words[1], folderPath, in: statement, example: example)
    else { return }
    if ownFields.contains(field.lowercased()) {
      reading.error(
        "`\(field)` says how the message is sent on, no file can be named by it",
        mend: "write a field of the application's own, such as `X-Accel-Redirect`",
        at: words[0].range
      )
    }
    var settings = SendFileSettings(field: field, root: root)
    reading.options(of: statement, from: 2, sendFileOptions, into: &settings, example: example)
    draft.settings.sendFile = settings
    draft.sendFileStatement = statement
  },
  show: { draft, mask in
    guard let settings = draft.settings.sendFile else { return .null }
    return .object([
      JSONValue.Member("field", .text(mask.shown(settings.field))),
      JSONValue.Member("root", .text(mask.shown(settings.root))),
      JSONValue.Member("prefix", .text(mask.shown(settings.prefix))),
    ])
  }
)

/// The beginning of a path, which is kept without a slash at its end.
private let pathPrefix = ValueKind<String>(
  "/PATH",
  read: { text throws(ValueError) in
    guard text.hasPrefix("/"), text.utf8.count <= 1024,
      text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x3F && $0 != 0x23 })
    else { throw ValueError("`\(text)` is not the beginning of a path", mend: "/private") }
    var path = text
    while path.hasSuffix("/") { path.removeLast() }
    return path
  },
  write: { $0 }
)

extension Reading {
  /// Notes routes whose answers name files and are no members', or are kept.
  mutating func checkSendFiles(_ draft: FileDraft) {
    for route in draft.servers.flatMap(\.routes) {
      guard let statement = route.sendFileStatement else { continue }
      if case .proxy? = route.handler {
        guard route.settings.cache != nil else { continue }
        error(
          "what a route keeps are answers of members, `send_file` sends files in their place",
          mend: "write `cache off` into the route, or another route for what is kept",
          at: statement.range
        )
      } else {
        error(
          "`send_file` is about the answers of members, and this route has none",
          mend: "write `proxy`, `fastcgi` or `app`, or `files` if all of the route are files",
          at: statement.range
        )
      }
    }
  }
}
