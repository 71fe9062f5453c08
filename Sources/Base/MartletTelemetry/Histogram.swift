/// The buckets of every histogram: eight to each doubling, and the bounds that Prometheus sees.
///
/// A bucket holds durations above its lower and up to its upper edge. The edges are those of eight
/// equal parts of each doubling, from 128 ns up to 68.7 s, and the readable ``bounds`` besides, so
/// that both a quantile (within 6.25 %) and each of the bounds (exactly) come from the same counts.
public struct HistogramScale: Sendable {
  /// The one scale.
  public static let shared = HistogramScale()

  /// The readable bounds, in nanoseconds: 0.1 ms to 60 s.
  public static let bounds: [UInt64] = [
    100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000, 25_000_000, 50_000_000, 100_000_000, 250_000_000,
    500_000_000, 1_000_000_000, 2_500_000_000, 5_000_000_000, 10_000_000_000, 30_000_000_000,
    60_000_000_000,
  ]

  // The edges of the parts lie 128 ns apart below 1,024 ns; the last part is what lies above 2^36 ns.
  @usableFromInline static let partCount = 217

  /// For each part, how many bounds lie below it, and the next bound: where it is split, if it is.
  @usableFromInline let ranks: [UInt8]
  @usableFromInline let nextBounds: [UInt64]

  /// The upper edge of each bucket.
  let edges: [UInt64]

  /// How many buckets there are.
  public var bucketCount: Int { edges.count }

  init() {
    var ranks: [UInt8] = []
    var edges: [UInt64] = []
    var rank = 0
    for part in 0..<Self.partCount {
      ranks.append(UInt8(rank))
      let upper = Self.upperEdge(ofPart: part)
      while rank < Self.bounds.count, Self.bounds[rank] < upper {
        edges.append(Self.bounds[rank])
        rank += 1
      }
      edges.append(upper)
    }
    self.ranks = ranks
    self.edges = edges
    nextBounds = Self.bounds + [.max]
  }

  /// The part of a duration, before the bounds split it.
  ///
  /// Below 16 units a part is one unit; above, the highest four bits count and the others are cut.
  @inlinable @inline(__always)
  static func part(of nanoseconds: UInt64) -> Int {
    // One less, so that an edge belongs to what lies below it.
    let units = (max(nanoseconds, 1) &- 1) &>> 7
    let shift = 60 &- (units | 8).leadingZeroBitCount
    return min(shift &* 8 &+ Int(truncatingIfNeeded: units &>> UInt64(shift)), partCount &- 1)
  }

  static func upperEdge(ofPart part: Int) -> UInt64 {
    guard part < partCount - 1 else { return .max }
    let shift = max(part / 8 - 1, 0)
    return UInt64(part - shift * 8 + 1) << UInt64(shift + 7)
  }

  /// The bucket of a duration.
  @inlinable @inline(__always)
  public func bucket(of nanoseconds: UInt64) -> Int {
    let part = Self.part(of: nanoseconds)
    let rank = Int(ranks[part])
    return part &+ rank &+ (nanoseconds > nextBounds[rank] ? 1 : 0)
  }
}

/// The durations of a histogram, at one moment.
public struct HistogramValue: Hashable, Sendable {
  /// The sum of all durations.
  public let nanoseconds: UInt64
  /// How many durations each bucket of ``HistogramScale`` has.
  public let counts: [UInt64]

  init(nanoseconds: UInt64, counts: [UInt64]) {
    self.nanoseconds = nanoseconds
    self.counts = counts
  }

  /// How many durations there are.
  public var count: UInt64 { counts.reduce(0, &+) }

  /// The duration that the fraction `quantile` of all does not exceed.
  ///
  /// - Parameter quantile: From 0 to 1: 0.99 for what 99 of 100 do not exceed.
  /// - Returns: Nanoseconds, within 6.25 % of the true ones, or within 64 ns below a microsecond; of
  ///   durations above 68.7 s only that they are longer. Nil if there are none.
  /// - Complexity: O(*n*) in the buckets.
  public func quantile(_ quantile: Double) -> UInt64? {
    precondition(quantile >= 0 && quantile <= 1, "a fraction lies between 0 and 1")
    let total = count
    guard total > 0 else { return nil }
    let wanted = max(1, UInt64((quantile * Double(total)).rounded(.up)))
    let edges = HistogramScale.shared.edges
    var seen: UInt64 = 0
    for (bucket, count) in counts.enumerated() where count > 0 {
      seen &+= count
      guard seen >= wanted || seen == total else { continue }
      let lower = bucket == 0 ? 0 : edges[bucket - 1]
      guard edges[bucket] < .max else { return lower }
      return lower + (edges[bucket] - lower) / 2
    }
    return nil
  }

  /// How many durations do not exceed each of ``HistogramScale/bounds``.
  public var cumulativeCounts: [UInt64] {
    let edges = HistogramScale.shared.edges
    var result: [UInt64] = []
    var seen: UInt64 = 0
    for (bucket, count) in counts.enumerated() {
      seen &+= count
      if result.count < HistogramScale.bounds.count,
        edges[bucket] == HistogramScale.bounds[result.count]
      {
        result.append(seen)
      }
    }
    return result
  }
}
