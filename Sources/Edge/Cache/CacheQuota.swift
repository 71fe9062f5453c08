import Synchronization

/// How many bytes of a store some answers may take together, as those of a route do.
///
/// May be used from any thread.
public final class CacheQuota: Sendable {
  private let bound: Atomic<Int>
  private let held = Atomic<Int>(0)

  /// Creates a quota of so many bytes.
  public init(limit: Int) {
    precondition(limit > 0, "a quota has bytes")
    bound = Atomic(limit)
  }

  /// How many bytes there are.
  ///
  /// With fewer than before, answers go as others come.
  public var limit: Int {
    get { bound.load(ordering: .relaxed) }
    set { bound.store(newValue, ordering: .relaxed) }
  }

  /// The bytes of the answers that are kept.
  public var byteCount: Int { held.load(ordering: .relaxed) }

  /// Takes bytes for an answer.
  ///
  /// - Returns: How many have to be given back first; 0: they are taken.
  func take(_ count: Int) -> Int {
    let before = held.add(count, ordering: .relaxed).oldValue
    let lack = before + count - limit
    guard lack > 0 else { return 0 }
    held.subtract(count, ordering: .relaxed)
    return lack
  }

  /// Gives the bytes of an answer back.
  func free(_ count: Int) { held.subtract(count, ordering: .relaxed) }
}
