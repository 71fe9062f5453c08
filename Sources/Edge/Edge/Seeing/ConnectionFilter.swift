public import Directives

/// By what an open connection of a client is known.
public struct ConnectionID: Hashable, Sendable, CustomStringConvertible {
  /// The loop that serves it.
  let loop: Int
  /// What no other connection of this loop has had.
  let number: UInt64

  init(loop: Int, number: UInt64) {
    self.loop = loop
    self.number = number
  }

  /// Reads what ``description`` wrote; nil when it is anything else.
  public init?(_ text: String) {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 2, let loop = Int(parts[0]), let number = UInt64(parts[1]) else {
      return nil
    }
    self.init(loop: loop, number: number)
  }

  /// The loop and the number: `0-17`.
  public var description: String { "\(loop)-\(number)" }
}

/// Which connections of clients are meant: those that meet all that is said.
public struct ConnectionFilter: Hashable, Sendable {
  /// These; nil: any.
  public var ids: Set<ConnectionID>?
  /// Those of a listener, by its address as written.
  public var listener: String?
  /// Those from addresses of a network; clients at Unix sockets have none.
  public var clients: Network?
  /// Those with a request at an upstream of this name.
  public var upstream: String?
  /// Those with a request at a member, by its address as written.
  public var member: String?
  /// Those that are open for longer.
  public var olderThan: Duration?
  /// Those that wait for a request.
  public var isIdle = false

  /// Creates a filter that every connection meets.
  public init() {}

  /// Whether something is said.
  public var saysSomething: Bool { self != ConnectionFilter() }
}

/// What can be told of one open connection.
public struct ConnectionView: Hashable, Sendable {
  /// By what it is known.
  public var id: ConnectionID
  /// Its listener's address as written.
  public var listener: String
  /// What is spoken on it.
  public var transport: String
  /// The address of its other end.
  public var client: String
  /// How long it is open.
  public var age: Duration
  /// How many requests have begun on it.
  public var requestCount: Int
  /// Whether it waits for a request.
  public var isIdle: Bool
  /// The upstream of the request that is under way; nil where there is none.
  public var upstream: String?
  /// The member that has it; nil where there is none.
  public var member: String?
}
