import Configuration
import Directives
import MartletLoop
import MartletSystem
import MartletTelemetry
import Synchronization

/// A named group of servers, compiled from the configuration: immutable, shared by all loops.
final class UpstreamPlan: Sendable {
  let name: String
  /// Its place in the generation.
  let index: Int
  /// The members, in the order written.
  let members: [Member]
  /// The figures of the members, in the same order.
  let metrics: [MemberMetrics]
  let wait: Histogram
  let retries: Counter
  let balance: Balance
  /// Whether a member may be full or without an address, so that each is asked before the choice.
  let mayExclude: Bool
  /// Whether the choice asks how many exchanges each member has.
  let needsActiveCounts: Bool
  let pooling: Pooling
  let host: UpstreamHost
  let resolveInterval: Duration

  /// How connections to members are kept between requests, on each loop.
  struct Pooling: Sendable {
    let idleCount: Int
    let idleTime: Timeout
    let age: Timeout
    let requestCount: Int
  }

  init(
    _ settings: UpstreamSettings,
    index: Int,
    stateDirectory: String,
    continuing previous: UpstreamPlan?,
    _ layout: inout MetricLayout.Builder
  ) {
    name = settings.name
    self.index = index
    members = settings.members.map { settings in
      let member = Member(settings, stateDirectory: stateDirectory)
      return previous?.members.first { $0.isSame(as: member) } ?? member
    }
    var metrics: [MemberMetrics] = []
    for member in members { metrics.append(MemberMetrics(settings.name, member.name, &layout)) }
    self.metrics = metrics
    wait = layout.histogram(EdgeMetrics.upstreamWait, [settings.name])
    retries = layout.counter(EdgeMetrics.retries, [settings.name])
    mayExclude = members.contains { $0.connectionLimit > 0 || $0.hasName }
    balance = settings.balance
    needsActiveCounts = settings.balance == .leastConnections
    pooling = Pooling(
      idleCount: settings.pool.idleCount,
      idleTime: Timeout(settings.pool.idleTime),
      age: Timeout(settings.pool.maxAge),
      requestCount: settings.pool.maxRequestCount
    )
    host = settings.host
    resolveInterval = settings.resolveInterval
  }
}

/// One server of an upstream, the same for all loops and, while it is configured, generations.
final class Member: Sendable {
  /// Where a member is found.
  enum Location: Hashable, Sendable {
    /// At an address.
    case address(SocketAddress)
    /// At the addresses that a name has now.
    case name(String, port: UInt16)
  }

  /// The member as written: `127.0.0.1:9001`, `api.internal:80`, `unix:/run/app.sock`.
  let name: String
  let location: Location
  /// Its share, 0 to 256; 0: no new requests.
  let weight: Int
  /// Whether it is used only when no other can be.
  let isBackup: Bool
  /// The most exchanges at once, over all loops; 0: no limit.
  let connectionLimit: Int
  /// The exchanges under way, over all loops.
  let active = Atomic<Int>(0)
  /// Counted up whenever ``addresses`` changes, so that loops need not lock to see that it did not.
  let addressVersion = Atomic<UInt32>(1)
  private let resolved: Mutex<[SocketAddress]>

  init(_ settings: MemberSettings, stateDirectory: String) {
    name = settings.address.description
    location = Location(settings.address, stateDirectory: stateDirectory)
    weight = settings.weight
    isBackup = settings.isBackup
    connectionLimit = settings.maxConnectionCount ?? 0
    if case .address(let address) = location {
      resolved = Mutex([address])
    } else {
      resolved = Mutex([])
    }
  }

  /// Whether `other` says the same in all that a configuration can say.
  func isSame(as other: Member) -> Bool {
    location == other.location && weight == other.weight && isBackup == other.isBackup
      && connectionLimit == other.connectionLimit
  }

  /// The addresses it has now; empty while its name does not resolve.
  var addresses: [SocketAddress] { resolved.withLock { $0 } }

  /// Gives the member the addresses that its name has now.
  ///
  /// - Returns: Whether they are others than before.
  func update(_ addresses: [SocketAddress]) -> Bool {
    let isChanged = resolved.withLock { current in
      guard current != addresses else { return false }
      current = addresses
      return true
    }
    if isChanged { addressVersion.add(1, ordering: .releasing) }
    return isChanged
  }

  /// Whether its addresses are those of a name, which may have none.
  var hasName: Bool { if case .name = location { true } else { false } }

  /// How many exchanges with it are under way.
  var activeCount: Int { active.load(ordering: .relaxed) }

  /// Whether as many exchanges are under way as may be.
  var isFull: Bool {
    connectionLimit > 0 && active.load(ordering: .relaxed) >= connectionLimit
  }
}

extension Member.Location {
  init(_ address: Address, stateDirectory: String) {
    switch address {
    case .unix: self = .address(.unix(address.unixPath(in: stateDirectory) ?? ""))
    case .name(let name, let port): self = .name(name, port: port)
    case .any(let port): self = .address(.ipv4(0x7F00_0001, port: port))
    case .ip(let host, let port): self = .address(SocketAddress(host, port: port))
    }
  }
}

extension SocketAddress {
  /// The address of a configuration as the system's.
  init(_ address: IPAddress, port: UInt16) {
    switch address {
    case .ipv4(let host): self = .ipv4(host, port: port)
    case .ipv6(let high, let low): self = .ipv6(high, low, port: port, scope: 0)
    }
  }
}
