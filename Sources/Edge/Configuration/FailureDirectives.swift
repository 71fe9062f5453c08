import Directives
import FailurePolicies

/// What a `retry` block says.
struct RetryDraft: Sendable {
  var settings = RetrySettings()
  /// Whether a line says which failures are tried again: the first one replaces the standard.
  var hasRules = false
}

/// What stands in a `retry` block.
let retryDirectives = DirectiveTable<RetryDraft>(
  "retry",
  "What is done when a try with a member fails. How often a request is tried in all is said by "
    + "`tries` of the upstream and of the route.",
  makeDefault: { RetryDraft() },
  [
    retriedFailures,
    .value(
      "try_timeout",
      \.settings.tryTimeout,
      .optional(.duration(within: waitTimes), none: "none"),
      "How long one try may take, up to the head of its answer; `total_timeout` holds for all of them.",
      example: "try_timeout 2s"
    ),
    backoff,
    budget,
    .value(
      "replay_limit",
      \.settings.replayByteCount,
      .size(within: 0...(16 << 20)),
      "How much of a request's body is kept so that it can be sent again, beyond what came with its "
        + "head; a request with a longer body is not tried again once it was passed on.",
      example: "replay_limit 64KB"
    ),
  ]
)

private let everyMethod = "non_idempotent"
private let retryWords = FailureClass.allCases.filter { $0 != .status }.map(\.word)

private let retriedFailures = Directive<RetryDraft>(
  "on",
  form: "FAILURE…|STATUS… [\(everyMethod)]",
  bounds: "statuses 400 to 599",
  repeats: true,
  words: retryWords + [everyMethod],
  defaultText: "connect_failed connect_timeout reset first_byte_timeout",
  "The failures and statuses after which a request is tried again; the first line replaces what is "
    + "the default. A request that a member may have seen is tried again only if its method is "
    + "idempotent, unless `\(everyMethod)` ends the line. An answer with a listed status is passed on "
    + "where no further try can be made.",
  example: "on reset 502 503",
  read: { statement, draft, reading in
    let example = "on reset 502 503"
    if !draft.hasRules { draft.settings.rules = RetryRules() }
    draft.hasRules = true
    var words = statement.arguments
    let isForEveryMethod = words.last?.text == everyMethod
    if isForEveryMethod { words.removeLast() }
    if words.isEmpty { return reading.lacksValue(statement, example: example) }
    for word in words {
      if word.text == everyMethod {
        reading.error(
          "`\(everyMethod)` stands at the end of a line, and is said of all that stands there",
          mend: "write it last",
          at: word.range
        )
        continue
      }
      switch reading.value(of: word, retriedFailure, in: statement, example: example) {
      case .kind(let kind)?:
        draft.settings.rules.allow(kind, nonIdempotent: isForEveryMethod)
      case .status(let status)?:
        draft.settings.rules.allow(status: status, nonIdempotent: isForEveryMethod)
      case nil: continue
      }
    }
  },
  show: { draft, _ in
    let rules = draft.settings.rules
    let failures =
      rules.allowedClasses.map { ($0.kind.word, $0.nonIdempotent) }
      + rules.allowedStatuses.map { (String($0.status), $0.nonIdempotent) }
    return .list(
      failures.map { failure in
        .object([
          JSONValue.Member("failure", .text(failure.0)),
          JSONValue.Member(everyMethod, .flag(failure.1)),
        ])
      }
    )
  }
)

private enum RetriedFailure: Sendable {
  case kind(FailureClass)
  case status(UInt16)
}

private let retriedFailure = ValueKind<RetriedFailure>(
  "FAILURE|STATUS",
  words: retryWords,
  read: { text throws(ValueError) in
    if text.first?.isNumber == true { return .status(try readStatus(text)) }
    for kind in FailureClass.allCases where kind != .status && kind.word == text {
      return .kind(kind)
    }
    throw ValueError(
      "`\(text)` is none of \(retryWords.joined(separator: ", ")), and no status",
      mend: nearestName(to: text, among: retryWords) ?? "reset"
    )
  },
  write: { failure in
    switch failure {
    case .kind(let kind): kind.word
    case .status(let status): String(status)
    }
  }
)

private func readStatus(_ text: String) throws(ValueError) -> UInt16 {
  guard let status = UInt16(text), StatusSet.statuses.contains(status) else {
    throw ValueError("`\(text)` is not a status from 400 to 599", mend: "503")
  }
  return status
}

private let backoffOptions: [WordOption<Backoff>] = [
  .value("max", \.most, .duration(within: .milliseconds(1) ... .seconds(600))),
  .mark("always", \.waitsForOthers),
]

private let backoff = Directive<RetryDraft>(
  "backoff",
  form: "DURATION|none " + backoffOptions.map(\.form).joined(separator: " "),
  bounds: "1ms to 60s, max 1ms to 10m",
  words: ["none"] + backoffOptions.map(\.name),
  defaultText: "none",
  "How long to wait before a further try: this time at most before the first one, twice as long each "
    + "time, up to `max` (1s), and a random part of that, at least half. The first further try does "
    + "not wait where it goes to another member, unless `always` stands there. With a back-off, "
    + "members are tried again when all have been; without one, each is tried once.",
  example: "backoff 25ms max 1s",
  read: { statement, draft, reading in
    let example = "backoff 25ms max 1s"
    guard let word = statement.arguments.first else {
      return reading.lacksValue(statement, example: example)
    }
    let kind = ValueKind<Duration?>.optional(
      .duration(within: .milliseconds(1) ... .seconds(60)),
      none: "none"
    )
    guard let value = reading.value(of: word, kind, in: statement, example: example) else { return }
    guard let base = value else {
      draft.settings.backoff = nil
      return reading.refuseWords(of: statement, from: 1, example: "backoff none")
    }
    var backoff = Backoff(base: base, most: max(base, .seconds(1)))
    reading.options(of: statement, from: 1, backoffOptions, into: &backoff, example: example)
    if backoff.most < base {
      reading.error(
        "the longest wait is shorter than the first one",
        mend: "for example `\(example)`",
        at: statement.range
      )
    }
    draft.settings.backoff = backoff
  },
  show: { draft, _ in
    guard let backoff = draft.settings.backoff else { return .null }
    let duration = ValueKind<Duration>.duration(within: .zero ... .seconds(600))
    return .object([
      JSONValue.Member("base", .text(duration.write(backoff.base))),
      JSONValue.Member("max", .text(duration.write(backoff.most))),
      JSONValue.Member("always", .flag(backoff.waitsForOthers)),
    ])
  }
)

private let budgetOptions: [WordOption<RetryBudget.Terms>] = [
  .value("min", \.leastPerSecond, .perSecond(within: 0...10_000)),
  .value("window", \.window, .duration(within: .seconds(1) ... .seconds(60))),
]

private let budget = Directive<RetryDraft>(
  "budget",
  form: "PERCENT|none " + budgetOptions.map(\.form).joined(separator: " "),
  bounds: "0% to 1000%, min 0/s to 10000/s, window 1s to 60s",
  words: ["none"] + budgetOptions.map(\.name),
  defaultText: "100% min 10/s window 10s",
  "How many further tries the upstream may have: a share of its requests, and `min` of them each "
    + "second however few requests there are, both counted over `window`. What no member can have seen "
    + "does not count.",
  example: "budget 20% min 3/s",
  read: { statement, draft, reading in
    let example = "budget 20% min 3/s"
    guard let word = statement.arguments.first else {
      return reading.lacksValue(statement, example: example)
    }
    let kind = ValueKind<Int?>.optional(.percent(within: 0...1000), none: "none")
    guard let value = reading.value(of: word, kind, in: statement, example: example) else { return }
    guard let percent = value else {
      draft.settings.budget = nil
      return reading.refuseWords(of: statement, from: 1, example: "budget none")
    }
    var terms = RetryBudget.Terms(percent: percent)
    reading.options(of: statement, from: 1, budgetOptions, into: &terms, example: example)
    draft.settings.budget = terms
  },
  show: { draft, _ in
    guard let terms = draft.settings.budget else { return .null }
    let duration = ValueKind<Duration>.duration(within: .zero ... .seconds(600))
    return .object([
      JSONValue.Member("percent", .number(terms.percent)),
      JSONValue.Member("min_per_second", .number(terms.leastPerSecond)),
      JSONValue.Member("window", .text(duration.write(terms.window))),
    ])
  }
)

/// The block of an upstream that says what is done when a try fails.
let retryBlock = Directive<UpstreamDraft>.block(
  "retry",
  form: "",
  retryDirectives,
  "Which failures are tried again, when, and how often in all.",
  example: "retry {\n  on connect_failed reset 503\n  budget 20% min 3/s\n}",
  begin: { statement, reading in
    reading.refuseWords(of: statement, from: 0, example: "retry { on 503 }")
    return RetryDraft()
  },
  end: { retry, statement, draft, reading in
    reading.refuseSecond(statement, after: &draft.retryRange)
    draft.settings.retry = retry.settings
  },
  show: { draft, mask in
    retryDirectives.shown(RetryDraft(settings: draft.settings.retry), mask)
  }
)

extension Reading {
  /// Notes a block that stands for the second time.
  mutating func refuseSecond(_ statement: Statement, after first: inout SourceRange?) {
    if let first {
      error(
        "`\(statement.title)` stands twice",
        mend: "remove one of them",
        at: statement.name.range,
        notes: [Diagnostic.Note("the first one", place(first))]
      )
    }
    first = first ?? statement.range
  }
}

extension ValueKind where Value == Int {
  /// A share in percent: `20%`.
  static func percent(within bounds: ClosedRange<Int>) -> ValueKind {
    unit("%", form: "PERCENT", within: bounds)
  }

  /// How often a second: `3/s`.
  static func perSecond(within bounds: ClosedRange<Int>) -> ValueKind {
    unit("/s", form: "RATE", within: bounds)
  }

  private static func unit(
    _ unit: String,
    form: String,
    within bounds: ClosedRange<Int>
  ) -> ValueKind {
    let number = ValueKind.count(within: bounds)
    return ValueKind(
      form,
      bounds: "\(bounds.lowerBound)\(unit) to \(bounds.upperBound)\(unit)",
      read: { text throws(ValueError) in
        guard text.hasSuffix(unit) else {
          let digits = text.prefix { ("0"..."9").contains($0) }
          throw ValueError(
            "`\(text)` does not end with `\(unit)`",
            mend: "\(digits.isEmpty ? String(bounds.lowerBound) : String(digits))\(unit)"
          )
        }
        do throws(ValueError) {
          return try number.read(String(text.dropLast(unit.count)))
        } catch {
          throw ValueError(error.problem, mend: error.mend.map { $0 + unit })
        }
      },
      write: { "\($0)\(unit)" },
      json: { value, _ in .number(value) }
    )
  }
}
