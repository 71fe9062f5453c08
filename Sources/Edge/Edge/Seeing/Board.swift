import Configuration
import FailurePolicies
import MartletSystem
import MartletTelemetry
import Synchronization

/// What all loops together tell the outside: the figures, and the state of everything.
final class Board: Sendable {
  private struct State {
    var generation: Generation
    var tables: [CounterTable?]
    /// When each loop last said that it turns.
    var turns: [Int64?]
    /// The total of requests at each tick, the newest last.
    var samples: [(time: Int64, requests: UInt64)] = []
  }

  let log: LogWriter
  /// How many connections of clients are open.
  let openConnections = Atomic<Int>(0)
  let overload: OverloadController
  /// Changes of members' health that programs are to be told of.
  let healthChanges = Mutex<[HealthChange]>([])
  /// Requests to applications that are to be told of the end of their worker.
  let brokenRequests = BrokenRequests()
  private let startedAt = SystemClock.monotonicNanoseconds()
  private let state: Mutex<State>

  init(generation: Generation, loopCount: Int) throws(SystemError) {
    log = try LogWriter()
    overload = OverloadController(loopCount: loopCount)
    state = Mutex(
      State(
        generation: generation,
        tables: Array(repeating: nil, count: loopCount),
        turns: Array(repeating: nil, count: loopCount)
      )
    )
  }

  /// Notes which configuration is in force.
  func publish(_ generation: Generation) { state.withLock { $0.generation = generation } }

  /// The configuration in force.
  var generation: Generation { state.withLock { $0.generation } }

  /// Shows the figures of a loop in `table` from now on.
  func show(_ table: CounterTable, ofLoop index: Int) {
    state.withLock { $0.tables[index] = table }
  }

  /// Notes that a loop turns.
  func noteTurn(ofLoop index: Int) {
    let now = SystemClock.monotonicNanoseconds()
    state.withLock { $0.turns[index] = now }
  }

  /// Whether each loop that has begun to turn has done so within `duration`.
  func turns(within duration: Duration) -> Bool {
    let (seconds, attoseconds) = duration.components
    let limit = seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    let earliest = SystemClock.monotonicNanoseconds() - limit
    return state.withLock { $0.turns.allSatisfy { $0.map { $0 >= earliest } ?? true } }
  }

  /// Notes how many requests there were, from which rates are told.
  func sample() {
    let now = SystemClock.monotonicNanoseconds()
    state.withLock { state in
      let tables = state.tables.compactMap(\.self)
      state.samples.append((now, Self.requestCount(state.generation, tables)))
      if state.samples.count > Self.sampleCount { state.samples.removeFirst() }
    }
  }

  /// Ten seconds, at four samples a second.
  private static let sampleCount = 41

  private static func requestCount(_ generation: Generation, _ tables: [CounterTable]) -> UInt64 {
    generation.metrics.ended.reduce(0) { $0 &+ tables.value(of: $1) }
  }

  private var uptime: Int64 { SystemClock.monotonicNanoseconds() - startedAt }

  /// The figures in Prometheus form.
  func metrics() -> [UInt8] {
    let (generation, tables) = state.withLock { ($0.generation, $0.tables.compactMap(\.self)) }
    var text = PrometheusText()
    text.append(generation.layout, from: tables)
    Self.append(health: generation, to: &text)
    Self.appendCertificates(generation, to: &text)
    text.append(EdgeMetrics.generation, [MetricSample([], Double(generation.number))])
    text.append(EdgeMetrics.uptime, [MetricSample([], Double(uptime) / 1e9)])
    let now = UInt64(SystemClock.monotonicNanoseconds())
    Self.append(generation, overload, at: now, to: &text)
    Self.appendCaches(generation, to: &text)
    Self.appendUploads(generation, to: &text)
    Self.appendAffinity(generation, at: now, to: &text)
    Self.appendSessions(generation, to: &text)
    return text.finished()
  }

  /// The state as JSON.
  func status() -> [UInt8] {
    let now = UInt64(SystemClock.monotonicNanoseconds())
    let (generation, tables, samples) = state.withLock {
      ($0.generation, $0.tables.compactMap(\.self), $0.samples)
    }
    var json = JSONWriter()
    json.object { json in
      json.member("generation", generation.number)
      json.key("uptime_seconds")
      json.seconds(nanoseconds: UInt64(uptime))
      json.member("loops", tables.count)
      json.member("requests", Self.requestCount(generation, tables))
      json.member("requests_per_second", Self.rate(samples))
      json.array("listeners") { json in
        let addresses: [(String, ListenerMetrics, TLSPlan?)] =
          generation.listeners.map { ($0.key, $0.metrics, $0.tls) }
          + generation.datagrams.map { ($0.key, $0.listener, nil) }
        for (key, metrics, tls) in addresses {
          json.object { json in
            json.member("address", key)
            json.member("connections", Int(tables.value(of: metrics.open)))
            json.member("accepted", tables.value(of: metrics.accepted))
            if let tls { Self.write(tls, tables, &json) }
          }
        }
      }
      Self.writeCertificates(generation, &json)
      json.array("upstreams") { json in
        for upstream in generation.upstreams { Self.write(upstream, tables, at: now, &json) }
      }
      Self.writeGateways(generation, tables, &json)
      Self.writeSessions(generation, tables, &json)
      Self.writeCaches(generation, tables, &json)
      Self.writeFiles(generation, tables, &json)
      Self.writeCompression(generation, tables, &json)
      Self.write(generation, tables, overload, at: now, &json)
    }
    json.newline()
    return json.finished()
  }

  private static func write(
    _ upstream: UpstreamPlan,
    _ tables: [CounterTable],
    at now: UInt64,
    _ json: inout JSONWriter
  ) {
    json.object { json in
      json.member("name", upstream.name)
      if let affinity = upstream.affinity {
        writeAffinity(affinity, tables, at: now, &json)
      }
      let calls = upstream.calls?.counts(tables) ?? []
      if !calls.isEmpty {
        json.key("grpc_calls")
        json.object { json in
          for (status, count) in calls { json.member(status, count) }
        }
      }
      if upstream.queue != nil { json.member("waiting", upstream.state.queue.count) }
      if let application = upstream.application { writeApplication(application, &json) }
      if let budget = upstream.failures.budget {
        let counts = budget.counts(at: SystemClock.monotonicNanoseconds())
        json.key("retry_budget")
        json.object { json in
          json.member("requests", counts.requests)
          json.member("retries", counts.retries)
        }
      }
      json.array("members") { json in
        for plan in upstream.membership.plans {
          let (member, metrics, state) = (plan.member, plan.metrics, plan.member.state)
          json.object { json in
            json.member("address", member.name)
            json.member("weight", plan.weight)
            json.member("tier", plan.settings.tier)
            json.member("backup", plan.settings.isBackup)
            json.member("mode", state.mode.name)
            json.member("health", state.health.name)
            json.member("ejected", state.isEjected)
            if let breaker = upstream.failures.breaker(of: member) {
              json.member("breaker", breaker.state.name)
            }
            write(health: member, of: upstream, &json)
            json.member("active", member.activeCount)
            json.member("idle", Int(tables.value(of: metrics.idle)))
            if let http2 = metrics.http2 {
              json.member("http2_connections", Int(tables.value(of: http2.connections)))
              json.member("http2_streams", Int(tables.value(of: http2.streams)))
            }
            json.member("responses", metrics.responses.sum(in: tables))
            json.member("failures", tables.value(of: metrics.failures))
            json.array("resolved") { json in
              for address in member.addresses { json.text(address.description) }
            }
          }
        }
      }
    }
  }

  private static func rate(_ samples: [(time: Int64, requests: UInt64)]) -> Double {
    guard let first = samples.first, let last = samples.last, last.time > first.time else {
      return 0
    }
    let perSecond = Double(last.requests &- first.requests) * 1e9 / Double(last.time - first.time)
    return (perSecond * 10).rounded() / 10
  }
}
