public import Directives

/// How members are asked, again and again, whether they serve.
public struct CheckSettings: Hashable, Sendable {
  /// What is said to a member.
  public enum Kind: String, Hashable, Sendable, CaseIterable {
    /// A connection, and a text each way where one is given.
    case tcp
    /// A request of HTTP/1.1.
    case http
    /// The first message of a TLS handshake.
    case tls
    /// An echo request of ICMP.
    case icmp
    /// A datagram.
    case udp
    /// `PING`.
    case redis
    /// The first message of a session.
    case postgresql
    /// Nothing: the server greets.
    case mysql
    /// A call of gRPC to the health service.
    case grpc
    /// A program of this machine.
    case script
  }

  /// What a request of HTTP says, and what its answer has to.
  public struct HTTP: Hashable, Sendable {
    /// The method.
    public var method = "GET"
    /// The path with its query.
    public var path = "/"
    /// The host that is asked for; nil: the member's address.
    public var host: String?
    /// Further fields.
    public var fields: [Field] = []
    /// The statuses that pass.
    public var statuses: [StatusRange] = []
    /// A text that the body must have in it, in which `*` stands for anything.
    public var body: String?

    /// Creates the request of a check that is told nothing.
    public init() {}
  }

  /// A field of a request.
  public struct Field: Hashable, Sendable {
    /// Its name.
    public var name: String
    /// Its value.
    public var value: String

    /// Creates a field.
    public init(name: String, value: String) {
      self.name = name
      self.value = value
    }
  }

  /// What is said.
  public var kind: Kind
  /// From the beginning of one check to that of the next, while the member is up.
  public var interval = Duration.seconds(2)
  /// The same while the member is on its way up or down; nil: `interval`.
  public var fastInterval: Duration?
  /// The same while the member is down; nil: `interval`.
  public var downInterval: Duration?
  /// By how many percent an interval may be longer or shorter, by chance.
  public var jitterPercent = 10
  /// How many checks one behind the other must pass until a member that is down is up.
  public var rise = 2
  /// How many checks one behind the other must fail until a member that is up is down.
  public var fall = 3
  /// How long a check may take.
  public var timeout = Duration.seconds(1)
  /// The port that is asked in place of the member's.
  public var port: UInt16?
  /// The address that is asked in place of the member's.
  public var address: IPAddress?
  /// Whether the connection stays open between two checks.
  public var keepsConnection = false
  /// For `http`.
  public var http = HTTP()
  /// What is sent, for `tcp` and `udp`.
  public var send: [UInt8] = []
  /// A text that the answer must have in it, for `tcp` and `udp`; `*` in it stands for anything.
  public var expect: String?
  /// The service that is asked about, for `grpc`; nil: the server as a whole.
  public var service: String?
  /// The name that is asked for, for `tls` and `grpc`.
  public var serverName: String?
  /// The user of the session, for `postgresql`.
  public var user = "martlet"
  /// The program with its arguments, for `script`.
  public var command: [String] = []

  /// Creates the settings of a check that is told nothing.
  public init(_ kind: Kind) { self.kind = kind }

  /// What passes where `status` says nothing.
  public static let usualStatuses = [StatusRange(200...399)]
}

/// Statuses of HTTP from one to another.
public struct StatusRange: Hashable, Sendable {
  /// The first and the last.
  public var bounds: ClosedRange<UInt16>

  /// Creates a range.
  public init(_ bounds: ClosedRange<UInt16>) { self.bounds = bounds }
}

/// When a member is taken out of service for what its answers were, and for how long.
public struct EjectSettings: Hashable, Sendable {
  /// So many failures one behind the other; nil: any number.
  public var failureCount: Int? = 5
  /// So many percent of the requests of a window; nil: any share.
  public var failurePercent: Int?
  /// How far the share of successes may lie below the others', in thousandths of their standard
  /// deviation; nil: any distance.
  public var deviationThousandths: Int?
  /// The statuses that count as a failure, besides what is no answer at all.
  public var statuses: [StatusRange] = []
  /// The fewest requests of a window of which a share is told.
  public var leastRequestCount = 20
  /// The fewest members that are compared with each other.
  public var leastMemberCount = 3
  /// How long requests are counted until they are judged.
  public var window = Duration.seconds(10)
  /// How long the first ejection takes; each further one takes twice as long.
  public var time = Duration.seconds(30)
  /// The longest ejection.
  public var longestTime = Duration.seconds(300)
  /// How many percent of the members may be ejected at once.
  public var largestPercent = 50

  /// Creates the settings of an `eject` that is told nothing.
  public init() {}

  /// What counts as a failure where `status` says nothing.
  public static let usualStatuses = [StatusRange(500...599)]
}
