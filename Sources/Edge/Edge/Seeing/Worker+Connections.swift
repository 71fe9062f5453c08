import Directives
import MartletLoop
import MartletNet
import MartletSystem
import MartletTelemetry

/// A connection of a client, as whoever looks at connections sees it.
protocol ClientConnection: AnyObject {
  /// What no other connection of its loop has had.
  var number: UInt64 { get }
  /// The listener's address as written.
  var listenerKey: String { get }
  /// What is spoken on it.
  var transport: String { get }
  var peer: SocketAddress { get }
  /// Nanoseconds of the loop's clock.
  var openedAt: Int64 { get }
  var requestCount: Int { get }
  var isIdle: Bool { get }
  /// Where the request that is under way, or the connection itself, is sent.
  var upstreamName: String? { get }
  var memberName: String? { get }
}

// What is open on one loop, for whoever asks.
extension Worker {
  /// The connections that meet `filter` and whose numbers are larger than `number`, the oldest first.
  ///
  /// - Complexity: O(*n* log *n*) in the connections of the loop.
  func views(
    _ filter: ConnectionFilter,
    after number: UInt64,
    limit: Int
  ) -> [ConnectionView] {
    let streams = allRelays.compactMap { $0 as? StreamConnection }
    let all: [any ClientConnection] =
      connections.compactMap(\.self) + streams + flows.compactMap(\.self)
      + http2.compactMap(\.self)
    return all.filter { $0.number > number && meets($0, filter) }
      .sorted { $0.number < $1.number }.prefix(limit).map(view)
  }

  private func meets(_ connection: any ClientConnection, _ filter: ConnectionFilter) -> Bool {
    if let ids = filter.ids,
      !ids.contains(ConnectionID(loop: index, number: connection.number))
    {
      return false
    }
    if let listener = filter.listener, listener != connection.listenerKey { return false }
    if let clients = filter.clients {
      guard let words = connection.peer.hostWords, clients.contains(words: words) else {
        return false
      }
    }
    if filter.isIdle, !connection.isIdle { return false }
    if let age = filter.olderThan, .nanoseconds(loop.now - connection.openedAt) <= age {
      return false
    }
    if let upstream = filter.upstream, upstream != connection.upstreamName { return false }
    if let member = filter.member, member != connection.memberName { return false }
    return true
  }

  private func view(_ connection: any ClientConnection) -> ConnectionView {
    ConnectionView(
      id: ConnectionID(loop: index, number: connection.number),
      listener: connection.listenerKey,
      transport: connection.transport,
      client: connection.peer.description,
      age: .nanoseconds(max(0, loop.now - connection.openedAt)),
      requestCount: connection.requestCount,
      isIdle: connection.isIdle,
      upstream: connection.upstreamName,
      member: connection.memberName
    )
  }

  /// Ends the connections that meet `filter`: at once, or with `softly` once the request that is under
  /// way has its answer; a connection of layer 4 and a flow of datagrams have none to wait for, and stay
  /// then.
  ///
  /// - Returns: How many.
  func close(_ filter: ConnectionFilter, softly: Bool) -> Int {
    let met = connections.compactMap(\.self).filter { meets($0, filter) }
    var pending: [HTTP1Connection] = []
    for connection in met {
      if connection.isIdle {
        forget(connection)
      } else if softly {
        connection.endsSoon = true
        connection.current?.closesClient = true
      } else {
        pending.append(connection)
      }
    }
    if !pending.isEmpty {
      let worker = self
      for connection in pending { connection.cut() }
      loop.spawn(named: "cut connections") { await worker.cutAgain(pending) }
    }
    let multiplexed = http2.compactMap(\.self).filter { meets($0, filter) }
    for connection in multiplexed {
      if softly { connection.shutDown() } else { connection.close() }
    }
    guard !softly else { return met.count + multiplexed.count }
    let streams = allRelays.compactMap { $0 as? StreamConnection }.filter { meets($0, filter) }
    for stream in streams { stream.end(.cut) }
    let cut = flows.compactMap(\.self).filter { meets($0, filter) }
    for flow in cut { flow.listener.end(flow, .cut) }
    return met.count + multiplexed.count + streams.count + cut.count
  }

  /// An exchange may go on to its next wait when one was ended: it is told again until it is over.
  private func cutAgain(_ connections: [HTTP1Connection]) async {
    var left = connections
    for _ in 0..<Self.cutCount {
      do throws(WaitError) { try await loop.sleep(for: Self.cutPause) } catch { return }
      left.removeAll { connection in
        self.connection(of: connection.stream.descriptor) !== connection
      }
      if left.isEmpty { return }
      for connection in left { connection.cut() }
    }
  }

  private static let cutCount = 40
  private static let cutPause = Duration.milliseconds(50)
}

extension HTTP1Connection: ClientConnection {
  var listenerKey: String { acceptor.plan.key }
  var transport: String { tls == nil ? "http/1.1" : "http/1.1 over tls" }
  var upstreamName: String? {
    current.flatMap { $0.route?.upstream ?? $0.route?.cache?.upstream }?.name
  }

  var memberName: String? { current?.member?.name }

  /// Ends what it waits for, as if the client had left.
  fileprivate func cut() {
    isCut = true
    endsSoon = true
    for relay in worker.allRelays where relay.client === stream { return relay.end(.cut) }
    stream.shutdownRead()
    stream.cancel()
    loop.cancelLinked(to: stream.descriptor)
  }
}

extension StreamConnection: ClientConnection {
  var listenerKey: String { plan.listener }
  var transport: String { "tcp" }
  var openedAt: Int64 { startedAt }
  var requestCount: Int { 0 }
  var isIdle: Bool { false }
  var upstreamName: String? { upstream?.plan.name ?? plan.upstream.name }
  var memberName: String? { pool?.member.name }
}

extension UDPFlow: ClientConnection {
  var listenerKey: String { listener.plan.key }
  var transport: String { "udp" }
  var peer: SocketAddress { key.client.address }
  var openedAt: Int64 { startedAt }
  var requestCount: Int { Int(clamping: datagramCount) }
  var isIdle: Bool { !isAwaiting }
  var upstreamName: String? { plan.upstream.name }
  var memberName: String? { pool?.member.name }
}
