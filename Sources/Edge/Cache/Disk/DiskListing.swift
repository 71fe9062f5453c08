import HTTPCaching
public import MartletLoop
import MartletSystem
import Synchronization

/// An answer that is on the disk, for whoever looks at what there is.
public struct DiskListed: Sendable {
  /// What it is found by.
  public let key: [UInt8]
  /// Its head, and its body, which stays where it is.
  public let answer: CachedAnswer

  /// What its key says behind its space.
  public var url: ArraySlice<UInt8> { key[CacheKey.url(in: key)] }
}

/// Telling what there is.
extension DiskStore {
  /// How many answers are looked at where all could be meant, and for how many nanoseconds.
  public static let listingLimit = 16_384
  private static let listingNanoseconds: Int64 = 1_000_000_000

  /// The answers for these keys, and of the newest others those that `isMeant` takes; these are read, so that only
  /// as many are looked at as can be in a second.
  public func list(
    _ keys: [[UInt8]],
    newest limit: Int,
    on loop: EventLoop,
    where isMeant: @escaping @Sendable (ArraySlice<UInt8>) -> Bool
  ) async -> [DiskListed] {
    let store = self
    do throws(BlockingPool.Refusal) {
      return try await threads.run(on: loop, by: loop.deadline(after: Self.timeLimit)) {
        store.list(keys, newest: limit, where: isMeant)
      }
    } catch {
      return []
    }
  }

  /// The same for a thread that may wait for the disk.
  public func list(
    _ keys: [[UInt8]],
    newest limit: Int,
    where isMeant: (ArraySlice<UInt8>) -> Bool
  ) -> [DiskListed] {
    let end = SystemClock.monotonicNanoseconds() + Self.listingNanoseconds
    let wanted = keys.flatMap { places(of: $0.span) }
    let others = limit > 0 ? state.withLock { $0.index.newest(limit) } : []
    var seen: Set<Int> = []
    var listed: [DiskListed] = []
    for (index, place) in (wanted + others).enumerated() {
      guard index < wanted.count || SystemClock.monotonicNanoseconds() < end else { break }
      guard seen.insert(Int(truncatingIfNeeded: place.seal)).inserted,
        let found = describe(place), isMeant(found.url)
      else { continue }
      listed.append(found)
    }
    return listed
  }

  /// What an answer is, but for its body; nil: it cannot be read, or was purged.
  private func describe(_ place: DiskPlace) -> DiskListed? {
    guard let key = key(at: place) else { return nil }
    guard case .answer(let found) = read(place, key, upTo: -1) else { return nil }
    return DiskListed(key: key, answer: found.answer)
  }
}
