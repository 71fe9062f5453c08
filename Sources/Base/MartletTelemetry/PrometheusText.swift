import MartletBytes

/// One number that is known only when it is asked for, with its label values.
public struct MetricSample: Sendable {
  /// The label values, in the order of the family's names.
  public var labels: [String]
  /// The number, as it is shown.
  public var value: Double

  /// Creates a sample.
  public init(_ labels: [String] = [], _ value: Double) {
    self.labels = labels
    self.value = value
  }
}

/// Writes metrics in the text format that Prometheus reads.
///
/// Each family is written once, with all its numbers; the numbers of several tables are added up.
///
/// - Source: the Prometheus text exposition format, version 0.0.4.
public struct PrometheusText: ~Copyable, Sendable {
  /// The media type of what is written.
  public static let mediaType = "text/plain; version=0.0.4; charset=utf-8"

  private var output: TextBuffer
  private var written: Set<String> = []

  /// Creates a writer that has written nothing.
  public init() { output = TextBuffer(capacity: 4096) }

  /// The bytes written so far.
  public var bytes: Span<UInt8> {
    @_lifetime(borrow self)
    get { output.bytes }
  }

  /// Ends the writing and gives the bytes.
  public consuming func finished() -> [UInt8] { [UInt8](copying: output.bytes) }

  /// Appends every family of `layout` with the sums over `tables`.
  ///
  /// The tables may be of layouts before this one; what they do not have counts as 0.
  public mutating func append(_ layout: MetricLayout, from tables: [CounterTable]) {
    for entry in layout.entries {
      begin(entry.family)
      for series in entry.series {
        if entry.family.kind == .histogram {
          append(entry.family, series.labels, tables.merged(at: series.index))
        } else {
          append(entry.family, series.labels, tables.sum(at: series.index))
        }
      }
    }
  }

  /// Appends a counter or gauge whose numbers were taken just now.
  public mutating func append(_ family: MetricFamily, _ samples: [MetricSample]) {
    precondition(family.kind != .histogram, "\(family.name) is a histogram")
    begin(family)
    for sample in samples {
      name(family, labels: sample.labels)
      append(sample.value)
    }
  }

  private mutating func begin(_ family: MetricFamily) {
    precondition(written.insert(family.name).inserted, "\(family.name) is written twice")
    output.append("# HELP ")
    output.append(utf8: family.name)
    output.append(0x20)
    escape(family.help, quotes: false)
    output.append("\n# TYPE ")
    output.append(utf8: family.name)
    output.append(0x20)
    output.append(utf8: family.kind.rawValue)
    output.append(0x0A)
  }

  private mutating func append(_ family: MetricFamily, _ labels: [String], _ sum: UInt64) {
    name(family, labels: labels)
    switch (family.unit, family.kind) {
    case (.plain, .counter), (.plain, .histogram): output.append(decimal: sum)
    case (.plain, .gauge): output.append(decimal: Int64(bitPattern: sum))
    case (.nanoseconds, .counter), (.nanoseconds, .histogram): append(exactSeconds: sum)
    case (.nanoseconds, .gauge):
      let value = Int64(bitPattern: sum)
      if value < 0 { output.append(0x2D) }
      append(exactSeconds: value.magnitude)
    }
    output.append(0x0A)
  }

  private mutating func append(
    _ family: MetricFamily,
    _ labels: [String],
    _ value: HistogramValue
  ) {
    for (bound, count) in zip(HistogramScale.bounds, value.cumulativeCounts) {
      name(family, suffix: "_bucket", labels: labels, bound: bound)
      output.append(decimal: count)
      output.append(0x0A)
    }
    let count = value.count
    name(family, suffix: "_bucket", labels: labels, bound: .max)
    output.append(decimal: count)
    output.append(0x0A)
    name(family, suffix: "_sum", labels: labels)
    append(exactSeconds: value.nanoseconds)
    output.append(0x0A)
    name(family, suffix: "_count", labels: labels)
    output.append(decimal: count)
    output.append(0x0A)
  }

  /// Appends the name, the labels and a space; `bound` in nanoseconds becomes the label `le`.
  private mutating func name(
    _ family: MetricFamily,
    suffix: StaticString = "",
    labels: [String],
    bound: UInt64? = nil
  ) {
    precondition(labels.count == family.labelNames.count, "\(family.name) has other labels")
    output.append(utf8: family.name)
    output.append(suffix)
    if !labels.isEmpty || bound != nil {
      var separator: UInt8 = 0x7B
      for (name, value) in zip(family.labelNames, labels) {
        output.append(separator)
        output.append(utf8: name)
        output.append("=\"")
        escape(value, quotes: true)
        output.append(0x22)
        separator = 0x2C
      }
      if let bound {
        output.append(separator)
        output.append("le=\"")
        if bound == .max { output.append("+Inf") } else { append(exactSeconds: bound) }
        output.append(0x22)
      }
      output.append(0x7D)
    }
    output.append(0x20)
  }

  /// Appends nanoseconds as seconds, without trailing zeros.
  private mutating func append(exactSeconds nanoseconds: UInt64) {
    output.append(decimal: nanoseconds / 1_000_000_000)
    var rest = nanoseconds % 1_000_000_000
    guard rest > 0 else { return }
    output.append(0x2E)
    var digit: UInt64 = 100_000_000
    while rest > 0 {
      output.append(0x30 + UInt8(rest / digit))
      rest %= digit
      digit /= 10
    }
  }

  private mutating func append(_ value: Double) {
    switch value {
    case .infinity: output.append("+Inf")
    case -.infinity: output.append("-Inf")
    case _ where value.isNaN: output.append("NaN")
    default:
      if let whole = Int64(exactly: value) {
        output.append(decimal: whole)
      } else {
        output.append(utf8: value.description)
      }
    }
    output.append(0x0A)
  }

  /// Appends text of a label's value or of a help line, in which a line end and a backslash, and
  /// between quotation marks those too, are escaped.
  private mutating func escape(_ text: String, quotes: Bool) {
    for byte in text.utf8 {
      switch byte {
      case 0x0A: output.append("\\n")
      case 0x5C: output.append("\\\\")
      case 0x22 where quotes: output.append("\\\"")
      default: output.append(byte)
      }
    }
  }
}
