public import Directives

/// How the sessions of some routes are kept.
public struct SessionSettings: Hashable, Sendable {
  /// Who keeps them.
  public enum Store: Hashable, Sendable {
    /// The edge process, in so many bytes.
    case memory(byteLimit: Int)
    /// A folder, with at most so many files.
    case files(path: String, countLimit: Int)
    /// A server of Redis.
    case redis(RedisSettings)
  }

  /// A server of Redis, or one that speaks like it.
  public struct RedisSettings: Hashable, Sendable {
    /// Its address.
    public var address: Address
    /// Which of its databases.
    public var database = 0
    /// What stands before each key.
    public var prefix = "martlet:session:"
    /// The password; nil: it wants none.
    public var password: String?

    /// A server that wants to be told nothing.
    public init(address: Address) { self.address = address }
  }

  /// Their name.
  public var name: String
  /// Who keeps them.
  public var store = Store.memory(byteLimit: 64 << 20)
  /// The cookie; its lifetime says nothing.
  public var cookie = StickyCookie(name: "session")
  /// Whether browsers keep the cookie when they are closed.
  public var isPersistent = false
  /// What cookies are sealed with, and opened by each; none: a secret of this machine.
  public var keys: [String] = []
  /// How long after its last request a session ends.
  public var idleTime = Duration.seconds(1800)
  /// How long after its begin it ends in any case.
  public var absoluteTime = Duration.seconds(43_200)
  /// The most bytes of what is remembered in one.
  public var byteLimit = 4096

  /// Creates sessions that nothing is said of.
  public init(name: String) { self.name = name }
}
