/// Why a layout cannot be made.
public enum MetricLayoutError: Error, Hashable, Sendable {
  /// The labels have so many values that a loop's table would have more cells than it may.
  case tooManyCells(Int, limit: Int)
}

/// Which metrics there are, with which label values, and where in a table they are counted.
///
/// It is made with a generation of the configuration and does not change. A layout that continues
/// another keeps each place where it was: what is no longer configured is no longer shown, keeps its
/// place, and counts on from there if it comes back.
public struct MetricLayout: Sendable {
  /// The label values of one set of numbers, and where those are.
  struct Series: Sendable {
    var labels: [String]
    var index: Int
  }

  /// A family and its numbers.
  struct Entry: Sendable {
    var family: MetricFamily
    var series: [Series] = []
  }

  /// What makes numbers the same ones in two layouts.
  fileprivate struct Identity: Hashable, Sendable {
    var name: String
    var kind: MetricFamily.Kind
    var labels: [String]
  }

  fileprivate struct Place: Sendable {
    var index: Int
    var count: Int
  }

  /// The families in the order of their first use.
  let entries: [Entry]

  fileprivate let places: [Identity: Place]

  /// How many cells a table has.
  public let cellCount: Int

  /// The places that two layouts have in common: from, to and how many cells.
  func places(sharedWith old: MetricLayout) -> [(from: Int, to: Int, count: Int)] {
    old.places.compactMap { identity, place in
      places[identity].map { (place.index, $0.index, min(place.count, $0.count)) }
    }
  }
}

extension MetricLayout {
  /// Gives out the places of a layout, one family and set of label values after the other.
  ///
  /// Asking again for the same gives the same place.
  public struct Builder: Sendable {
    private var entries: [Entry] = []
    private var entryPlaces: [String: Int] = [:]
    private var shown: Set<Identity> = []
    private var places: [Identity: Place]
    private var cellCount: Int
    private let cellLimit: Int

    /// Creates a builder.
    ///
    /// - Parameters:
    ///   - previous: The layout in force, whose places are kept.
    ///   - cellLimit: How many cells of eight bytes a loop's table may have.
    public init(continuing previous: MetricLayout? = nil, cellLimit: Int = 1 << 21) {
      places = previous?.places ?? [:]
      cellCount = previous?.cellCount ?? 0
      self.cellLimit = cellLimit
    }

    /// A place for a counter; the label values stand in the order of the family's names.
    public mutating func counter(_ family: MetricFamily, _ labels: [String] = []) -> Counter {
      precondition(family.kind == .counter, "\(family.name) is no counter")
      return Counter(index: place(family, labels))
    }

    /// A place for each value of the last label.
    public mutating func counters(
      _ family: MetricFamily,
      _ labels: [String] = [],
      each values: [String]
    ) -> [Counter] {
      values.map { counter(family, labels + [$0]) }
    }

    /// A place for a gauge; the label values stand in the order of the family's names.
    public mutating func gauge(_ family: MetricFamily, _ labels: [String] = []) -> Gauge {
      precondition(family.kind == .gauge, "\(family.name) is no gauge")
      return Gauge(index: place(family, labels))
    }

    /// Places for a histogram; the label values stand in the order of the family's names.
    public mutating func histogram(_ family: MetricFamily, _ labels: [String] = []) -> Histogram {
      precondition(family.kind == .histogram, "\(family.name) is no histogram")
      return Histogram(index: place(family, labels))
    }

    private mutating func place(_ family: MetricFamily, _ labels: [String]) -> Int {
      precondition(
        labels.count == family.labelNames.count,
        "\(family.name) has \(family.labelNames.count) labels"
      )
      let entry: Int
      if let known = entryPlaces[family.name] {
        precondition(entries[known].family == family, "\(family.name) is declared twice")
        entry = known
      } else {
        entry = entries.count
        entryPlaces[family.name] = entry
        entries.append(Entry(family: family))
      }
      let identity = Identity(name: family.name, kind: family.kind, labels: labels)
      let place = places[identity] ?? Place(index: cellCount, count: family.cellCount)
      if place.index == cellCount {
        cellCount += place.count
        places[identity] = place
      }
      if shown.insert(identity).inserted {
        entries[entry].series.append(Series(labels: labels, index: place.index))
      }
      return place.index
    }

    /// Ends the building.
    ///
    /// - Throws: ``MetricLayoutError/tooManyCells(_:limit:)`` when more cells were asked for than a
    ///   table may have; the places given out then lead nowhere.
    public consuming func finished() throws(MetricLayoutError) -> MetricLayout {
      guard cellCount <= cellLimit else { throw .tooManyCells(cellCount, limit: cellLimit) }
      return MetricLayout(entries: entries, places: places, cellCount: cellCount)
    }
  }
}
