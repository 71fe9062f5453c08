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

  /// Which layout this is, and which one it continues.
  fileprivate let identity = Token()
  fileprivate let parent: Token?

  fileprivate final class Token: Sendable {}

  /// Whether every place of `old` is the same one here, and those that are not there come behind.
  func continues(_ old: MetricLayout) -> Bool {
    identity === old.identity || parent === old.identity
  }

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
    private let parent: Token?
    private var isExtending = false

    /// Creates a builder.
    ///
    /// - Parameters:
    ///   - previous: The layout in force, whose places are kept.
    ///   - cellLimit: How many cells of eight bytes a loop's table may have.
    public init(continuing previous: MetricLayout? = nil, cellLimit: Int = 1 << 21) {
      places = previous?.places ?? [:]
      cellCount = previous?.cellCount ?? 0
      self.cellLimit = cellLimit
      parent = previous?.identity
    }

    /// Creates a builder that has everything of `layout` already, to add to it or to take from it.
    public init(extending layout: MetricLayout, cellLimit: Int = 1 << 21) {
      self.init(continuing: layout, cellLimit: cellLimit)
      isExtending = true
      entries = layout.entries
      for (index, entry) in entries.enumerated() {
        entryPlaces[entry.family.name] = index
      }
    }

    /// Shows no numbers any more that have all of these label values; their places stay.
    ///
    /// - Complexity: O(*n*) in the sets of label values.
    public mutating func hide(_ labels: [(name: String, value: String)]) {
      for index in entries.indices {
        let names = entries[index].family.labelNames
        let wanted = labels.map { (names.firstIndex(of: $0.name), $0.value) }
        guard wanted.allSatisfy({ $0.0 != nil }) else { continue }
        entries[index].series.removeAll { series in
          wanted.allSatisfy { place, value in place.map { series.labels[$0] == value } ?? false }
        }
      }
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
      if shown.insert(identity).inserted, !isInherited(identity, of: entry) {
        entries[entry].series.append(Series(labels: labels, index: place.index))
      }
      return place.index
    }

    /// Whether the layout that is extended shows the numbers already.
    private func isInherited(_ identity: Identity, of entry: Int) -> Bool {
      isExtending && entries[entry].series.contains { $0.labels == identity.labels }
    }

    /// Ends the building.
    ///
    /// - Throws: ``MetricLayoutError/tooManyCells(_:limit:)`` when more cells were asked for than a
    ///   table may have; the places given out then lead nowhere.
    public consuming func finished() throws(MetricLayoutError) -> MetricLayout {
      guard cellCount <= cellLimit else { throw .tooManyCells(cellCount, limit: cellLimit) }
      return MetricLayout(entries: entries, places: places, cellCount: cellCount, parent: parent)
    }
  }
}
