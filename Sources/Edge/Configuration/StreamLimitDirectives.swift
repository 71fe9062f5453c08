import Directives

/// The kinds of limits that connections of layer 4 have, as they are written.
private enum StreamLimitWord: String, CaseIterable {
  case connections
  case arrivals = "new_connections"
}

/// What may follow a kind of limit.
private struct StreamLimitOptions: Sendable {
  var key: Template?
  var burst: Int?
  var isDryRun = false
  var keyCount = 65_536
  var name: String?
}

private let example = "limit connections 20 by {client.address}"

private let common: [WordOption<StreamLimitOptions>] = [
  .custom("by", form: "{client.address}") { word, statement, options, reading in
    guard let key = reading.template(of: word, for: .requestField, in: statement) else { return }
    guard key.parts == [.variable(.clientAddress)] else {
      return reading.error(
        "connections of layer 4 are told apart by the address of their client alone",
        mend: reading.mend(statement, replacing: word, with: "{client.address}"),
        at: word.range
      )
    }
    options.key = key
  },
  .mark("dry_run", \.isDryRun),
  .value("keys", \.keyCount, .count(within: 16...1 << 22)),
  .value("name", \.name, .given(.text("NAME", maxBytes: 64))),
]
private let ofArrivals =
  [WordOption<StreamLimitOptions>.value("burst", \.burst, .given(.count(within: 1...1_000_000)))]
  + common

/// `limit`, of `tcp` blocks.
let streamLimit = Directive<TCPDraft>(
  "limit",
  form:
    "connections NUMBER|new_connections NUMBER/TIME [by {client.address}] [burst NUMBER] [dry_run] "
    + "[keys NUMBER] [name NAME], or limit NAME",
  bounds: "1 to 1000000, in 1s to 1d; keys 16 to 4194304",
  repeats: true,
  words: StreamLimitWord.allCases.map(\.rawValue) + ["by", "burst", "dry_run", "keys", "name"],
  "How many connections may be open at once, or begin in a time: of all clients together, or `by` the "
    + "address of each. What is more is reset at once; with `dry_run` it is counted and logged only. A "
    + "name alone is that of a `shared_limit`, of `connections`.",
  example: example,
  read: { statement, draft, reading in
    if statement.arguments.count == 1, let name = statement.arguments[0].text,
      StreamLimitWord(rawValue: name) == nil, !name.contains(" ")
    {
      draft.limits.names.append(
        (draft.limits.settings.count, statement.arguments[0], statement)
      )
      // Its settings are known when everything was read.
      draft.limits.settings.append(LimitSettings(.connections(1), name: name))
    } else if let limit = reading.streamLimit(of: statement) {
      draft.limits.settings.append(limit)
    }
  },
  show: { draft, mask in .list(draft.limits.settings.map { $0.json(mask) }) }
)

extension Reading {
  fileprivate mutating func streamLimit(of statement: Statement) -> LimitSettings? {
    guard let first = statement.arguments.first else {
      lacksValue(statement, example: example)
      return nil
    }
    let read: StreamLimitWord? = value(of: first, .choice, in: statement, example: example)
    guard let read else { return nil }
    guard statement.arguments.count > 1 else {
      error(
        "`\(read.rawValue)` needs a value",
        mend: "for example `\(example)`",
        at: statement.range
      )
      return nil
    }
    let word = statement.arguments[1]
    var options = StreamLimitOptions()
    let kind: LimitSettings.Kind
    switch read {
    case .connections:
      let most = value(of: word, .count(within: 1...1_000_000), in: statement, example: example)
      self.options(of: statement, from: 2, common, into: &options, example: example)
      guard let most else { return nil }
      kind = .connections(most)
    case .arrivals:
      let example = "limit new_connections 10/s by {client.address}"
      let rate = value(of: word, .requestRate, in: statement, example: example)
      self.options(of: statement, from: 2, ofArrivals, into: &options, example: example)
      guard let rate, let burst = burst(options.burst, of: rate, in: statement) else { return nil }
      kind = .arrivals(count: rate.count, period: rate.period, burst: burst)
    }
    return LimitSettings(
      kind,
      key: options.key,
      isDryRun: options.isDryRun,
      keyCount: options.keyCount,
      name: options.name
    )
  }

  /// Gives a `tcp` block its limits, and notes shared ones that are not about connections.
  mutating func placeLimits(of tcp: inout TCPDraft, _ shared: [LimitSettings]) {
    for (_, word, statement) in tcp.limits.names {
      guard let limit = shared.first(where: { $0.name == word.text }) else { continue }
      if case .connections = limit.kind,
        limit.key == nil || limit.key?.parts == [.variable(.clientAddress)]
      {
        continue
      }
      error(
        "the limit `\(word.text ?? "")` asks for what connections of layer 4 do not have",
        mend: "name a `shared_limit` of `connections`, in all or `by {client.address}`",
        at: statement.range
      )
    }
    resolveLimits(&tcp.limits, shared)
    tcp.settings.limits = tcp.limits.settings
  }
}
