import MartletTelemetry
import Testing

/// What a reader of the text format finds.
struct Exposition {
  struct Sample: Hashable {
    var name: String
    var labels: [String: String]
  }

  var help: [String: String] = [:]
  var types: [String: String] = [:]
  var values: [Sample: Double] = [:]
  var order: [String] = []

  /// Reads the text as the format's description has it; nil where it breaks it.
  init?(_ text: String) {
    guard text.isEmpty || text.hasSuffix("\n") else { return nil }
    for line in text.split(separator: "\n") {
      if line.hasPrefix("# HELP ") || line.hasPrefix("# TYPE ") {
        let parts = line.dropFirst(7).split(separator: " ", maxSplits: 1)
        guard parts.count == 2 else { return nil }
        let name = String(parts[0])
        if line.hasPrefix("# HELP ") {
          guard help.updateValue(Self.unescaped(parts[1]), forKey: name) == nil else { return nil }
          order.append(name)
        } else {
          guard types.updateValue(String(parts[1]), forKey: name) == nil else { return nil }
        }
      } else {
        guard let (sample, value) = Self.sample(Array(line)) else { return nil }
        // Samples stand below the lines of their own family.
        guard let family = order.last, sample.name.hasPrefix(family) else { return nil }
        guard values.updateValue(value, forKey: sample) == nil else { return nil }
      }
    }
  }

  private static func unescaped(_ text: some Sequence<Character>) -> String {
    var result = ""
    var isEscaped = false
    for letter in text {
      if isEscaped {
        result.append(letter == "n" ? "\n" : letter)
        isEscaped = false
      } else if letter == "\\" {
        isEscaped = true
      } else {
        result.append(letter)
      }
    }
    return result
  }

  private static func sample(_ line: [Character]) -> (Sample, Double)? {
    let name = line.prefix { $0 != "{" && $0 != " " }
    var rest = line.dropFirst(name.count)
    var labels: [String: String] = [:]
    if rest.first == "{" {
      rest = rest.dropFirst()
      while rest.first != "}" {
        let key = rest.prefix { $0 != "=" }
        rest = rest.dropFirst(key.count + 1)
        guard rest.popFirst() == "\"" else { return nil }
        var value: [Character] = []
        while let letter = rest.popFirst(), letter != "\"" {
          value.append(letter)
          if letter == "\\", let next = rest.popFirst() { value.append(next) }
        }
        guard labels.updateValue(unescaped(value), forKey: String(key)) == nil else { return nil }
        if rest.first == "," { rest = rest.dropFirst() }
        if rest.isEmpty { return nil }
      }
      rest = rest.dropFirst()
    }
    guard rest.popFirst() == " " else { return nil }
    let text = String(rest)
    guard let value = text == "+Inf" ? .infinity : Double(text) else { return nil }
    return (Sample(name: String(name), labels: labels), value)
  }
}

@Suite("Prometheus text")
struct PrometheusTextTests {
  @Test("reads back as what was counted, every family once, every table summed")
  func readsBack() throws {
    let hostile = "a\"b\\c\nd,e={}é"
    let busyFamily = MetricFamily(
      .counter,
      "test_busy_seconds_total",
      "Time at work, \"all\" of it;\nback\\slash.",
      unit: .nanoseconds
    )
    var builder = MetricLayout.Builder()
    let ok = builder.counter(requestFamily, ["shop", "2xx"])
    let latency = builder.histogram(latencyFamily, ["shop"])
    let odd = builder.counter(requestFamily, [hostile, "5xx"])
    let open = builder.gauge(openFamily)
    let busy = builder.counter(busyFamily)
    let layout = try builder.finished()
    let tables = (0..<3).map { _ in CounterTable(layout) }
    for (index, table) in tables.enumerated() {
      table.add(UInt64(index + 1), to: ok)
      table.add(7, to: odd)
      table.add(-1, to: open)
      table.add(1_000_500_000, to: busy)
      table.record(nanoseconds: 2_000_000, in: latency)
      table.record(nanoseconds: 90_000_000_000, in: latency)
    }
    var text = PrometheusText()
    text.append(layout, from: tables)
    let sampled = MetricFamily(.gauge, "test_member_up", "Whether it is.", labels: ["member"])
    text.append(sampled, [MetricSample(["m1"], 1), MetricSample(["m2"], 0.5)])
    let lines = String(decoding: text.finished(), as: UTF8.self)
    let read = try #require(Exposition(lines))

    #expect(
      read.order == [
        requestFamily.name, latencyFamily.name, openFamily.name, busyFamily.name, sampled.name,
      ]
    )
    #expect(read.types[requestFamily.name] == "counter")
    #expect(read.types[latencyFamily.name] == "histogram")
    #expect(read.types[openFamily.name] == "gauge")
    #expect(read.help[busyFamily.name] == busyFamily.help)
    func value(_ name: String, _ labels: [String: String] = [:]) -> Double? {
      read.values[Exposition.Sample(name: name, labels: labels)]
    }
    #expect(value(requestFamily.name, ["server": "shop", "class": "2xx"]) == 6)
    #expect(value(requestFamily.name, ["server": hostile, "class": "5xx"]) == 21)
    #expect(value(openFamily.name) == -3)
    #expect(value(busyFamily.name) == 3.0015)
    #expect(value("test_member_up", ["member": "m1"]) == 1)
    #expect(value("test_member_up", ["member": "m2"]) == 0.5)

    let bucket = latencyFamily.name + "_bucket"
    #expect(value(bucket, ["server": "shop", "le": "0.001"]) == 0)
    #expect(value(bucket, ["server": "shop", "le": "0.0025"]) == 3)
    #expect(value(bucket, ["server": "shop", "le": "60"]) == 3)
    #expect(value(bucket, ["server": "shop", "le": "+Inf"]) == 6)
    #expect(value(latencyFamily.name + "_count", ["server": "shop"]) == 6)
    #expect(value(latencyFamily.name + "_sum", ["server": "shop"]) == 270.006)
    #expect(read.values.keys.count { $0.name == bucket } == HistogramScale.bounds.count + 1)
  }

  @Test("a family without numbers is not there")
  func empty() throws {
    var text = PrometheusText()
    text.append(try MetricLayout.Builder().finished(), from: [])
    #expect(text.finished().isEmpty)
  }

  @Test(
    "writes what is not finite by name",
    arguments: [(Double.infinity, "+Inf"), (-.infinity, "-Inf"), (.nan, "NaN"), (3, "3")]
  )
  func notFinite(value: Double, word: String) {
    var text = PrometheusText()
    text.append(openFamily, [MetricSample([], value)])
    #expect(String(decoding: text.finished(), as: UTF8.self).hasSuffix("test_open \(word)\n"))
  }
}
