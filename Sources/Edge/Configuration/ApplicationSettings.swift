/// An application that Martlet runs in processes of its own.
public struct ApplicationSettings: Hashable, Sendable {
  /// The interface by which it is called.
  public enum Interface: String, Hashable, Sendable, CaseIterable {
    /// WSGI, PEP 3333.
    case wsgi
    /// ASGI 3.
    case asgi
  }

  /// How it is called.
  public var interface = Interface.wsgi
  /// What is called, as `MODULE:NAME`.
  public var target = ""
  /// Where it runs; nil: where Martlet was started.
  public var folder: String?
  /// The interpreter; nil: the first `python3` of `PATH`.
  public var interpreter: String?
  /// The user with whose rights it runs; nil: the one that started Martlet.
  public var user: String?
  /// The group with whose rights it runs; nil: the user's.
  public var group: String?
  /// What is added to its environment, in this order.
  public var environment: [EnvironmentEntry] = []
  /// How many processes run it: as its load asks, within these bounds.
  public var processCounts = 2...2
  /// For how long there must have been too many processes until one is ended.
  public var idleTime = Duration.seconds(60)
  /// How many requests each of them answers at once; nil: as many as is usual.
  public var concurrency: Int?
  /// How many requests each of them answers at once, as it is said or as is usual for its interface.
  public var threadCount: Int { concurrency ?? (interface == .asgi ? 100 : 4) }
  /// How many more requests a process has in hand that is quick.
  public var aheadCount = 3
  /// Whether it is given a request before all of its body has come.
  public var streamsBodies = false
  /// How many requests may wait for a process.
  public var queueLength = 1024
  /// How long a request may wait for a process.
  public var queueTime = Duration.seconds(30)
  /// How long a request may take until its process is ended; nil: as long as it likes.
  public var requestTime: Duration?
  /// After how many requests a process is replaced; nil: never.
  public var requestLimit: Int?
  /// At what age a process is replaced; nil: never.
  public var ageLimit: Duration?
  /// With how many bytes of memory a process is replaced; nil: never.
  public var memoryLimit: Int?
  /// Whether the application is loaded once, and its processes are copies of the one that has.
  public var preloads = false
  /// Whether processes are replaced when a file of the application changes.
  public var reloads = false

  /// Creates the settings of an application of which nothing is said.
  public init() {}
}

/// A variable of an environment.
public struct EnvironmentEntry: Hashable, Sendable {
  /// Its name.
  public var name: String
  /// Its value.
  public var value: String

  /// Creates a variable.
  public init(name: String, value: String) {
    self.name = name
    self.value = value
  }
}
