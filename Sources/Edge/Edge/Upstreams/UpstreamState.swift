import Applications
import Configuration
import Directives
import MartletSystem
import Synchronization

/// Counted up behind every change of a member's state, or of which members an upstream has.
///
/// A loop compares it with the one that it knows, once for each choice, and looks at members only when
/// it differs.
final class UpstreamVersion: Sendable {
  private let number = Atomic<UInt64>(1)

  /// The present one, of which nothing has to be seen yet; never 0.
  var peeked: UInt64 { number.load(ordering: .relaxed) }

  /// The present one, with everything that was changed before it.
  var current: UInt64 { number.load(ordering: .acquiring) }

  /// Lets all loops look at the members again.
  func noteChange() { number.add(1, ordering: .releasing) }
}

/// How many exchanges are under way with all members together; counted where a bound asks for it.
final class UpstreamTotal: Sendable {
  private let number = Atomic<Int>(0)

  /// The exchanges under way.
  var count: Int { number.load(ordering: .relaxed) }

  /// Notes that one begins.
  func begin() { number.add(1, ordering: .relaxed) }

  /// Notes that one ended.
  func end() { number.subtract(1, ordering: .relaxed) }
}

/// What all generations that have an upstream of one name share: its members and its version.
final class UpstreamState: Sendable {
  let version = UpstreamVersion()
  /// The requests that wait for a place.
  let queue = MemberQueue()
  let total = UpstreamTotal()
  /// What runs the application, where the upstream is one.
  let application = Application()
  private let known = Mutex(Known())

  private struct Known {
    /// The members, each place's in the order written, among them some that nobody else holds.
    ///
    /// Weak references would cost each request more: an object that has one counts all others slowly.
    var members: [Member.Location: [Member]] = [:]
    var changes = MemberChanges()
    /// Whether there were members before.
    var isOld = false

    /// Takes the members that somebody else holds; the others are let go.
    mutating func takeLiving() -> [Member.Location: [Member]] {
      var living: [Member.Location: [Member]] = [:]
      var lists = Array(members)
      members = [:]
      while !lists.isEmpty {
        var place = lists.removeLast()
        var kept: [Member] = []
        while var member = place.value.popLast() {
          if !isKnownUniquelyReferenced(&member) { kept.insert(member, at: 0) }
        }
        if !kept.isEmpty { living[place.key] = kept }
      }
      return living
    }
  }

  /// The changes of the membership that outlive a reload.
  var changes: MemberChanges {
    get { known.withLock { $0.changes } }
    set { known.withLock { $0.changes = newValue } }
  }

  /// The members of `settings`, in their order: those that are known already, or new ones.
  ///
  /// A member that is new in an upstream that is not is up since now.
  ///
  /// - Complexity: O(*n* log *n*) in the members.
  func members(_ settings: [MemberSettings], stateDirectory: String) -> [Member] {
    known.withLock { known in
      var living = known.takeLiving()
      let taken = Set(living.values.joined().map(\.number))
      let since = known.isOld ? SystemClock.monotonicNanoseconds() : 0
      var next = 0
      var seen: [Member.Location: Int] = [:]
      let members = settings.map { settings -> Member in
        let location = Member.Location(settings.address, stateDirectory: stateDirectory)
        let place = seen[location, default: 0]
        seen[location] = place + 1
        if let there = living[location], place < there.count { return there[place] }
        while taken.contains(next) { next += 1 }
        defer { next += 1 }
        let member = Member(
          settings.address.description,
          at: location,
          number: next,
          version: version,
          upSince: since
        )
        living[location, default: []].append(member)
        return member
      }
      known.members = living
      known.isOld = true
      return members
    }
  }
}

/// What was changed while the server ran, and is to outlive a reload.
struct MemberChanges: Sendable {
  /// The members that were added, unless the configuration has them by now.
  var added: [MemberSettings] = []
  /// The members that were removed.
  var removed: Set<Address> = []

  /// The members of a configuration with these changes.
  func applied(to settings: [MemberSettings]) -> [MemberSettings] {
    guard !added.isEmpty || !removed.isEmpty else { return settings }
    let written = Set(settings.map(\.address))
    return settings.filter { !removed.contains($0.address) }
      + added.filter { !written.contains($0.address) }
  }
}
