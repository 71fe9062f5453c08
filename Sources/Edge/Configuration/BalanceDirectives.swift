import Directives

/// The directives of an upstream that say who is chosen.
let balanceDirectives: [Directive<UpstreamDraft>] = [
  balance,
  .value(
    "slow_start",
    \.settings.slowStart,
    .optional(.duration(within: .milliseconds(100) ... .seconds(3600)), none: "none"),
    "How long a member that comes back takes until it has its whole share again.",
    example: "slow_start 30s"
  ),
  .value(
    "panic_threshold",
    \.settings.panicThreshold,
    .share(within: 0...100),
    "When fewer of the members are well than this, all of them are used; 0% means never.",
    example: "panic_threshold 30%"
  ),
]

private let balance = Directive<UpstreamDraft>(
  "balance",
  form: Balance.plain.map(\.name).joined(separator: "|")
    + "|source_hash|hash EXPRESSION [ring|maglev] [bounded PERCENT]",
  bounds: "bounded 100% to 1000%",
  words: Balance.words + HashSettings.Form.allCases.map(\.rawValue) + ["bounded"],
  defaultText: "round_robin",
  "How a member is chosen for a request.",
  example: "balance hash {request.header.x-user} maglev bounded 125%",
  read: { statement, draft, reading in
    guard let word = statement.arguments.first else {
      return reading.lacksValue(statement, example: "balance weighted_least_connections")
    }
    guard let text = reading.plainText(of: word, in: statement, example: "balance random") else {
      return
    }
    draft.balanceRange = statement.range
    if let plain = Balance.plain.first(where: { $0.name == text }) {
      draft.settings.balance = plain
      return reading.refuseWords(of: statement, from: 1, example: "balance \(text)")
    }
    switch text {
    case "source_hash":
      if let settings = reading.hashSettings(of: statement, from: 1) {
        draft.settings.balance = .sourceHash(settings)
      }
    case "hash":
      let example = "balance hash {request.path}"
      guard statement.arguments.count > 1 else {
        return reading.lacksValue(statement, example: example)
      }
      let key = statement.arguments[1]
      guard let template = reading.template(of: key, for: .key, in: statement),
        let settings = reading.hashSettings(of: statement, from: 2)
      else { return }
      if template.literal != nil {
        let mend = "write a variable, as in `\(example)`"
        reading.error("the key is the same for all requests", mend: mend, at: key.range)
      }
      draft.settings.balance = .hash(template, settings)
    default:
      let mend = peers[text] ?? nearestName(to: text, among: Balance.words) ?? "round_robin"
      let wrong = ValueError(
        "`\(text)` is none of " + Balance.words.joined(separator: ", "),
        mend: mend == "hash" ? "hash {request.path}" : mend
      )
      reading.report(wrong, word, in: statement)
    }
  },
  show: { draft, mask in
    var members = [JSONValue.Member("by", .text(draft.settings.balance.name))]
    if let (key, settings) = draft.settings.balance.hash {
      members.append(JSONValue.Member("key", .text(mask.shown(key.description))))
      members.append(JSONValue.Member("form", .text(settings.form.rawValue)))
      members.append(
        JSONValue.Member("bounded_percent", settings.bound.map { .number($0) } ?? .null)
      )
    }
    return .object(members)
  }
)

// What people write who come from other products.
private let peers = [
  "roundrobin": "round_robin", "static-rr": "round_robin",
  "leastconn": "weighted_least_connections", "least_conn": "weighted_least_connections",
  "ip_hash": "source_hash", "source": "source_hash", "least_time": "latency",
  "uri": "hash {request.path}", "url_param": "hash {request.query.NAME}",
  "hdr": "hash {request.header.NAME}",
]

extension Reading {
  /// Reads `[ring|maglev] [bounded PERCENT]`.
  fileprivate mutating func hashSettings(
    of statement: Statement,
    from index: Int
  ) -> HashSettings? {
    let example = "balance source_hash maglev bounded 125%"
    var settings = HashSettings()
    var words = statement.arguments.dropFirst(index)
    while let word = words.popFirst() {
      let text = word.text ?? raw(word.range)
      if let form = HashSettings.Form(rawValue: text) {
        settings.form = form
      } else if text == "bounded" {
        guard let value = words.popFirst() else {
          error("`bounded` needs a value", mend: "write `bounded 125%`", at: word.range)
          return nil
        }
        let kind = ValueKind<Int>.share(within: 100...1000)
        guard let bound = self.value(of: value, kind, in: statement, example: example) else {
          return nil
        }
        settings.bound = bound
      } else {
        error(
          "`\(text)` is none of ring, maglev, bounded",
          mend: "for example `\(example)`",
          at: word.range
        )
        return nil
      }
    }
    return settings
  }

  /// Notes what is hardly meant in how upstreams balance.
  mutating func checkBalance(of upstream: UpstreamDraft) {
    let settings = upstream.settings
    let weights = Set(settings.members.map(\.weight).filter { $0 > 0 })
    guard settings.balance == .leastConnections, weights.count > 1 else { return }
    warning(
      "`least_connections` counts weights among members only that have equally little to do",
      mend: "write `balance weighted_least_connections` if a heavier member may have more",
      at: upstream.balanceRange ?? upstream.range
    )
  }
}

extension ValueKind where Value == Int {
  /// A part of a whole, `30%`.
  fileprivate static func share(within bounds: ClosedRange<Int>) -> ValueKind {
    let number = ValueKind.count(within: bounds)
    return ValueKind(
      "PERCENT",
      bounds: "\(bounds.lowerBound)% to \(bounds.upperBound)%",
      read: { text throws(ValueError) in
        guard text.hasSuffix("%") else {
          throw ValueError(
            "`\(text)` is no share, which ends with `%`",
            mend: "\(bounds.upperBound)%"
          )
        }
        do throws(ValueError) {
          return try number.read(String(text.dropLast()))
        } catch {
          throw ValueError(error.problem, mend: error.mend.map { "\($0)%" })
        }
      },
      write: { "\($0)%" }
    )
  }
}
