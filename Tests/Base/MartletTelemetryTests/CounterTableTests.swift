import MartletTelemetry
import Synchronization
import Testing

let requestFamily = MetricFamily(
  .counter,
  "test_requests_total",
  "Requests.",
  labels: ["server", "class"]
)
let openFamily = MetricFamily(.gauge, "test_open", "Open connections.")
let latencyFamily = MetricFamily(.histogram, "test_latency_seconds", "Latency.", labels: ["server"])

@Suite("Counter table")
struct CounterTableTests {
  @Test("adds, takes and sets, and sums over tables")
  func sums() throws {
    var builder = MetricLayout.Builder()
    let ok = builder.counter(requestFamily, ["a", "2xx"])
    let bad = builder.counter(requestFamily, ["a", "5xx"])
    let open = builder.gauge(openFamily)
    let layout = try builder.finished()
    let tables = [CounterTable(layout), CounterTable(layout)]
    tables[0].add(to: ok)
    tables[0].add(2, to: ok)
    tables[1].add(10, to: ok)
    tables[1].add(1, to: bad)
    tables[0].add(5, to: open)
    tables[1].add(-7, to: open)
    #expect(tables.value(of: ok) == 13)
    #expect(tables.value(of: bad) == 1)
    #expect(tables.value(of: open) == -2)
    tables[1].set(open, to: 4)
    #expect(tables.value(of: open) == 9)
    #expect([CounterTable]().value(of: ok) == 0)
  }

  @Test("the same labels have the same place, others another")
  func places() throws {
    var builder = MetricLayout.Builder()
    let first = builder.counters(requestFamily, ["a"], each: ["1xx", "2xx", "3xx"])
    #expect(Set(first).count == 3)
    #expect(builder.counter(requestFamily, ["a", "2xx"]) == first[1])
    #expect(!first.contains(builder.counter(requestFamily, ["b", "2xx"])))
    let layout = try builder.finished()
    #expect(layout.cellCount == 4)
  }

  @Test("a layout that extends another has its places, shows more or less, and counts on")
  func extending() throws {
    var builder = MetricLayout.Builder()
    let old = builder.counter(requestFamily, ["old", "2xx"])
    let gone = builder.counter(requestFamily, ["gone", "2xx"])
    let table = CounterTable(try builder.finished())
    table.add(3, to: old)
    table.add(4, to: gone)
    var extended = MetricLayout.Builder(extending: table.layout)
    let new = extended.counter(requestFamily, ["new", "2xx"])
    #expect(extended.counter(requestFamily, ["old", "2xx"]) == old)
    extended.hide([(name: "server", value: "gone")])
    let next = CounterTable(try extended.finished(), continuing: table)
    next.add(1, to: new)
    #expect([next].value(of: old) == 3)
    #expect([next].value(of: gone) == 4)
    var text = PrometheusText()
    text.append(next.layout, from: [next])
    let shown = String(decoding: text.finished(), as: UTF8.self)
    #expect(shown.contains("{server=\"old\",class=\"2xx\"} 3"))
    #expect(shown.contains("{server=\"new\",class=\"2xx\"} 1"))
    #expect(!shown.contains("gone"))
    #expect(shown.split(separator: "\n").filter { $0.contains("\"old\"") }.count == 1)
  }

  @Test("a reload changes no place, drops nothing and never goes back")
  func reload() throws {
    var builder = MetricLayout.Builder()
    let kept = builder.counter(requestFamily, ["kept", "2xx"])
    let gone = builder.counter(requestFamily, ["gone", "2xx"])
    let latency = builder.histogram(latencyFamily, ["kept"])
    let first = try builder.finished()
    let old = CounterTable(first)
    old.add(3, to: kept)
    old.add(4, to: gone)
    old.record(nanoseconds: 1_000_000, in: latency)

    var next = MetricLayout.Builder(continuing: first)
    let added = next.counter(requestFamily, ["added", "2xx"])
    #expect(next.counter(requestFamily, ["kept", "2xx"]) == kept)
    #expect(next.histogram(latencyFamily, ["kept"]) == latency)
    let second = try next.finished()
    let table = CounterTable(second, continuing: old)
    // An exchange that began before the reload still counts by its old place.
    table.add(1, to: gone)
    table.add(1, to: kept)
    table.add(1, to: added)
    #expect([table].value(of: kept) == 4)
    #expect([table].value(of: added) == 1)
    #expect([table].value(of: latency).count == 1)
    #expect([table].value(of: latency).nanoseconds == 1_000_000)

    var text = PrometheusText()
    text.append(second, from: [table])
    #expect(!String(decoding: text.finished(), as: UTF8.self).contains("gone"))

    var third = MetricLayout.Builder(continuing: second)
    #expect(third.counter(requestFamily, ["gone", "2xx"]) == gone)
    let again = CounterTable(try third.finished(), continuing: table)
    #expect([again].value(of: gone) == 5)
    #expect([again].value(of: added) == 1)
    // A loop that has not changed over yet has 0 for what it does not know.
    #expect([again, old].value(of: added) == 1)
  }

  @Test("a layout that was thrown away moves nothing")
  func abandoned() throws {
    var builder = MetricLayout.Builder()
    let kept = builder.counter(requestFamily, ["kept", "2xx"])
    let first = try builder.finished()
    let old = CounterTable(first)
    old.add(3, to: kept)
    var refused = MetricLayout.Builder(continuing: first)
    _ = refused.counter(requestFamily, ["x", "2xx"])
    var taken = MetricLayout.Builder(continuing: first)
    let other = taken.counter(requestFamily, ["y", "2xx"])
    let table = CounterTable(try taken.finished(), continuing: old)
    #expect([table].value(of: other) == 0)
    #expect([table].value(of: kept) == 3)
  }

  @Test("a table has a limit", arguments: [(2, true), (3, false)])
  func limit(count: Int, fits: Bool) {
    var builder = MetricLayout.Builder(cellLimit: 2)
    for number in 0..<count { _ = builder.counter(requestFamily, ["\(number)", "2xx"]) }
    if fits {
      #expect(throws: Never.self) { try builder.finished() }
    } else {
      #expect(throws: MetricLayoutError.tooManyCells(3, limit: 2)) { try builder.finished() }
    }
  }

  @Test("readers see numbers that only grow while the loop counts")
  func concurrent() throws {
    var builder = MetricLayout.Builder()
    let counter = builder.counter(requestFamily, ["a", "2xx"])
    let latency = builder.histogram(latencyFamily, ["a"])
    let layout = try builder.finished()
    let table = CounterTable(layout)
    let rounds: UInt64 = 200_000
    let isDone = Atomic(false)
    let reads = Locked<[(UInt64, UInt64)]>([])
    let read: @Sendable () -> Void = {
      var last: (UInt64, UInt64) = (0, 0)
      var isMonotonic = true
      while !isDone.load(ordering: .acquiring) {
        let now = ([table].value(of: counter), [table].value(of: latency).count)
        if now.0 < last.0 || now.1 < last.1 { isMonotonic = false }
        last = now
      }
      reads.withLock { $0.append(isMonotonic ? last : (.max, .max)) }
    }
    onThreads(
      {
        for round in 0..<rounds {
          table.add(1, to: counter)
          table.record(nanoseconds: round, in: latency)
        }
        isDone.store(true, ordering: .releasing)
      },
      read,
      read
    )
    for last in reads.withLock({ $0 }) {
      #expect(last.0 <= rounds)
      #expect(last.1 <= rounds)
    }
    #expect([table].value(of: counter) == rounds)
    #expect([table].value(of: latency).count == rounds)
    #expect([table].value(of: latency).nanoseconds == rounds * (rounds - 1) / 2)
  }
}
