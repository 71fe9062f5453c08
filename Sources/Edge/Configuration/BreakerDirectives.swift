import Directives
import FailurePolicies

/// What a `breaker` block says.
struct BreakerDraft: Sendable {
  var settings = BreakerSettings()
  /// Whether statuses are written: the first line replaces the default.
  var hasStatuses = false

  /// The statuses that are written.
  var statuses: [UInt16] {
    get { hasStatuses ? settings.statuses.all : [] }
    set {
      hasStatuses = true
      settings.statuses = []
      for status in newValue { settings.statuses.insert(status) }
    }
  }
}

/// What stands in a `breaker` block.
let breakerDirectives = DirectiveTable<BreakerDraft>(
  "breaker",
  "A breaker leaves a member alone for a while when too much of what it is sent fails, or takes too "
    + "long.",
  makeDefault: { BreakerDraft() },
  [
    .value(
      "failures",
      \.settings.terms.failurePercent,
      .optional(.percent(within: 1...100), none: "off"),
      "The share of failures at which it opens: tries without an answer, and answers with one of "
        + "`statuses`.",
      example: "failures 30%"
    ),
    .list(
      "statuses",
      \.statuses,
      .status,
      unset: "502 503 504",
      "The statuses that count as failures; the first line replaces what is the default.",
      example: "statuses 500 502 503 504"
    ),
    slow,
    .value(
      "least",
      \.settings.terms.leastCount,
      .count(within: 1...100_000),
      "The fewest requests within `window` from which shares are told.",
      example: "least 50"
    ),
    .value(
      "window",
      \.settings.terms.window,
      .duration(within: .seconds(1) ... .seconds(600)),
      "Over how long requests are counted.",
      example: "window 30s"
    ),
    open,
    .value(
      "probes",
      \.settings.terms.probes,
      .count(within: 1...200),
      "How many requests it lets through when it has been open for its time; it closes when all of "
        + "them do well, and opens again when one fails.",
      example: "probes 5"
    ),
    .value(
      "scope",
      \.settings.scope,
      .choice,
      "Whether each member has a breaker, or the upstream as a whole one, which answers 503 while it "
        + "is open.",
      example: "scope upstream"
    ),
  ]
)

private struct Slow: Sendable {
  var percent = 50
}

private let slowOptions: [WordOption<Slow>] = [
  .value("share", \.percent, .percent(within: 1...100))
]

private let slow = Directive<BreakerDraft>(
  "slow",
  form: "DURATION|off " + slowOptions.map(\.form).joined(separator: " "),
  bounds: "1ms to 10m, share 1% to 100%",
  words: ["off"] + slowOptions.map(\.name),
  defaultText: "off",
  "From when on an answer is slow, by the time from the sent request to the answer's head, and the "
    + "share of slow answers at which it opens (50%).",
  example: "slow 500ms share 30%",
  read: { statement, draft, reading in
    let example = "slow 500ms share 30%"
    guard let word = statement.arguments.first else {
      return reading.lacksValue(statement, example: example)
    }
    let kind = ValueKind<Duration?>.optional(
      .duration(within: .milliseconds(1) ... .seconds(600)),
      none: "off"
    )
    guard let limit = reading.value(of: word, kind, in: statement, example: example) else { return }
    draft.settings.terms.slowLimit = limit
    guard limit != nil else {
      return reading.refuseWords(of: statement, from: 1, example: "slow off")
    }
    var slow = Slow()
    reading.options(of: statement, from: 1, slowOptions, into: &slow, example: example)
    draft.settings.terms.slowPercent = slow.percent
  },
  show: { draft, _ in
    guard let limit = draft.settings.terms.slowLimit else { return .null }
    return .object([
      JSONValue.Member("limit", .text(anyDuration.write(limit))),
      JSONValue.Member("percent", .number(draft.settings.terms.slowPercent)),
    ])
  }
)

private let openOptions: [WordOption<BreakerDraft>] = [
  .value(
    "max",
    \.settings.terms.mostOpen,
    .duration(within: .milliseconds(100) ... .seconds(86_400))
  )
]

private let open = Directive<BreakerDraft>(
  "open",
  form: "DURATION " + openOptions.map(\.form).joined(separator: " "),
  bounds: "100ms to 1h, max 100ms to 1d",
  words: openOptions.map(\.name),
  defaultText: "5s max 60s",
  "How long it is open the first time; twice as long each time that it opens again, up to `max`, and "
    + "up to a quarter less by chance.",
  example: "open 2s max 30s",
  read: { statement, draft, reading in
    let example = "open 2s max 30s"
    guard let word = statement.arguments.first else {
      return reading.lacksValue(statement, example: example)
    }
    let kind = ValueKind<Duration>.duration(within: .milliseconds(100) ... .seconds(3600))
    guard let time = reading.value(of: word, kind, in: statement, example: example) else { return }
    draft.settings.terms.open = time
    draft.settings.terms.mostOpen = max(time, draft.settings.terms.mostOpen)
    reading.options(of: statement, from: 1, openOptions, into: &draft, example: example)
    if draft.settings.terms.mostOpen < time {
      reading.error(
        "the longest time is shorter than the first one",
        mend: "for example `\(example)`",
        at: statement.range
      )
    }
  },
  show: { draft, _ in
    .object([
      JSONValue.Member("first", .text(anyDuration.write(draft.settings.terms.open))),
      JSONValue.Member("max", .text(anyDuration.write(draft.settings.terms.mostOpen))),
    ])
  }
)

private let anyDuration = ValueKind<Duration>.duration(within: .zero ... .seconds(86_400))

/// The block of an upstream that gives it breakers.
let breakerBlock = Directive<UpstreamDraft>.block(
  "breaker",
  form: "",
  breakerDirectives,
  "When members are left alone for a while; without this block they never are.",
  example: "breaker {\n  failures 50%\n  open 5s max 60s\n}",
  begin: { statement, reading in
    reading.refuseWords(of: statement, from: 0, example: "breaker { failures 50% }")
    return BreakerDraft()
  },
  end: { breaker, statement, draft, reading in
    reading.refuseSecond(statement, after: &draft.breakerRange)
    if breaker.settings.terms.failurePercent == nil, breaker.settings.terms.slowLimit == nil {
      reading.error(
        "the breaker never opens: neither failures nor slow answers count",
        mend: "write `failures 50%` or `slow 1s` into its block",
        at: statement.name.range
      )
    }
    draft.settings.breaker = breaker.settings
  },
  show: { draft, mask in
    draft.settings.breaker.map { settings in
      breakerDirectives.shown(BreakerDraft(settings: settings, hasStatuses: true), mask)
    } ?? .null
  }
)

extension ValueKind where Value == UInt16 {
  /// A status from 400 to 599.
  static var status: ValueKind {
    ValueKind(
      "STATUS",
      bounds: "400 to 599",
      read: { text throws(ValueError) in
        guard let status = UInt16(text), StatusSet.statuses.contains(status) else {
          throw ValueError("`\(text)` is not a status from 400 to 599", mend: "503")
        }
        return status
      },
      write: { String($0) },
      json: { value, _ in .number(Int(value)) }
    )
  }
}

private struct Hedge: Sendable {
  var floor: Duration = .milliseconds(20)
}

private let hedgeOptions: [WordOption<Hedge>] = [
  .value("floor", \.floor, .duration(within: .milliseconds(1) ... .seconds(60)))
]

/// When a second member is asked because the first one takes long.
let hedge = Directive<UpstreamDraft>(
  "hedge",
  form: "after DURATION|at PERCENT " + hedgeOptions.map(\.form).joined(separator: " ") + "|off",
  bounds: "after 1ms to 60s, at 50% to 99%, floor 1ms to 60s",
  words: ["after", "at", "off"] + hedgeOptions.map(\.name),
  defaultText: "off",
  "When a second member is asked as well, if the method is safe and the first one has not answered: "
    + "after a time, or after the time in which so many percent of the answers come, `floor` (20ms) at "
    + "least. The first good answer is passed on, and the other one is dropped. A hedge is taken from "
    + "the `budget` of `retry`.",
  example: "hedge after 50ms",
  read: { statement, draft, reading in
    let example = "hedge after 50ms"
    guard let word = statement.arguments.first else {
      return reading.lacksValue(statement, example: example)
    }
    let kind = ValueKind<String>.choice(["after", "at", "off"].map { ($0, $0) })
    guard let form = reading.value(of: word, kind, in: statement, example: example) else { return }
    guard form != "off" else {
      draft.settings.hedge = nil
      return reading.refuseWords(of: statement, from: 1, example: "hedge off")
    }
    guard statement.arguments.count > 1 else {
      return reading.lacksValue(statement, example: example)
    }
    let value = statement.arguments[1]
    if form == "after" {
      let delays = ValueKind<Duration>.duration(within: .milliseconds(1) ... .seconds(60))
      reading.refuseWords(of: statement, from: 2, example: example)
      guard let delay = reading.value(of: value, delays, in: statement, example: example) else {
        return
      }
      draft.settings.hedge = .after(delay)
    } else {
      let shares = ValueKind<Int>.percent(within: 50...99)
      var hedge = Hedge()
      reading.options(
        of: statement,
        from: 2,
        hedgeOptions,
        into: &hedge,
        example: "hedge at 95% floor 20ms"
      )
      guard let percent = reading.value(of: value, shares, in: statement, example: example) else {
        return
      }
      draft.settings.hedge = .quantile(percent: percent, floor: hedge.floor)
    }
  },
  show: { draft, _ in
    switch draft.settings.hedge {
    case nil: .null
    case .after(let delay)?:
      .object([JSONValue.Member("after", .text(anyDuration.write(delay)))])
    case .quantile(let percent, let floor)?:
      .object([
        JSONValue.Member("at_percent", .number(percent)),
        JSONValue.Member("floor", .text(anyDuration.write(floor))),
      ])
    }
  }
)
