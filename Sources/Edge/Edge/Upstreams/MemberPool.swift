import MartletLoop
import MartletNet
import MartletSystem
import MartletTelemetry
import Synchronization

/// The connections of one loop to one member.
final class MemberPool {
  let member: Member
  /// The member's place in its upstream.
  let index: Int
  private let plan: UpstreamPlan
  private let loop: EventLoop
  private var idle: [UpstreamConnection] = []
  private var addresses: [SocketAddress] = []
  let metrics: MemberMetrics
  private var addressVersion: UInt32 = 0
  private var nextAddress = 0

  init(_ member: Member, index: Int, plan: UpstreamPlan, loop: EventLoop) {
    self.member = member
    self.index = index
    self.plan = plan
    metrics = plan.metrics[index]
    self.loop = loop
  }

  /// Takes over the idle connections of a pool that is given up.
  func adopt(from other: MemberPool) {
    swap(&idle, &other.idle)
  }

  /// How many connections are idle.
  var idleCount: Int { idle.count }

  /// Whether the member has an address.
  var isResolved: Bool {
    if case .address = member.location { return true }
    refreshAddresses()
    return !addresses.isEmpty
  }

  private func refreshAddresses() {
    let version = member.addressVersion.load(ordering: .acquiring)
    guard version != addressVersion else { return }
    addressVersion = version
    addresses = member.addresses
    // A connection to an address that the name no longer has is not used again.
    idle.removeAll { !addresses.contains($0.peer) }
  }

  /// Notes that an exchange with the member begins.
  func begin() { member.active.add(1, ordering: .relaxed) }

  /// Notes that an exchange with the member ended.
  func end() { member.active.subtract(1, ordering: .relaxed) }

  /// An idle connection that is still good, the one used last first.
  ///
  /// With `certain` the kernel is asked whether the member has closed it meanwhile: for requests
  /// that may not be sent twice.
  func takeIdle(certain: Bool) -> UpstreamConnection? {
    while let connection = idle.popLast() {
      if connection.stream.hasEvent || loop.hasPassed(connection.oldest) { continue }
      if certain, connection.stream.hasEventNow() { continue }
      connection.requestCount &+= 1
      return connection
    }
    return nil
  }

  /// Opens a connection; a member with several addresses gets them in turn.
  ///
  /// - Throws: ``ExchangeError``, which may always be retried: nothing was sent.
  func open(by deadline: Deadline) async throws(ExchangeError) -> UpstreamConnection {
    refreshAddresses()
    guard !addresses.isEmpty else {
      throw ExchangeError(
        .upstreamConnectFailed,
        retry: .always,
        detail: "\(member.name) has no address"
      )
    }
    nextAddress = (nextAddress &+ 1) % addresses.count
    let address = addresses[nextAddress]
    do throws(StreamError) {
      let stream = try await Stream.connect(to: address, on: loop, by: deadline)
      return UpstreamConnection(
        stream: stream,
        peer: address,
        oldest: loop.deadline(after: plan.pooling.age)
      )
    } catch {
      switch error {
      case .timedOut:
        throw ExchangeError(.upstreamConnectTimeout, retry: .always, detail: "\(address)")
      case .cancelled:
        throw ExchangeError(.clientClosed)
      case .failed(let error):
        throw ExchangeError(.upstreamConnectFailed, retry: .always, detail: "\(address): \(error)")
      }
    }
  }

  /// Takes back a connection that can carry another request.
  func giveBack(_ connection: UpstreamConnection) {
    guard
      idle.count < plan.pooling.idleCount, connection.requestCount < plan.pooling.requestCount,
      !connection.stream.hasEvent
    else { return }
    connection.idleUntil = loop.deadline(after: plan.pooling.idleTime)
    idle.append(connection)
  }

  /// Closes connections that were idle too long, are too old, or were closed by the member.
  func sweep() {
    idle.removeAll { connection in
      connection.stream.hasEvent || loop.hasPassed(connection.idleUntil)
        || loop.hasPassed(connection.oldest)
    }
  }

  /// Closes all idle connections.
  func closeIdle() { idle.removeAll() }
}
