import Balancing
public import Directives
public import MartletSystem
import OutlierDetection
import Synchronization

/// One server of an upstream: the same object for all loops and, while it is configured, for all
/// generations.
///
/// What a configuration says of it, such as its weight, is in ``MemberPlan``; here is what happens to
/// it. Whoever finds something out calls ``change(at:_:)``, from any thread; loops see it with the
/// next request.
public final class Member: Sendable {
  /// Where a member is found.
  public enum Location: Hashable, Sendable {
    /// At an address.
    case address(SocketAddress)
    /// At the addresses that a name has now.
    case name(String, port: UInt16)
  }

  /// The member as written: `127.0.0.1:9001`, `api.internal:80`, `unix:/run/app.sock`.
  public let name: String
  /// Where it is found.
  public let location: Location
  /// What no other present member of its upstream has; small.
  public let number: Int
  /// The exchanges under way, over all loops.
  let active = Atomic<Int>(0)
  /// Counted up whenever ``addresses`` changes, so that loops need not lock to see that it did not.
  let addressVersion = Atomic<UInt32>(1)
  private let resolved: Mutex<[SocketAddress]>
  private let times = Atomic<UInt64>(0)
  private let stateBits: Atomic<UInt64>
  private let reported = Mutex<CheckReport?>(nil)
  private let ejected = Mutex(Ejections.MemberRecord())
  /// What its requests came to.
  let outlier = OutlierRecord()
  private let version: UpstreamVersion

  init(
    _ name: String,
    at location: Location,
    number: Int,
    version: UpstreamVersion,
    upSince: Int64
  ) {
    self.name = name
    self.location = location
    self.number = number
    self.version = version
    var state = MemberState()
    state.upSince = upSince
    stateBits = Atomic(state.bits)
    if case .address(let address) = location {
      resolved = Mutex([address])
    } else {
      resolved = Mutex([])
    }
  }

  // MARK: State

  /// What is known of it now.
  public var state: MemberState { MemberState(bits: stateBits.load(ordering: .relaxed)) }

  /// Changes the state, and lets all loops know if it is another one then.
  ///
  /// `now` is the monotonic clock's; a member that may be used again is up since then. `body` may run
  /// several times, when others change the state too.
  ///
  /// - Returns: Whether the state is another one.
  @discardableResult
  public func change(at now: Int64, _ body: (inout MemberState) -> Void) -> Bool {
    var bits = stateBits.load(ordering: .relaxed)
    while true {
      let before = MemberState(bits: bits)
      var state = before
      body(&state)
      if state.isUsable, !before.isUsable { state.upSince = now }
      guard state.bits != bits else { return false }
      let (isDone, found) = stateBits.compareExchange(
        expected: bits,
        desired: state.bits,
        ordering: .relaxed
      )
      if isDone { break }
      bits = found
    }
    version.noteChange()
    return true
  }

  /// Begins anew, as a member of which nothing is known.
  func forget() {
    let now = SystemClock.monotonicNanoseconds()
    change(at: now) {
      $0 = MemberState()
      $0.upSince = now
    }
  }

  /// What checks have found out last; nil when nobody checks it.
  public var checkReport: CheckReport? { reported.withLock { $0 } }

  /// Shows what checks have found out.
  func show(_ report: CheckReport?) { reported.withLock { $0 = report } }

  /// Its last ejection.
  var ejection: Ejections.MemberRecord {
    get { ejected.withLock { $0 } }
    set { ejected.withLock { $0 = newValue } }
  }

  // MARK: Addresses

  /// The addresses it has now; empty while its name does not resolve.
  public var addresses: [SocketAddress] { resolved.withLock { $0 } }

  /// Whether it has an address.
  var isResolved: Bool { resolved.withLock { !$0.isEmpty } }

  /// Gives the member the addresses that its name has now.
  ///
  /// - Returns: Whether they are others than before.
  func update(_ addresses: [SocketAddress]) -> Bool {
    let change = resolved.withLock { current -> (isChanged: Bool, wasEmpty: Bool) in
      guard current != addresses else { return (false, false) }
      defer { current = addresses }
      return (true, current.isEmpty)
    }
    guard change.isChanged else { return false }
    addressVersion.add(1, ordering: .releasing)
    if change.wasEmpty != addresses.isEmpty { version.noteChange() }
    return true
  }

  /// Whether its addresses are those of a name, which may have none.
  var hasName: Bool { if case .name = location { true } else { false } }

  // MARK: Exchanges

  /// How many exchanges with it are under way.
  public var activeCount: Int { active.load(ordering: .relaxed) }

  /// Notes that an exchange begins.
  func begin() { active.wrappingAdd(1, ordering: .relaxed) }

  /// Notes that an exchange begins, unless `limit` are under way already, over all loops.
  func begin(within limit: Int) -> Bool {
    var count = active.load(ordering: .relaxed)
    while count < limit {
      let (isDone, found) = active.weakCompareExchange(
        expected: count,
        desired: count + 1,
        ordering: .relaxed
      )
      if isDone { return true }
      count = found
    }
    return false
  }

  // MARK: Response times

  /// How long it took for its answers, as far as that is noted.
  var responseTime: ResponseTime { ResponseTime(bits: times.load(ordering: .relaxed)) }

  /// Notes how long it took for an answer, or until it failed; of two at once one may be lost.
  func noteTime(_ change: (ResponseTime) -> ResponseTime) {
    times.store(change(responseTime).bits, ordering: .relaxed)
  }

  // MARK: The end of exchanges

  /// Notes that an exchange ended.
  func end() { active.wrappingSubtract(1, ordering: .relaxed) }
}

extension Member.Location {
  /// The place of an address, with relative Unix sockets in `stateDirectory`.
  public init(_ address: Address, stateDirectory: String) {
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
