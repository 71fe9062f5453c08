import Configuration
import Limiting
import MartletLoop
import MartletTelemetry
import Synchronization

/// A limit, compiled: its figures are shared by all loops, and go on over a reload that keeps it.
final class LimitPlan: Sendable {
  /// What is counted.
  enum State: Sendable {
    case requests(RateTable)
    case connections(UseTable, limit: Int)
    case concurrency(UseTable, limit: Int)
    /// Without a table each answer has the rate for itself.
    case bandwidth(ByteTable?, ByteRate, freeBytes: UInt64)
  }

  /// What metrics and logs call it.
  let label: String
  let settings: LimitSettings
  let state: State
  let metrics: LimitMetrics
  /// What each has a limit of its own.
  let key: RequestKey
  /// When a refusal was noted last, and how many there were since.
  private let notedAt = Atomic<Int64>(0)
  private let unnoted = Atomic<UInt64>(0)

  init(
    _ settings: LimitSettings,
    label: String,
    continuing previous: LimitPlan?,
    _ layout: inout MetricLayout.Builder
  ) {
    self.label = label
    self.settings = settings
    let isSame = previous.map { $0.settings.counts(as: settings) } ?? false
    state = isSame ? previous?.state ?? State(settings) : State(settings)
    metrics = LimitMetrics(label, &layout)
    key = RequestKey(settings.key)
  }

  /// Notes in the error log that something is refused, or would be: the first time, and then once a
  /// second with the number of all.
  func noteRefusal(of things: StaticString = "requests", at now: Int64, in log: LogWriter) {
    let count = unnoted.add(1, ordering: .relaxed).newValue
    let last = notedAt.load(ordering: .relaxed)
    guard now - last >= 1_000_000_000 || last == 0 else { return }
    guard notedAt.compareExchange(expected: last, desired: now, ordering: .relaxed).exchanged else {
      return
    }
    unnoted.subtract(count, ordering: .relaxed)
    log.note(
      .notice,
      "a limit \(settings.isDryRun ? "would refuse" : "refuses") \(things)",
      [LogLine.Field("limit", label), LogLine.Field("count", Int(count))]
    )
  }

  /// Whether each datagram passes it, not each flow.
  var isOfDatagrams: Bool {
    if case .datagrams = settings.kind { true } else { false }
  }

  /// How many keys there are of which something is remembered.
  func keyCount(at now: UInt64) -> Int {
    switch state {
    case .requests(let table): table.openCount(at: now)
    case .connections(let table, _), .concurrency(let table, _): table.keyCount
    case .bandwidth: 0
    }
  }

  /// How often a key found no place.
  var overflowCount: UInt64 {
    switch state {
    case .requests(let table): table.forgottenCount
    case .connections(let table, _), .concurrency(let table, _): table.uncountedCount
    case .bandwidth: 0
    }
  }
}

extension LimitPlan.State {
  init(_ settings: LimitSettings) {
    // What has no key has one bucket; a table has place for twice as many keys as it is to hold.
    let count = settings.key == nil ? 1 : settings.keyCount * 2
    switch settings.kind {
    case .requests(let number, let period, let burst),
      .arrivals(let number, let period, let burst),
      .newFlows(let number, let period, let burst),
      .datagrams(let number, let period, let burst):
      let rate = Rate(UInt64(number), per: period.nanoseconds, burst: UInt64(burst))
      self = .requests(RateTable(rate, keyCount: count))
    case .connections(let limit), .flows(let limit):
      self = .connections(UseTable(keyCount: count), limit: limit)
    case .concurrency(let limit): self = .concurrency(UseTable(keyCount: count), limit: limit)
    case .bandwidth(let bytes, let burst, let freeBytes),
      .upload(let bytes, let burst, let freeBytes):
      let rate = ByteRate(bytesPerSecond: UInt64(bytes), burst: UInt64(burst))
      let table = settings.key == nil ? nil : ByteTable(rate, keyCount: count)
      self = .bandwidth(table, rate, freeBytes: UInt64(freeBytes))
    }
  }
}

extension LimitSettings {
  /// Whether what was counted under `self` means the same under `other`.
  fileprivate func counts(as other: LimitSettings) -> Bool {
    kind == other.kind && key == other.key && keyCount == other.keyCount
  }
}

extension Duration {
  /// A time that is not negative as nanoseconds.
  var nanoseconds: UInt64 {
    let (seconds, attoseconds) = components
    return UInt64(max(0, seconds)) * 1_000_000_000 + UInt64(max(0, attoseconds / 1_000_000_000))
  }
}

/// The limits of a generation while it is compiled.
struct LimitPlans {
  private(set) var all: [LimitPlan] = []
  private let previous: [String: LimitPlan]
  private var labels: Set<String> = []
  private var shared: [String: LimitPlan] = [:]

  init(continuing previous: [LimitPlan]) {
    self.previous = Dictionary(
      previous.map { ($0.label, $0) },
      uniquingKeysWith: { first, _ in first }
    )
  }

  /// The plan of a limit that belongs to `owner`; a shared one has but one plan.
  mutating func plan(
    _ settings: LimitSettings,
    of owner: String,
    _ layout: inout MetricLayout.Builder
  ) -> LimitPlan {
    let base = settings.name ?? "\(owner) \(settings.kindName)"
    if settings.isShared, let plan = shared[base] { return plan }
    var label = base
    var number = 1
    while !labels.insert(label).inserted {
      number += 1
      label = "\(base) \(number)"
    }
    let plan = LimitPlan(
      settings,
      label: label,
      continuing: previous[label],
      &layout
    )
    all.append(plan)
    if settings.isShared { shared[base] = plan }
    return plan
  }
}

/// How important the requests of a route are.
enum RoutePriority: Sendable {
  case fixed(Int)
  case text(TextTemplate)

  init(_ settings: PrioritySettings?) {
    switch settings {
    case nil: self = .fixed(PrioritySettings.usual)
    case .fixed(let number): self = .fixed(number)
    case .text(let template): self = .text(TextTemplate(template))
    }
  }

  /// The priority of a request.
  func value(
    for exchange: Exchange,
    _ head: Span<UInt8>,
    of connection: HTTP1Connection
  ) -> Int {
    switch self {
    case .fixed(let number): return number
    case .text(let template):
      var text = connection.loop.lend(.head)
      do throws(ExchangeError) {
        try template.write(to: &text, exchange, connection, head, answer: Span())
      } catch {
        return PrioritySettings.usual
      }
      guard text.count == 1, (0x30...0x39).contains(text.bytes[0]) else {
        return PrioritySettings.usual
      }
      return Int(text.bytes[0] - 0x30)
    }
  }
}
