public import Handover
public import MartletSystem

/// What a configuration asks of the supervisor, and what it hands on to the edge.
public struct Assignment: Sendable {
  /// The configuration in the form that the edge reads.
  public var source: [UInt8]
  /// Where the edge is to listen.
  public var listeners: [ListenerDemand]
  /// The log files.
  public var logs: [LogDemand]
  /// How long requests may go on when the edge is to end.
  public var drainLimit: Duration
  /// How long the loops of the edge may stand still until it is replaced; nil: for ever.
  public var hangLimit: Duration?
  /// What is legal but surely not meant.
  public var warnings: [String]
  /// The applications that are run.
  public var applications: [ApplicationDemand] = []

  /// Creates an assignment.
  public init(
    source: [UInt8],
    listeners: [ListenerDemand],
    logs: [LogDemand] = [],
    drainLimit: Duration = .seconds(30),
    hangLimit: Duration? = .seconds(10),
    warnings: [String] = []
  ) {
    self.source = source
    self.listeners = listeners
    self.logs = logs
    self.drainLimit = drainLimit
    self.hangLimit = hangLimit
    self.warnings = warnings
  }
}

/// One address to listen on.
public struct ListenerDemand: Hashable, Sendable {
  /// Where it is.
  public enum Place: Hashable, Sendable {
    /// A port on every address of the machine, IPv4 and IPv6.
    case anywhere(port: UInt16)
    /// One address.
    case at(SocketAddress)
  }

  /// The address as the configuration writes it; the edge knows the socket by it.
  public var key: String
  /// Where it is.
  public var place: Place
  /// How many connections may wait to be accepted.
  public var backlog: Int32
  /// Whether other processes of the same user may listen there too.
  public var sharesPort: Bool
  /// Whether it is a socket for datagrams; nil: one for connections.
  public var datagrams: Sharing?

  /// A socket for datagrams shares its address with those of other loops, but with no other program.
  public enum Sharing: Hashable, Sendable {
    /// The first one, for which nobody may have the address.
    case first
    /// A further one, beside that.
    case beside
  }

  /// Creates a demand.
  public init(
    key: String,
    place: Place,
    backlog: Int32 = 4096,
    sharesPort: Bool = false,
    datagrams: Sharing? = nil
  ) {
    self.key = key
    self.place = place
    self.backlog = backlog
    self.sharesPort = sharesPort
    self.datagrams = datagrams
  }
}

/// One log file.
public struct LogDemand: Hashable, Sendable {
  /// The name by which the edge knows the log.
  public var key: String
  /// The file.
  public var path: String
  /// Whether nobody else may read it, if it is made.
  public var isSecret: Bool

  /// Creates a demand.
  public init(key: String, path: String, isSecret: Bool = false) {
    self.key = key
    self.path = path
    self.isSecret = isSecret
  }
}

/// What became of the files of a configuration.
public struct WrittenChanges: Hashable, Sendable {
  /// What is different, as `diff -u` writes it.
  public var diff: String
  /// The files that are different.
  public var names: [String]

  /// Creates the outcome of writing.
  public init(diff: String, names: [String]) {
    self.diff = diff
    self.names = names
  }
}

/// How a supervisor is run.
public struct SupervisorOptions: Sendable {
  /// Where the control socket and the lock are.
  public var stateDirectory: String
  /// The edge: it finds its end of the handover channel at descriptor 3.
  public var edge: Program
  /// The program that an upgrade executes in the supervisor's place, with its arguments.
  public var successor: Program
  /// Arguments with which the successor must end with code 0 before it is executed.
  public var probes: [[String]]
  /// How long an edge may take until it serves.
  public var readyLimit: Duration
  /// The version to show.
  public var version: String
  /// What the configuration is called: changes are kept for it alone.
  public var configurationName: String
  /// Reads and checks the configuration.
  public var load: @Sendable () throws(CommandFailure) -> Assignment
  /// Writes changes that were made at run time, in a generation, into the configuration that was read
  /// as these bytes; a trial writes nothing.
  public var write:
    @Sendable (_ changes: RuntimeState, _ generation: UInt64, _ source: [UInt8], _ isTrial: Bool)
      throws(CommandFailure) -> WrittenChanges
  /// Takes a line for people: what happened.
  public var say: @Sendable (String) -> Void
  /// Called once the first edge serves, with the addresses.
  public var started: @Sendable ([String]) -> Void

  /// Creates the options of a supervisor.
  public init(
    stateDirectory: String,
    edge: Program,
    successor: Program,
    probes: [[String]] = [["--version"]],
    readyLimit: Duration = .seconds(30),
    version: String = "",
    configurationName: String = "",
    load: @escaping @Sendable () throws(CommandFailure) -> Assignment,
    write:
      @escaping @Sendable (RuntimeState, UInt64, [UInt8], Bool) throws(CommandFailure)
      -> WrittenChanges = { _, _, _, _ in WrittenChanges(diff: "", names: []) },
    say: @escaping @Sendable (String) -> Void,
    started: @escaping @Sendable ([String]) -> Void = { _ in }
  ) {
    self.stateDirectory = stateDirectory
    self.edge = edge
    self.successor = successor
    self.probes = probes
    self.readyLimit = readyLimit
    self.version = version
    self.configurationName = configurationName
    self.load = load
    self.write = write
    self.say = say
    self.started = started
  }
}
