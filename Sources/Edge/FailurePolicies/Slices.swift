import Synchronization

/// Counts over the last window, in ten slices of time, shared by all loops without a lock.
///
/// Each slice is one word: the lap of the ring that it belongs to, and its counts. A count changes by
/// compare-and-exchange, and a slice of an earlier lap begins anew with its first count. The present
/// slice and the nine before it are the window: between nine and ten tenths of it, never more.
///
/// Counts are halved together before one overflows, which keeps their relation. What a loop tells whose
/// clock is a lap behind is not counted. A slice that nobody touched for exactly 8,192 windows would be
/// taken for a present one.
final class Slices: Sendable {
  /// What was counted.
  struct Counts: Hashable, Sendable {
    var all: UInt64 = 0
    var failed: UInt64 = 0
    var slow: UInt64 = 0

    mutating func add(_ other: Counts) {
      all += other.all
      failed += other.failed
      slow += other.slow
    }
  }

  static let count = 10
  private static let lapShift: UInt64 = 51
  private static let lapMask: UInt64 = 1 << 13 - 1

  /// The nanoseconds of a slice.
  let length: Int64
  /// The bits of the first two counts; the third has what is left of 51.
  private let bits: UInt64
  private let words: InlineArray<10, Atomic<UInt64>>

  /// Creates slices of a window; without `countsSlow` the other counts go further.
  init(window: Duration, countsSlow: Bool) {
    length = max(1, window.inNanoseconds / Int64(Self.count))
    bits = countsSlow ? 17 : 25
    words = InlineArray { _ in Atomic(0) }
  }

  /// The largest count that a slice holds.
  var most: UInt64 { 1 << bits - 1 }

  /// Counts something at a moment, if `allows` agrees with what was counted before in the window that
  /// ends there.
  ///
  /// Loops that are in the same slice take turns at this, so that each knows what the others have
  /// counted there.
  ///
  /// - Returns: What is counted now, or nil when `allows` has not agreed.
  func add(_ more: Counts, at now: Int64, if allows: (Counts) -> Bool = { _ in true }) -> Counts? {
    let (place, lap) = position(of: max(0, now / length))
    while true {
      let word = words[place].load(ordering: .relaxed)
      let before = sum(at: now, presentWord: word)
      guard allows(before) else { return nil }
      var after = before
      after.add(more)
      let wordLap = word >> Self.lapShift
      // Another loop is ahead by a lap.
      if wordLap == (lap &+ 1) & Self.lapMask { return after }
      var counts = wordLap == lap ? self.counts(of: word) : Counts()
      counts.add(more)
      let desired = self.word(of: counts, lap: lap)
      let (isDone, _) = words[place].compareExchange(
        expected: word,
        desired: desired,
        ordering: .relaxed
      )
      if isDone { return after }
    }
  }

  /// What was counted in the window that ends at a moment.
  func sum(at now: Int64) -> Counts { sum(at: now, presentWord: nil) }

  private func sum(at now: Int64, presentWord: UInt64?) -> Counts {
    let slice = max(0, now / length)
    var sum = Counts()
    // A loop whose clock is ahead has perhaps begun the next slice, in the place of the oldest one.
    for offset in -Int64(Self.count - 1)...1 where slice + offset >= 0 {
      let (place, lap) = position(of: slice + offset)
      let isPresent = offset == 0
      let word = (isPresent ? presentWord : nil) ?? words[place].load(ordering: .relaxed)
      if word >> Self.lapShift == lap { sum.add(counts(of: word)) }
    }
    return sum
  }

  /// Forgets everything.
  func clear() {
    for place in 0..<Self.count { words[place].store(0, ordering: .relaxed) }
  }

  // MARK: Words

  private func position(of slice: Int64) -> (place: Int, lap: UInt64) {
    // Laps begin with 1, so that a word of zeros is of none of them until they wrap.
    let lap = UInt64(slice / Int64(Self.count) + 1) & Self.lapMask
    return (Int(slice % Int64(Self.count)), lap)
  }

  private var slowBits: UInt64 { Self.lapShift - 2 * bits }

  private func counts(of word: UInt64) -> Counts {
    Counts(
      all: word >> (slowBits + bits) & most,
      failed: word >> slowBits & most,
      slow: word & (1 << slowBits - 1)
    )
  }

  private func word(of counts: Counts, lap: UInt64) -> UInt64 {
    var counts = counts
    while max(counts.all, counts.failed, counts.slow) > most {
      counts.all /= 2
      counts.failed /= 2
      counts.slow /= 2
    }
    return lap << Self.lapShift | counts.all << (slowBits + bits) | counts.failed << slowBits
      | counts.slow
  }
}
