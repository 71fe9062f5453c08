import Synchronization

/// How often something has changed what is kept for URLs by the bodies of requests.
///
/// Such answers are many for one URL, and no list of them is kept: the number is a part of what they are found by,
/// so that none of them is found any more when it has grown. URLs share numbers, so that a few more may go.
final class BodyEpochs: Sendable {
  private static let count = 4096

  /// Other numbers in each process: what a disk has of an earlier one is not found.
  private let start = UInt64.random(in: 0...UInt64.max)
  private let counts = Mutex([UInt32](repeating: 0, count: count))

  /// The number of a URL, by the word of that.
  func number(of word: UInt64) -> UInt64 {
    start &+ UInt64(counts.withLock { $0[Self.place(of: word)] })
  }

  /// Lets nothing be found any more that is kept for a URL.
  func advance(_ word: UInt64) {
    counts.withLock { $0[Self.place(of: word)] &+= 1 }
  }

  private static func place(of word: UInt64) -> Int {
    Int(truncatingIfNeeded: word % UInt64(count))
  }
}
