public import Directives

/// A `udp` block: datagrams that are passed to an upstream, and their replies back.
public struct UDPSettings: Hashable, Sendable {
  /// Where it listens.
  public var listeners: [Address]
  /// The name of the upstream.
  public var upstream: String
  /// How long a flow may be without a datagram in either direction.
  public var flowTimeout: Duration
  /// How many replies each datagram of a client has, after which its flow is over; nil: any number.
  public var replyCount: Int?
  /// How many flows there may be at once, all loops together.
  public var maxFlowCount: Int
  /// What flows and datagrams have to pass, in this order.
  public var limits: [LimitSettings]
  /// Where flows are recorded; nil records none.
  public var accessLog: AccessLogSettings?

  /// Creates the settings of a block that is told nothing.
  public init(
    listeners: [Address] = [],
    upstream: String = "",
    flowTimeout: Duration = .seconds(30),
    replyCount: Int? = nil,
    maxFlowCount: Int = 16_384,
    limits: [LimitSettings] = [],
    accessLog: AccessLogSettings? = nil
  ) {
    self.listeners = listeners
    self.upstream = upstream
    self.flowTimeout = flowTimeout
    self.replyCount = replyCount
    self.maxFlowCount = maxFlowCount
    self.limits = limits
    self.accessLog = accessLog
  }

  /// What logs and metrics call a listener: `udp :53`.
  public static func key(of address: Address) -> String { "udp \(address)" }

  /// What names the socket of a loop in messages between processes: each loop has its own.
  public static func key(of address: Address, loop: Int) -> String { "udp \(address) \(loop)" }
}
