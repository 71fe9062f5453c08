/// A number that only grows; a place in each loop's table.
public struct Counter: Hashable, Sendable {
  @usableFromInline let index: Int
}

/// A number that goes up and down; a place in each loop's table.
public struct Gauge: Hashable, Sendable {
  @usableFromInline let index: Int
}

/// Durations, counted in buckets; a range of places in each loop's table.
public struct Histogram: Hashable, Sendable {
  @usableFromInline let index: Int
}

extension CounterTable {
  /// Adds to a counter.
  @inlinable @inline(__always)
  public func add(_ amount: UInt64 = 1, to counter: Counter) {
    change(counter.index, by: amount)
  }

  /// Adds to a gauge, or takes from it.
  ///
  /// What one loop adds another may take: only the sum over all tables means something.
  @inlinable @inline(__always)
  public func add(_ amount: Int64, to gauge: Gauge) {
    change(gauge.index, by: UInt64(bitPattern: amount))
  }

  /// Sets this loop's part of a gauge.
  @inlinable @inline(__always)
  public func set(_ gauge: Gauge, to value: Int64) {
    replace(gauge.index, with: UInt64(bitPattern: value))
  }

  /// Counts a duration.
  @inlinable @inline(__always)
  public func record(nanoseconds: UInt64, in histogram: Histogram) {
    change(histogram.index, by: nanoseconds)
    change(histogram.index &+ 1 &+ scale.bucket(of: nanoseconds), by: 1)
  }
}

extension [CounterTable] {
  /// The sum of a counter over the tables.
  public func value(of counter: Counter) -> UInt64 { sum(at: counter.index) }

  /// The sum of a gauge over the tables.
  public func value(of gauge: Gauge) -> Int64 { Int64(bitPattern: sum(at: gauge.index)) }

  /// The durations of a histogram, merged over the tables.
  public func value(of histogram: Histogram) -> HistogramValue { merged(at: histogram.index) }

  func sum(at index: Int) -> UInt64 { reduce(0) { $0 &+ $1.value(at: index) } }

  func merged(at index: Int) -> HistogramValue {
    let first = index + 1
    return HistogramValue(
      nanoseconds: sum(at: index),
      counts: (0..<HistogramScale.shared.bucketCount).map { sum(at: first + $0) }
    )
  }
}
