import Synchronization

/// The bytes that a store may hold, and who has them: answers that are kept, and those that come.
///
/// Both together never have more than the limit. A part is set aside for answers that come, so that they do
/// not push anything out as long as there are few of them.
///
/// May be used from any thread.
public final class CacheBudget: Sendable {
  /// What became of a wish for bytes.
  public enum Answer: Hashable, Sendable {
    /// They are given.
    case granted
    /// So many bytes have to be freed first.
    case lacks(Int)
    /// There are not so many for this.
    case refused
  }

  private struct Held {
    var stored = 0
    var filling = 0
  }

  /// How many bytes there are in all.
  public let limit: Int
  /// How many are set aside for answers that come.
  public let reserve: Int
  private let held = Mutex(Held())

  /// Creates a budget of so many bytes.
  public init(limit: Int) {
    precondition(limit > 0, "a budget has bytes")
    self.limit = limit
    reserve = limit / 16
  }

  /// The bytes of answers that are kept.
  public var storedByteCount: Int { held.withLock { $0.stored } }

  /// The bytes of answers that come.
  public var fillingByteCount: Int { held.withLock { $0.filling } }

  /// Gives `count` bytes to an answer that is to be kept, of which it has had `filled` while it came; those
  /// are given back if it gets them.
  public func store(_ count: Int, filled: Int) -> Answer {
    held.withLock { held in
      let others = max(held.filling - filled, reserve)
      let lack = held.stored + count + others - limit
      guard lack <= 0 else { return count + reserve > limit ? .refused : .lacks(lack) }
      held.stored += count
      held.filling -= filled
      return .granted
    }
  }

  /// Takes back the bytes of an answer that is no longer kept.
  public func free(_ count: Int) {
    held.withLock { held in
      held.stored -= count
      precondition(held.stored >= 0, "more bytes are given back than were given")
    }
  }

  /// Gives `count` more bytes to an answer that comes.
  ///
  /// Those that come have at most half of all.
  public func fill(_ count: Int) -> Answer {
    held.withLock { held in
      guard held.filling + count <= limit / 2 else { return .refused }
      let lack = held.stored + max(held.filling + count, reserve) - limit
      guard lack <= 0 else { return .lacks(lack) }
      held.filling += count
      return .granted
    }
  }

  /// Takes back the bytes of an answer that came.
  public func endFill(_ count: Int) {
    held.withLock { held in
      held.filling -= count
      precondition(held.filling >= 0, "more bytes are given back than were given")
    }
  }
}
