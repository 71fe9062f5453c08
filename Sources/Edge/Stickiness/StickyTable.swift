import KeyedTables

/// Which member a client belongs to, remembered for a word that is made of what it is known by.
///
/// May be used from any thread. A client that has not been seen for the idle time is forgotten; when a
/// new one finds no free place, the one of its group that was away for longest is.
public final class StickyTable: Sendable {
  /// What a table remembers of one client.
  public struct Entry: Hashable, Sendable {
    /// The low half of the member's ``MemberIdentity/number``.
    public let member: UInt32
    /// When the client is forgotten, in the seconds of the clock that is passed in.
    public let forgottenAt: UInt32
  }

  private let idleSeconds: UInt32
  private let table: KeyedWords

  /// Creates a table for about `keyCount` clients; the idle time in seconds.
  public init(keyCount: Int, idleSeconds: UInt32) {
    self.idleSeconds = idleSeconds
    table = KeyedWords(keyCount: keyCount)
  }

  // A word is the second in which its client is forgotten, and the member: so the least word is that
  // of the client that was away for longest. 0 is nobody's.

  /// The member of a client, which is remembered for another idle time; nil: it is not known.
  ///
  /// - Complexity: O(1).
  public func member(of client: UInt64, at second: UInt32) -> UInt32? {
    let until = UInt64(second &+ idleSeconds) << 32
    let change = table.update(
      client,
      isFree: { $0 >> 32 < UInt64(second) },
      beginning: { _ in 0 },
      evicts: false
    ) { word in
      word >> 32 < UInt64(second) ? nil : until | word & 0xFFFF_FFFF
    }
    guard case .made(_, let word, _) = change else { return nil }
    return UInt32(truncatingIfNeeded: word)
  }

  /// Remembers the member of a client.
  ///
  /// - Complexity: O(1).
  public func remember(_ member: MemberIdentity, for client: UInt64, at second: UInt32) {
    let word = UInt64(second &+ idleSeconds) << 32 | UInt64(member.low)
    _ = table.update(
      client,
      isFree: { $0 >> 32 < UInt64(second) },
      beginning: { _ in 0 },
      evicts: true
    ) { _ in word }
  }

  /// Forgets every client.
  ///
  /// - Complexity: O(*n*) in the places.
  public func clear() { table.clear() }

  /// How many clients are known.
  ///
  /// - Complexity: O(*n*) in the places.
  public func count(at second: UInt32) -> Int { table.count { $0 >> 32 >= UInt64(second) } }

  /// How many clients there is place for.
  public var capacity: Int { table.capacity }
}

extension MemberIdentity {
  /// The half that tables remember.
  public var low: UInt32 { UInt32(truncatingIfNeeded: number) }
}
