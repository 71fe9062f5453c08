import KeyedTables

/// How many bytes may pass in a time, and how many at once.
public struct ByteRate: Hashable, Sendable {
  /// Bytes in a second.
  public let bytesPerSecond: UInt64
  /// How many may pass at once.
  public let burst: UInt64

  /// Creates a rate.
  ///
  /// - Precondition: Both are above 0, and the burst takes less than a day.
  public init(bytesPerSecond: UInt64, burst: UInt64) {
    precondition(bytesPerSecond > 0 && burst > 0, "a rate of nothing")
    precondition(burst / bytesPerSecond < 86_400, "a burst that never ends")
    self.bytesPerSecond = bytesPerSecond
    self.burst = burst
  }

  /// Nanoseconds that `count` bytes take, rounded up.
  public func nanoseconds(for count: UInt64) -> UInt64 {
    let product = count.multipliedFullWidth(by: 1_000_000_000)
    guard product.high < bytesPerSecond else { return .max / 4 }
    let (quotient, rest) = bytesPerSecond.dividingFullWidth(product)
    return min(quotient, .max / 4) + (rest > 0 ? 1 : 0)
  }

  /// How many bytes are best sent at a time: an eighth of a second's, within 512 bytes and 64 KB.
  public var pieceBytes: Int { Int(min(max(bytesPerSecond / 8, 512), 65_536)) }

  /// Books `count` bytes in a bucket that is full again at `full`.
  ///
  /// - Returns: The moment at which they may pass; `now` if that is at once.
  @inline(__always)
  public func book(_ count: UInt64, in full: inout UInt64, at now: UInt64) -> UInt64 {
    let cost = nanoseconds(for: count)
    full = max(full, now) &+ cost
    let tolerance = nanoseconds(for: burst)
    return full > now &+ tolerance ? full &- tolerance : now
  }
}

/// Buckets of bytes, one for each key; may be used from any thread.
///
/// What is booked passes in the order of booking, so that many who share a key get equal shares.
public final class ByteTable: Sendable {
  /// The rate.
  public let rate: ByteRate
  private let table: KeyedWords

  /// Creates a table for about `keyCount` keys.
  public init(_ rate: ByteRate, keyCount: Int) {
    self.rate = rate
    table = KeyedWords(keyCount: keyCount)
  }

  /// Forgets what was booked.
  ///
  /// - Complexity: O(*n*) in the places.
  public func clear() { table.clear() }

  /// Books `count` bytes for `key`.
  ///
  /// - Returns: The moment at which they may pass; `now` if that is at once.
  /// - Complexity: O(1).
  public func book(_ count: UInt64, for key: UInt64, at now: UInt64) -> UInt64 {
    var moment = now
    _ = table.update(
      key,
      isFree: { $0 &+ RateTable.grace <= now },
      beginning: { _ in 0 },
      evicts: true
    ) { word in
      var full = word
      moment = rate.book(count, in: &full, at: now)
      return full
    }
    return moment
  }
}
