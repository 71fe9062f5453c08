import Directives

// Limits of layer 4, which knows of a client only its address.

/// What a kind of limit is followed by.
private enum LimitShape {
  /// How many there are at once.
  case count((Int) -> LimitSettings.Kind)
  /// How many come in a time.
  case rate((_ count: Int, _ period: Duration, _ burst: Int) -> LimitSettings.Kind)
  /// How many bytes pass in a second.
  case bytes((_ rate: Int, _ burst: Int, _ freeBytes: Int) -> LimitSettings.Kind)
}

/// A word that names a kind of limit.
private protocol AddressLimitWord: RawRepresentable, CaseIterable, Sendable
where RawValue == String {
  var shape: LimitShape { get }
  /// What such a limit is written like.
  var example: String { get }
}

/// The limits of connections.
private enum StreamLimitWord: String, AddressLimitWord {
  case connections
  case arrivals = "new_connections"
  case bandwidth, upload

  var shape: LimitShape {
    switch self {
    case .connections: .count { .connections($0) }
    case .arrivals: .rate { .arrivals(count: $0, period: $1, burst: $2) }
    case .bandwidth: .bytes { .bandwidth(bytesPerSecond: $0, burst: $1, freeBytes: $2) }
    case .upload: .bytes { .upload(bytesPerSecond: $0, burst: $1, freeBytes: $2) }
    }
  }

  var example: String {
    switch self {
    case .connections: "limit connections 20 by {client.address}"
    case .arrivals: "limit new_connections 10/s by {client.address}"
    case .bandwidth: "limit bandwidth 1MB/s"
    case .upload: "limit upload 1MB/s"
    }
  }
}

/// The limits of flows and of datagrams.
private enum DatagramLimitWord: String, AddressLimitWord {
  case flows
  case arrivals = "new_flows"
  case datagrams

  var shape: LimitShape {
    switch self {
    case .flows: .count { .flows($0) }
    case .arrivals: .rate { .newFlows(count: $0, period: $1, burst: $2) }
    case .datagrams: .rate { .datagrams(count: $0, period: $1, burst: $2) }
    }
  }

  var example: String {
    switch self {
    case .flows: "limit flows 100 by {client.address}"
    case .arrivals: "limit new_flows 50/s by {client.address}"
    case .datagrams: "limit datagrams 1000/s by {client.address}"
    }
  }
}

/// What may follow a kind of limit.
private struct AddressLimitOptions: Sendable {
  var key: Template?
  var burst: Int?
  var burstBytes: Int?
  var freeBytes = 0
  var isDryRun = false
  var keyCount = 65_536
  var name: String?
}

private let byAddress = WordOption<AddressLimitOptions>.custom("by", form: "{client.address}") {
  word,
  statement,
  options,
  reading in
  guard let key = reading.template(of: word, for: .requestField, in: statement) else { return }
  guard key.parts == [.variable(.clientAddress)] else {
    return reading.error(
      "clients of layer 4 are told apart by their address alone",
      mend: reading.mend(statement, replacing: word, with: "{client.address}"),
      at: word.range
    )
  }
  options.key = key
}
private let asNamed: [WordOption<AddressLimitOptions>] = [
  .value("keys", \.keyCount, .count(within: 16...1 << 22)),
  .value("name", \.name, .given(.text("NAME", maxBytes: 64))),
]
private let ofCounts = [byAddress, .mark("dry_run", \.isDryRun)] + asNamed
private let ofRates =
  [.value("burst", \.burst, .given(.count(within: 1...1_000_000)))] + ofCounts
private let ofBytes: [WordOption<AddressLimitOptions>] =
  [
    byAddress, .value("burst", \.burstBytes, .given(.size(within: 512...1 << 30))),
    .value("after", \.freeBytes, .size(within: 0...1 << 40)),
  ] + asNamed

private let countBounds = "1 to 1000000, in 1s to 1d; keys 16 to 4194304"

/// `limit`, of `tcp` blocks.
let streamLimit = Directive<TCPDraft>(
  "limit",
  form:
    "connections NUMBER|new_connections NUMBER/TIME|bandwidth SIZE/s|upload SIZE/s "
    + "[by {client.address}] [burst NUMBER|SIZE] [after SIZE] [dry_run] [keys NUMBER] [name NAME], "
    + "or limit NAME",
  bounds: countBounds + "; bytes 1KB/s to 100GB/s",
  repeats: true,
  words: StreamLimitWord.allCases.map(\.rawValue)
    + ["by", "burst", "after", "dry_run", "keys", "name"],
  "How many connections may be open at once, or begin in a time, or how many bytes members (`upload`: "
    + "clients) may send in a second: of all clients together, or `by` the address of each; of bytes "
    + "without `by` each connection alone. Connections that are more are reset at once, with `dry_run` "
    + "counted and logged only; bytes wait. A name alone is that of a `shared_limit`, of `connections`.",
  example: "limit connections 20 by {client.address}",
  read: { statement, draft, reading in
    if statement.arguments.count == 1, let name = statement.arguments[0].text,
      StreamLimitWord(rawValue: name) == nil, !name.contains(" ")
    {
      draft.limits.names.append(
        (draft.limits.settings.count, statement.arguments[0], statement)
      )
      // Its settings are known when everything was read.
      draft.limits.settings.append(LimitSettings(.connections(1), name: name))
    } else if let limit = reading.limit(of: statement, StreamLimitWord.connections) {
      draft.limits.settings.append(limit)
    }
  },
  show: { draft, mask in .list(draft.limits.settings.map { $0.json(mask) }) }
)

/// `limit`, of `udp` blocks.
let datagramLimit = Directive<UDPDraft>(
  "limit",
  form:
    "flows NUMBER|new_flows NUMBER/TIME|datagrams NUMBER/TIME [by {client.address}] [burst NUMBER] "
    + "[dry_run] [keys NUMBER] [name NAME]",
  bounds: countBounds,
  repeats: true,
  words: DatagramLimitWord.allCases.map(\.rawValue) + ["by", "burst", "dry_run", "keys", "name"],
  "How many flows there may be at once, or begin in a time, or how many datagrams clients may send in a "
    + "time: of all clients together, or `by` the address of each. What is more is dropped; with `dry_run` "
    + "it is counted and logged only.",
  example: "limit datagrams 1000/s by {client.address}",
  read: { statement, draft, reading in
    if let limit = reading.limit(of: statement, DatagramLimitWord.datagrams) {
      draft.limits.settings.append(limit)
    }
  },
  show: { draft, mask in .list(draft.limits.settings.map { $0.json(mask) }) }
)

extension Reading {
  /// Reads a limit of one of the kinds that `usual` is one of.
  fileprivate mutating func limit<LimitWord: AddressLimitWord>(
    of statement: Statement,
    _ usual: LimitWord
  ) -> LimitSettings? {
    guard let first = statement.arguments.first else {
      lacksValue(statement, example: usual.example)
      return nil
    }
    let read: LimitWord? = value(of: first, .choice, in: statement, example: usual.example)
    guard let read else { return nil }
    guard statement.arguments.count > 1 else {
      error(
        "`\(read.rawValue)` needs a value",
        mend: "for example `\(read.example)`",
        at: statement.range
      )
      return nil
    }
    let word = statement.arguments[1]
    let example = read.example
    var options = AddressLimitOptions()
    let kind: LimitSettings.Kind
    switch read.shape {
    case .count(let make):
      let most = value(of: word, .count(within: 1...1_000_000), in: statement, example: example)
      self.options(of: statement, from: 2, ofCounts, into: &options, example: example)
      guard let most else { return nil }
      kind = make(most)
    case .rate(let make):
      let rate = value(of: word, .requestRate, in: statement, example: example)
      self.options(of: statement, from: 2, ofRates, into: &options, example: example)
      guard let rate, let burst = burst(options.burst, of: rate, in: statement) else { return nil }
      kind = make(rate.count, rate.period, burst)
    case .bytes(let make):
      let rate = value(of: word, .bandwidth, in: statement, example: example)
      self.options(of: statement, from: 2, ofBytes, into: &options, example: example)
      guard let rate else { return nil }
      kind = make(
        rate,
        options.burstBytes ?? LimitSettings.usualBurst(of: rate),
        options.freeBytes
      )
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
