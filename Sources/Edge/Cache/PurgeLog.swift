import HTTPCaching
import MartletBytes
import Synchronization

/// What is purged of a cache.
public enum PurgeTarget: Hashable, Sendable {
  /// One URL, as keys have it.
  case url([UInt8])
  /// All URLs that begin so.
  case prefix([UInt8])
  /// All URLs of this form, in which `*` stands for anything.
  case pattern([UInt8])
  /// All answers that have this tag.
  case tag([UInt8])
  /// Everything.
  case everything
}

/// What was purged, so that each answer is asked when it is found, and not all of them at once.
///
/// A purge is a number, one more than the last: an answer that was looked at since need not be looked at again.
/// So a purge takes the same time however many answers it is about, and none of them is sent when it has
/// returned.
final class PurgeLog: Sendable {
  /// What a purge wants of an answer.
  enum Verdict: Sendable {
    /// Nothing.
    case kept
    /// It is forgotten.
    case gone
    /// It is stale since this moment.
    case stale(Moment)
  }

  /// The last purges of one thing.
  struct Mark: Sendable {
    private(set) var hard: UInt64 = 0
    private(set) var soft: UInt64 = 0
    private var softAt = Moment(milliseconds: 0)

    /// The last of them.
    var last: UInt64 { max(hard, soft) }

    mutating func set(_ number: UInt64, softly now: Moment?) {
      guard let now else {
        hard = number
        return
      }
      soft = number
      softAt = now
    }

    func judge(since seen: UInt64, _ verdict: inout Verdict) {
      if hard > seen { verdict = .gone }
      if soft > seen, case .kept = verdict { verdict = .stale(softAt) }
    }
  }

  private struct State {
    var everything = Mark()
    var tags: [UInt64: Mark] = [:]
    var others: [(target: PurgeTarget, mark: Mark)] = []
  }

  /// The number of the last purge.
  private let last: Atomic<UInt64>
  private let state = Mutex(State())

  /// How many purges are remembered that are not of tags: as many are looked at for an answer that was not
  /// looked at since.
  static let otherLimit = 1024
  static let tagLimit = 1 << 20

  /// Creates a log that goes on behind this number.
  init(behind number: UInt64 = 0) { last = Atomic(number) }

  /// The number of the last purge.
  var number: UInt64 { last.load(ordering: .acquiring) }

  /// Remembers a purge; `tag` is what a tag is known by.
  ///
  /// - Returns: Whether there was room: if not, everything that is kept must be looked at first.
  func add(_ target: PurgeTarget, tag: UInt64, softly now: Moment?) -> Bool {
    state.withLock { state in
      let number = last.load(ordering: .relaxed) + 1
      switch target {
      case .everything: state.everything.set(number, softly: now)
      case .tag:
        guard state.tags[tag] != nil || state.tags.count < Self.tagLimit else { return false }
        state.tags[tag, default: Mark()].set(number, softly: now)
      case .url, .prefix, .pattern:
        if let index = state.others.firstIndex(where: { $0.target == target }) {
          state.others[index].mark.set(number, softly: now)
        } else {
          guard state.others.count < Self.otherLimit else { return false }
          var mark = Mark()
          mark.set(number, softly: now)
          state.others.append((target, mark))
        }
      }
      // Whoever sees the number finds the purge behind the lock.
      last.store(number, ordering: .releasing)
      return true
    }
  }

  /// What the purges since `seen` want of an answer with these tags.
  func judge(_ url: Span<UInt8>, _ tags: [UInt64], since seen: UInt64) -> Verdict {
    state.withLock { state in
      var verdict = Verdict.kept
      state.everything.judge(since: seen, &verdict)
      if !state.tags.isEmpty {
        for tag in tags { state.tags[tag]?.judge(since: seen, &verdict) }
      }
      for entry in state.others where entry.mark.last > seen {
        if Self.isMeant(url, by: entry.target) { entry.mark.judge(since: seen, &verdict) }
      }
      return verdict
    }
  }

  /// Forgets purges that every answer was looked at for: those up to `number`.
  func forget(upTo number: UInt64) {
    state.withLock { state in
      state.tags = state.tags.filter { $0.value.last > number }
      state.others.removeAll { $0.mark.last <= number }
    }
  }

  /// Whether anything is remembered.
  var isEmpty: Bool { state.withLock { $0.tags.isEmpty && $0.others.isEmpty } }

  static func isMeant(_ url: Span<UInt8>, by target: PurgeTarget) -> Bool {
    switch target {
    case .url(let text): url.isEqual(to: text.span)
    case .prefix(let text):
      url.count >= text.count && url.extracting(first: text.count).isEqual(to: text.span)
    case .pattern(let text): url.matches(text.span)
    case .tag, .everything: false
    }
  }
}

extension Span where Element == UInt8 {
  /// Whether all of it is of this form, in which `*` stands for anything.
  ///
  /// - Complexity: O(*n* · *m*) at worst.
  func matches(_ form: Span<UInt8>) -> Bool {
    var (place, step) = (0, 0)
    // Where the last star stands, and how much it stands for.
    var (star, taken) = (-1, 0)
    while place < count {
      if step < form.count, form[step] == 0x2A {
        star = step
        taken = place
        step += 1
      } else if step < form.count, form[step] == self[place] {
        place += 1
        step += 1
      } else if star >= 0 {
        taken += 1
        place = taken
        step = star + 1
      } else {
        return false
      }
    }
    while step < form.count, form[step] == 0x2A { step += 1 }
    return step == form.count
  }
}
