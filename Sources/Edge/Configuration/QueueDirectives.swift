import Directives

/// What stands in a queue.
let queueDirectives = DirectiveTable<QueueSettings>(
  "queue",
  "The line in front of an upstream: when every member that could have a request has as many as "
    + "`max_connections` allows, it waits for a place instead of being answered 503 at once. The "
    + "`priority` of a request is its class; higher classes are first.",
  makeDefault: { QueueSettings() },
  [
    .value(
      "length",
      \.length,
      .count(within: 1...65_536),
      "How many requests may wait at once, all loops together; one of a higher priority takes the "
        + "place of one of the lowest.",
      example: "length 200"
    ),
    .value(
      "timeout",
      \.timeout,
      .duration(within: .milliseconds(10) ... .seconds(3600)),
      "How long a request may wait; then the answer is 503.",
      example: "timeout 2s"
    ),
    Directive(
      "by",
      form: "TEXT",
      defaultText: "nothing: who comes first is first",
      "What gets equal shares: requests with different texts are served in turn.",
      example: "by {client.address}",
      read: { statement, settings, reading in
        guard let word = reading.onlyWord(of: statement, example: "by {client.address}") else {
          return
        }
        settings.key = reading.template(of: word, for: .requestField, in: statement)
      },
      show: { settings, mask in settings.key.map { .text(mask.shown($0.description)) } ?? .null }
    ),
    .value(
      "newest_after",
      \.newestAfter,
      .optional(.duration(within: .milliseconds(1) ... .seconds(3600)), none: "never"),
      "When the first of a class has waited for so long, the newest is served first, so that some "
        + "are served in time.",
      example: "newest_after 1s"
    ),
  ]
)

/// `queue`, of upstreams.
let queueBlock = Directive<UpstreamDraft>.block(
  "queue",
  form: "",
  queueDirectives,
  "Lets requests wait for a place at a member, instead of refusing them.",
  example: "queue {\n  length 200\n  timeout 2s\n}",
  begin: { statement, reading -> QueueSettings? in
    reading.refuseWords(of: statement, from: 0, example: "queue { length 200 }")
    return QueueSettings()
  },
  end: { queue, statement, draft, reading in
    if draft.settings.queue != nil {
      reading.error("`queue` stands twice", mend: "remove one of them", at: statement.name.range)
    }
    draft.settings.queue = queue
    draft.queueRange = statement.range
  },
  show: { draft, mask in draft.settings.queue.map { queueDirectives.shown($0, mask) } ?? .null }
)
