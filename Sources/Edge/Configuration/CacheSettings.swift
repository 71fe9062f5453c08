/// A store of answers in memory, which routes name.
public struct CacheSettings: Hashable, Sendable {
  /// Its name.
  public var name: String
  /// How many bytes it may hold, of answers that are being received too.
  public var memoryBytes = 256 << 20
  /// How large the body of an answer may be that is kept; nil: a sixteenth of the memory.
  public var objectBytes: Int?
  /// How long a key may be: scheme, host, path and query.
  public var keyBytes = 8 << 10
  /// How many answers are kept for one key, which differ in what `Vary` names.
  public var variantCount = 32

  /// Where answers are kept behind the memory; nil: nowhere.
  public var disk: CacheDiskSettings?

  /// Creates the settings of a store.
  public init(name: String) { self.name = name }

  /// How large the body of an answer may be that is kept.
  public var objectLimit: Int { objectBytes ?? max(memoryBytes / 16, 1 << 16) }
}

/// Where answers are kept behind the memory.
public struct CacheDiskSettings: Hashable, Sendable {
  /// The folder in which the store has its own, by its name.
  public var path: String
  /// How many bytes its files may have.
  public var byteLimit: Int

  /// Creates settings.
  public init(path: String, byteLimit: Int) {
    self.path = path
    self.byteLimit = byteLimit
  }
}

/// What a route keeps of the answers of its upstream, and when it sends that.
public struct RouteCacheSettings: Hashable, Sendable {
  /// The name of its store.
  public var store: String
  /// How long answers are fresh that do not say so.
  public var times: [CacheTime] = []
  /// For how long a stale answer is sent while it is validated, where it does not say so.
  public var staleWhileRevalidate = Duration.zero
  /// For how long a stale answer is sent when the upstream fails, where it does not say so.
  public var staleIfError = Duration.zero
  /// Whether what clients say of kept answers counts.
  public var client = CacheClientRule.honored
  /// What becomes of answers that set cookies.
  public var cookies = CacheCookieRule.public
  /// How many bytes of the store its answers may take; nil: as many as there are.
  public var quota: Int?
  /// What of a request tells answers apart.
  public var key = CacheKeySettings()
  /// The methods besides GET whose answers are kept, by what their bodies are.
  public var bodyMethods: [CacheBodyMethod] = []
  /// How long such a body may be.
  public var bodyLimit = 64 << 10
  /// What is asked for when a part is wanted that is not there.
  public var ranges = CacheRangeRule.whole
  /// How long requests do not wait for each other after an answer that could not be kept.
  public var passTime = Duration.seconds(30)
  /// Whether answers say what the cache did: `Cache-Status`.
  public var showsStatus = true

  /// Creates the settings of a route that keeps answers in the store of this name.
  public init(store: String) { self.store = store }
}

/// What of a request tells answers apart.
public struct CacheKeySettings: Hashable, Sendable {
  /// Which parameters of the query do.
  public enum Query: Hashable, Sendable {
    /// All of them.
    case all
    /// None of them.
    case none
    /// Those with these names; `*` at the end of one stands for anything.
    case only([String])
    /// All but those with these names.
    case except([String])
  }

  /// Which parameters of the query do.
  public var query = Query.all
  /// The names of fields that do, in small letters.
  public var fields: [String] = []
  /// The names of cookies that do.
  public var cookies: [String] = []

  /// Creates the settings by which the whole URL does, and nothing else.
  public init() {}
}

/// What is asked for when a part is wanted that is not there.
public enum CacheRangeRule: Hashable, Sendable {
  /// All of it.
  case whole
  /// The part.
  case asked
  /// The slices of so many bytes that the part is in.
  case slices(Int)
}

/// A method whose answers may be kept under keys that know the body.
public enum CacheBodyMethod: String, Hashable, Sendable, CaseIterable {
  /// QUERY.
  case query = "QUERY"
  /// POST.
  case post = "POST"
}

/// How long answers of a status are fresh that do not say so.
public struct CacheTime: Hashable, Sendable {
  /// The status; nil: any.
  public var status: Int?
  /// How long.
  public var time: Duration

  /// Creates a time.
  public init(status: Int?, time: Duration) {
    self.status = status
    self.time = time
  }
}

/// Whether what clients say of kept answers counts.
public enum CacheClientRule: String, Hashable, Sendable, CaseIterable {
  /// It does, as RFC 9111, section 5.2.1, says.
  case honored
  /// It does not: a client cannot make the upstream work.
  case ignored
}

/// What becomes of answers that set cookies.
public enum CacheCookieRule: String, Hashable, Sendable, CaseIterable {
  /// They are kept if they say that they are meant for all: by `public` or `s-maxage`.
  case `public`
  /// They are not kept.
  case refuse
  /// They are kept without their cookies.
  case remove
  /// They are kept.
  case keep
}
