import Directives

/// What stands in `overload`.
let overloadDirectives = DirectiveTable<OverloadSettings>(
  "overload",
  "When the process has too much to do, requests of the lowest `priority` are answered 503, and at "
    + "the worst no more connections are accepted.",
  makeDefault: { OverloadSettings() },
  [
    .value(
      "loop_lag",
      \.loopLag,
      .optional(.duration(within: .milliseconds(5) ... .seconds(10)), none: "off"),
      "How late loops may be until the first requests are refused; at twice, four and eight times "
        + "of it more are.",
      example: "loop_lag 50ms"
    ),
    .value(
      "memory",
      \.memory,
      .machineLimit(.size(within: 1 << 20...1 << 46)),
      "How much memory the edge process may hold; at 80, 87, 93 and 97 percent of it requests are "
        + "refused. `auto` is the limit of the control group, if it has one.",
      example: "memory 2GB"
    ),
    .value(
      "descriptors",
      \.descriptors,
      .machineLimit(.count(within: 16...10_000_000)),
      "How many descriptors the edge process may have open, with the same shares; `auto` is the "
        + "limit of the process.",
      example: "descriptors 100000"
    ),
    .value(
      "retry_after",
      \.retryAfter,
      .duration(within: .seconds(1) ... .seconds(3600)),
      "What clients that are refused are told to wait.",
      example: "retry_after 5s"
    ),
  ]
)

/// `overload`, outside of blocks.
let overloadBlock = Directive<FileDraft>.block(
  "overload",
  form: "",
  overloadDirectives,
  "Watches the process and refuses the least important requests before all suffer.",
  example: "overload {\n  loop_lag 50ms\n  memory 2GB\n}",
  begin: { statement, reading -> OverloadSettings? in
    reading.refuseWords(of: statement, from: 0, example: "overload { loop_lag 50ms }")
    return OverloadSettings()
  },
  end: { overload, statement, draft, reading in
    if draft.process.overload != nil {
      reading.error("`overload` stands twice", mend: "remove one of them", at: statement.name.range)
    }
    draft.process.overload = overload
  },
  show: { draft, mask in
    draft.process.overload.map { overloadDirectives.shown($0, mask) } ?? .null
  }
)

extension ValueKind where Value == OverloadSettings.Limit {
  /// A number, or a word for what the machine says.
  static func machineLimit(_ kind: ValueKind<Int>) -> ValueKind {
    ValueKind(
      "\(kind.form)|auto|off",
      bounds: kind.bounds.map { "\($0), auto or off" },
      words: ["auto", "off"],
      read: { text throws(ValueError) in
        switch text {
        case "auto": return .automatic
        case "off": return .off
        default: return .fixed(try kind.read(text))
        }
      },
      write: { limit in
        switch limit {
        case .automatic: "auto"
        case .off: "off"
        case .fixed(let number): kind.write(number)
        }
      }
    )
  }
}
