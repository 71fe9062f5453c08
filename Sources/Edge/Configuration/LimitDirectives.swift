import Directives

/// Limits as a server or a route says them, with the places of those that are shared.
struct LimitDraft: Sendable {
  var settings: [LimitSettings] = []
  /// Where a shared limit is named, and its place in `settings`.
  var names: [(index: Int, word: Word, statement: Statement)] = []
}

/// `limit`, of servers and routes.
func limitDirective<Settings>(
  _ path: any WritableKeyPath<Settings, LimitDraft> & Sendable
) -> Directive<Settings> {
  Directive(
    "limit",
    form: limitForm + ", or limit NAME",
    bounds: limitBounds,
    repeats: true,
    words: LimitWord.allCases.map(\.rawValue) + limitWords,
    "How many requests or connections, or how many bytes in a second, are answered: of all together "
      + "or `by` a text, each by itself. More is answered with 429, or `status`; with `dry_run` it is "
      + "counted and logged only. A name alone is that of a `shared_limit`.",
    example: "limit requests 100/s burst 50 by {client.address}",
    read: { statement, draft, reading in
      if statement.arguments.count == 1, let name = statement.arguments[0].text,
        LimitWord(rawValue: name) == nil, !name.contains(" ")
      {
        draft[keyPath: path].names.append(
          (draft[keyPath: path].settings.count, statement.arguments[0], statement)
        )
        // Its settings are known when everything was read.
        draft[keyPath: path].settings.append(LimitSettings(.concurrency(1), name: name))
      } else if let limit = reading.limit(of: statement, from: 0) {
        draft[keyPath: path].settings.append(limit)
      }
    },
    show: { draft, mask in .list(draft[keyPath: path].settings.map { $0.json(mask) }) }
  )
}

/// `shared_limit`, outside of blocks.
let sharedLimit = Directive<FileDraft>(
  "shared_limit",
  form: "NAME " + limitForm,
  bounds: limitBounds,
  repeats: true,
  words: LimitWord.allCases.map(\.rawValue) + limitWords,
  "A limit that several servers and routes share: `limit NAME` puts them under it.",
  example: "shared_limit login requests 5/m by {client.address}",
  read: { statement, draft, reading in
    guard let word = statement.arguments.first else {
      return reading.lacksValue(statement, example: "shared_limit login requests 5/m")
    }
    guard let name = reading.value(of: word, .name(), in: statement),
      var limit = reading.limit(of: statement, from: 1)
    else { return }
    if LimitWord(rawValue: name) != nil {
      reading.error(
        "`\(name)` is a kind of limit, it cannot be the name of one",
        mend: "choose another name",
        at: word.range
      )
      return
    }
    if let first = draft.sharedLimitRanges.updateValue(statement.range, forKey: name) {
      reading.error(
        "there are two limits named `\(name)`",
        mend: "give one of them another name",
        at: word.range,
        notes: [Diagnostic.Note("the first one", reading.place(first))]
      )
      return
    }
    limit.name = name
    limit.isShared = true
    draft.sharedLimits.append(limit)
  },
  show: { draft, mask in .list(draft.sharedLimits.map { $0.json(mask) }) }
)

/// `priority`, of servers and routes.
func priorityDirective<Settings>(
  _ path: any WritableKeyPath<Settings, PrioritySettings?> & Sendable,
  default defaultText: String?
) -> Directive<Settings> {
  Directive(
    "priority",
    form: "NUMBER|TEXT",
    bounds: "0 to 9, the highest last",
    defaultText: defaultText,
    "How important requests are: those of the lowest priority are refused first when the process is "
      + "overloaded, and those of the highest are first in a `queue`. A text with variables is asked "
      + "of each request; what is no digit is 5.",
    example: "priority 8",
    read: { statement, draft, reading in
      guard let word = reading.onlyWord(of: statement, example: "priority 8") else { return }
      if word.firstVariable != nil {
        guard let text = reading.template(of: word, for: .requestField, in: statement) else {
          return
        }
        draft[keyPath: path] = .text(text)
      } else if let number = reading.value(of: word, .count(within: 0...9), in: statement) {
        draft[keyPath: path] = .fixed(number)
      }
    },
    show: { draft, mask in
      switch draft[keyPath: path] {
      case .fixed(let number): .number(number)
      case .text(let text): .text(mask.shown(text.description))
      case nil: defaultText == nil ? nil : .number(PrioritySettings.usual)
      }
    }
  )
}

// MARK: Reading

/// The kinds of limits, as they are written.
private enum LimitWord: String, CaseIterable {
  case requests, connections, concurrency, bandwidth
}

private let limitForm =
  "requests NUMBER/TIME|connections NUMBER|concurrency NUMBER|bandwidth SIZE/s [by TEXT] "
  + "[burst NUMBER|SIZE] [after SIZE] [status NUMBER] [dry_run] [keys NUMBER] [name NAME]"
private let limitBounds =
  "1 to 1000000, in 1s to 1d; a bandwidth 1KB/s to 100GB/s; keys 16 to 4194304; status 400 to 599"
private let limitWords = ["by", "burst", "after", "status", "dry_run", "keys", "name"]

/// What may follow a kind of limit.
private struct LimitOptions: Sendable {
  var key: Template?
  var burst: Int?
  var burstBytes: Int?
  var freeBytes = 0
  var status = 429
  var isDryRun = false
  var keyCount = 65_536
  var name: String?
}

private let counted: [WordOption<LimitOptions>] = [
  .custom("by", form: "TEXT") { word, statement, options, reading in
    options.key = reading.template(of: word, for: .requestField, in: statement)
  },
  .value("status", \.status, .count(within: 400...599)),
  .mark("dry_run", \.isDryRun),
  .value("keys", \.keyCount, .count(within: 16...1 << 22)),
  .value("name", \.name, .given(.text("NAME", maxBytes: 64))),
]
private let ofRequests =
  [WordOption<LimitOptions>.value("burst", \.burst, .given(.count(within: 1...1_000_000)))]
  + counted
private let ofBandwidth: [WordOption<LimitOptions>] = [
  counted[0], .value("burst", \.burstBytes, .given(.size(within: 512...1 << 30))),
  .value("after", \.freeBytes, .size(within: 0...1 << 40)), counted[3], counted[4],
]

extension Reading {
  /// Reads a limit from the word at `index` on.
  fileprivate mutating func limit(of statement: Statement, from index: Int) -> LimitSettings? {
    let example = "limit requests 100/s by {client.address}"
    guard statement.arguments.count > index else {
      lacksValue(statement, example: example)
      return nil
    }
    let read: LimitWord? = value(
      of: statement.arguments[index],
      .choice,
      in: statement,
      example: example
    )
    guard let kind = read else { return nil }
    guard statement.arguments.count > index + 1 else {
      error(
        "`\(kind.rawValue)` needs a value",
        mend: "for example `\(example)`",
        at: statement.range
      )
      return nil
    }
    let word = statement.arguments[index + 1]
    var options = LimitOptions()
    func settings(_ kind: LimitSettings.Kind) -> LimitSettings {
      LimitSettings(
        kind,
        key: options.key,
        status: options.status,
        isDryRun: options.isDryRun,
        keyCount: options.keyCount,
        name: options.name
      )
    }
    switch kind {
    case .requests:
      let rate = value(of: word, .requestRate, in: statement, example: example)
      self.options(of: statement, from: index + 2, ofRequests, into: &options, example: example)
      guard let rate, let burst = burst(options.burst, of: rate, in: statement) else { return nil }
      return settings(.requests(count: rate.count, period: rate.period, burst: burst))
    case .connections, .concurrency:
      let most = value(of: word, .count(within: 1...1_000_000), in: statement, example: example)
      self.options(of: statement, from: index + 2, counted, into: &options, example: example)
      guard let most else { return nil }
      return settings(kind == .connections ? .connections(most) : .concurrency(most))
    case .bandwidth:
      let rate = value(of: word, .bandwidth, in: statement, example: "limit bandwidth 1MB/s")
      self.options(of: statement, from: index + 2, ofBandwidth, into: &options, example: example)
      guard let rate else { return nil }
      let burst = options.burstBytes ?? LimitSettings.usualBurst(of: rate)
      return settings(
        .bandwidth(bytesPerSecond: rate, burst: burst, freeBytes: options.freeBytes)
      )
    }
  }

  /// How many may come at once; nil when those were allowed again too late.
  mutating func burst(_ burst: Int?, of rate: RequestRate, in statement: Statement) -> Int? {
    let burst = burst ?? rate.count
    if rate.period / rate.count * burst <= Self.longestBurst { return burst }
    error(
      "a burst of \(burst) takes longer than 30 days to be allowed again",
      mend: "write a smaller `burst`",
      at: statement.range
    )
    return nil
  }

  private static let longestBurst = Duration.seconds(30 * 86_400)

  /// Puts shared limits where they are named, and notes names that no limit has.
  mutating func resolveLimits(_ draft: inout LimitDraft, _ shared: [LimitSettings]) {
    for (index, word, statement) in draft.names {
      let name = draft.settings[index].name ?? ""
      if let limit = shared.first(where: { $0.name == name }) {
        draft.settings[index] = limit
        continue
      }
      let near = nearestName(
        to: name,
        among: LimitWord.allCases.map(\.rawValue) + shared.compactMap(\.name)
      )
      error(
        "there is no limit named `\(name)`",
        mend: near.map { mend(statement, replacing: word, with: $0) }
          ?? "write `shared_limit \(name) requests 100/s` outside of every block",
        at: word.range
      )
    }
    draft.names = []
  }
}

/// How often something may happen.
struct RequestRate: Hashable, Sendable {
  var count: Int
  var period: Duration
}

extension ValueKind where Value == RequestRate {
  /// A number in a time: `100/s`, `5/m`, `1000/10s`.
  static var requestRate: ValueKind {
    let counts = ValueKind<Int>.count(within: 1...1_000_000)
    let times = ValueKind<Duration>.duration(within: .seconds(1) ... .seconds(86_400))
    return ValueKind(
      "NUMBER/TIME",
      read: { text throws(ValueError) in
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2 else {
          throw ValueError("`\(text)` is not a number of requests in a time", mend: "100/s")
        }
        let time = String(parts[1])
        let hasDigits = time.utf8.first.map { (0x30...0x39).contains($0) } ?? false
        var count = 0
        do throws(ValueError) {
          count = try counts.read(String(parts[0]))
        } catch {
          throw ValueError(error.problem, mend: error.mend.map { "\($0)/\(time)" })
        }
        do throws(ValueError) {
          let period = try times.read(hasDigits ? time : "1" + time)
          return RequestRate(count: count, period: period)
        } catch {
          throw ValueError(error.problem, mend: "\(count)/\(error.mend ?? "s")")
        }
      },
      write: { "\($0.count)/\(times.write($0.period))" }
    )
  }
}

extension ValueKind where Value == Int {
  /// Bytes in a second: `1MB/s`.
  static var bandwidth: ValueKind {
    let sizes = ValueKind<Int>.size(within: 1 << 10...100 << 30)
    return ValueKind(
      "SIZE/s",
      bounds: "1KB/s to 100GB/s",
      read: { text throws(ValueError) in
        guard text.hasSuffix("/s") else {
          throw ValueError("`\(text)` is not a number of bytes in a second", mend: "1MB/s")
        }
        do throws(ValueError) {
          return try sizes.read(String(text.dropLast(2)))
        } catch {
          throw ValueError(error.problem, mend: error.mend.map { $0 + "/s" })
        }
      },
      write: { sizes.write($0) + "/s" }
    )
  }
}

// MARK: Showing

extension LimitSettings {
  /// The word of its kind.
  public var kindName: String {
    switch kind {
    case .requests: "requests"
    case .connections: "connections"
    case .arrivals: "new_connections"
    case .concurrency: "concurrency"
    case .bandwidth: "bandwidth"
    case .upload: "upload"
    case .flows: "flows"
    case .newFlows: "new_flows"
    case .datagrams: "datagrams"
    }
  }

  /// The settings for programs.
  func json(_ mask: Mask) -> JSONValue {
    var members: [JSONValue.Member] = []
    func add(_ name: String, _ value: JSONValue) {
      members.append(JSONValue.Member(name, value))
    }
    if let name { add("name", .text(mask.shown(name))) }
    switch kind {
    case .requests(let count, let period, let burst),
      .arrivals(let count, let period, let burst),
      .newFlows(let count, let period, let burst),
      .datagrams(let count, let period, let burst):
      let rate = RequestRate(count: count, period: period)
      add(kindName, .text(ValueKind.requestRate.write(rate)))
      add("burst", .number(burst))
    case .connections(let most), .concurrency(let most), .flows(let most):
      add(kindName, .number(most))
    case .bandwidth(let rate, let burst, let freeBytes),
      .upload(let rate, let burst, let freeBytes):
      add(kindName, .text(ValueKind.bandwidth.write(rate)))
      add("burst", .text(ValueKind<Int>.size(within: 0...1 << 40).write(burst)))
      add("after", .text(ValueKind<Int>.size(within: 0...1 << 40).write(freeBytes)))
    }
    add("by", key.map { .text(mask.shown($0.description)) } ?? .null)
    add("status", .number(status))
    add("dry_run", .flag(isDryRun))
    add("keys", .number(keyCount))
    return .object(members)
  }
}
