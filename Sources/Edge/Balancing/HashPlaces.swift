/// Which member each key belongs to: a table over the members' names and weights, the same wherever it
/// is made from the same ones, in whatever order.
///
/// It says where to begin for a key and where to go on while members cannot be chosen. So a member that
/// is left out moves its own keys and no others, and they come back with it.
public struct HashPlaces: Sendable {
  /// How keys are spread.
  public enum Form: Hashable, Sendable {
    /// Points on a ring: a member that comes or goes moves its own share and nothing else.
    case ring
    /// A table of Maglev's: shares are nearly exact, a little more moves.
    case maglev
  }

  /// A member as the table knows it.
  public struct Owner: Hashable, Sendable {
    /// What the answer is when a key belongs to it; at most 65,535.
    public var number: Int
    /// What its places are derived from; all machines must have the same.
    public var name: String
    /// Its share; at least 1.
    public var weight: Int

    /// Creates the description of a member.
    public init(number: Int, name: String, weight: Int = 1) {
      self.number = number
      self.name = name
      self.weight = weight
    }
  }

  /// Where a search stands.
  public struct Cursor: Sendable {
    var place: Int
    var hash: UInt64
  }

  private enum Table: Sendable {
    case ring(HashRing)
    case maglev(MaglevTable)
  }

  /// The members it was made of, in order of their names.
  public let owners: [Owner]
  private let table: Table

  /// Makes the table.
  ///
  /// - Complexity: O(*n* log *n*) in the members, and a hundred and more places for each: some
  ///   milliseconds for 1,000 members, so it is not made on a loop that serves.
  public init(_ owners: [Owner], form: Form) {
    var sorted = owners.filter { $0.weight > 0 && (0...65_535).contains($0.number) }
    sorted.sort { ($0.name, $0.number) < ($1.name, $1.number) }
    self.owners = sorted
    switch form {
    case .ring: table = .ring(HashRing(sorted))
    case .maglev: table = .maglev(MaglevTable(sorted))
    }
  }

  /// Whether it has no member.
  public var isEmpty: Bool { owners.isEmpty }

  /// Where the search for a key begins; not for an empty table.
  public func start(_ hash: UInt64) -> Cursor {
    switch table {
    case .ring(let ring): Cursor(place: ring.place(of: hash), hash: hash)
    case .maglev(let table): Cursor(place: table.place(of: hash), hash: hash)
    }
  }

  /// The number of the member at which a search stands.
  public func number(at cursor: Cursor) -> Int {
    switch table {
    case .ring(let ring): ring.number(at: cursor.place)
    case .maglev(let table): table.number(at: cursor.place)
    }
  }

  /// Goes on to the next place for the same key.
  public func advance(_ cursor: inout Cursor) {
    switch table {
    case .ring(let ring): cursor.place = ring.place(after: cursor.place)
    case .maglev(let table):
      cursor.hash = mixed(cursor.hash)
      cursor.place = table.place(of: cursor.hash)
    }
  }
}
