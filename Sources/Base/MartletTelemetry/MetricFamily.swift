/// A metric as it is declared, once: its name, what it says, and by what it is split.
public struct MetricFamily: Hashable, Sendable {
  /// What kind of numbers a family has.
  public enum Kind: String, Hashable, Sendable {
    /// Numbers that only grow.
    case counter
    /// Numbers that go up and down.
    case gauge
    /// Durations in buckets; recorded in nanoseconds, shown in seconds.
    case histogram
  }

  /// What the numbers of a counter or gauge are, and how they are shown.
  public enum Unit: Hashable, Sendable {
    /// As they are: a count, or bytes.
    case plain
    /// Nanoseconds, shown as seconds.
    case nanoseconds
  }

  /// What kind of numbers it has.
  public let kind: Kind
  /// Its name, as Prometheus knows it: with its unit, and `_total` for a counter.
  public let name: String
  /// What it says, in a sentence.
  public let help: String
  /// How its numbers are shown.
  public let unit: Unit
  /// By what it is split, in the order in which values are given.
  public let labelNames: [String]

  /// Declares a metric.
  ///
  /// - Parameters:
  ///   - kind: What kind of numbers it has.
  ///   - name: Letters, digits and underscores; a counter's ends with `_total`, a histogram's with
  ///     `_seconds`.
  ///   - help: What it says, in a sentence.
  ///   - unit: How its numbers are shown.
  ///   - labelNames: By what it is split; not `le`, which is the histograms' own.
  public init(
    _ kind: Kind,
    _ name: String,
    _ help: String,
    unit: Unit = .plain,
    labels labelNames: [String] = []
  ) {
    precondition(Self.isName(name), "\(name) is not a name of a metric")
    precondition(kind != .counter || name.hasSuffix("_total"), "\(name) ends with _total")
    precondition(kind != .histogram || name.hasSuffix("_seconds"), "\(name) ends with _seconds")
    precondition(!help.isEmpty, "\(name) says what it counts")
    precondition(
      labelNames.allSatisfy { Self.isName($0) && $0 != "le" && !$0.hasPrefix("__") },
      "\(name) has labels of letters, digits and underscores"
    )
    precondition(Set(labelNames).count == labelNames.count, "\(name) has each label once")
    self.kind = kind
    self.name = name
    self.help = help
    self.unit = unit
    self.labelNames = labelNames
  }

  private static func isName(_ text: String) -> Bool {
    guard let first = text.utf8.first, !(0x30...0x39).contains(first) else { return false }
    return text.utf8.allSatisfy { byte in
      (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || byte == 0x5F
        || (0x61...0x7A).contains(byte)
    }
  }

  /// How many cells the numbers of one set of label values take.
  var cellCount: Int {
    switch kind {
    case .counter, .gauge: 1
    case .histogram: 1 + HistogramScale.shared.bucketCount
    }
  }
}
