public import MartletSystem

/// Processes that are to run, and what happens when one of them ends.
public struct SupervisionPlan: Sendable {
  /// Which others are started anew with one that has ended.
  public enum Strategy: Hashable, Sendable {
    /// None.
    case oneForOne
    /// All: they make sense together alone.
    case oneForAll
    /// Those that stand behind it: they need those before them.
    case restForOne
  }

  /// When one is started anew that has ended by itself.
  public enum Restart: Hashable, Sendable {
    /// However it ended.
    case always
    /// When it ended by a signal, or with another code than 0.
    case afterFailure
    /// Never.
    case never
  }

  /// How often something may be started anew before the whole gives up.
  public struct Intensity: Hashable, Sendable {
    /// How often.
    public var restarts: Int
    /// In what time.
    public var period: Duration

    /// Five times in ten seconds, if nothing else is said.
    public init(restarts: Int = 5, period: Duration = .seconds(10)) {
      self.restarts = restarts
      self.period = period
    }
  }

  /// One that is to run.
  public struct Child: Sendable {
    enum Kind: Sendable {
      case process(Program)
      case tree(SupervisionPlan)
    }

    /// What it is called in reports.
    public var name: String
    /// When it is started anew.
    public var restart: Restart
    /// How long it may take to end once it was told to; then it is killed.
    public var stopLimit: Duration
    let kind: Kind

    /// A process; it leads a group of its own, and is killed when the loop's thread ends.
    public static func process(
      _ name: String,
      _ program: Program,
      restart: Restart = .always,
      stopLimit: Duration = .seconds(5)
    ) -> Child {
      Child(name: name, restart: restart, stopLimit: stopLimit, kind: .process(program))
    }

    /// Several under a plan of their own; it fails when that gives up.
    public static func tree(
      _ name: String,
      _ plan: SupervisionPlan,
      restart: Restart = .always
    ) -> Child { Child(name: name, restart: restart, stopLimit: .seconds(60), kind: .tree(plan)) }
  }

  /// Which others are started anew.
  public var strategy: Strategy
  /// How often.
  public var intensity: Intensity
  /// What is to run, in the order in which it is started; it is stopped in the other.
  public var children: [Child]

  /// Creates a plan.
  public init(
    _ strategy: Strategy = .oneForOne,
    intensity: Intensity = Intensity(),
    children: [Child]
  ) {
    self.strategy = strategy
    self.intensity = intensity
    self.children = children
  }
}

/// What has happened among supervised processes.
public enum SupervisionReport: Hashable, Sendable {
  /// A process was started.
  case started(name: String, process: Int32)
  /// One has ended by itself.
  case ended(name: String, ProcessEnd)
  /// One could not be started.
  case notStarted(name: String, SystemError)
  /// One was stopped, with another that is started anew, or with all.
  case stopped(name: String)
  /// Those below this one were started anew too often.
  case gaveUp(name: String)
}

/// How supervision has ended.
public enum SupervisionOutcome: Hashable, Sendable {
  /// It was told to.
  case stopped
  /// All have ended that are not started anew.
  case finished
  /// Something had to be started anew too often.
  case gaveUp(name: String)
}
