import MartletLoop
import MartletNet

/// Passes bytes both ways after a switch of protocols, until both sides have ended.
///
/// A side that ends is told to the other as the end of its input; a side that breaks ends both. Only
/// when neither side has sent anything for the limit is the tunnel given up.
final class Tunnel {
  private let client: HTTP1Connection
  private let upstream: UpstreamConnection
  private let exchange: Exchange
  private let idleTime = Timeout(.seconds(3600))
  private var idleUntil: Deadline

  init(client: HTTP1Connection, upstream: UpstreamConnection, exchange: Exchange) {
    self.client = client
    self.upstream = upstream
    self.exchange = exchange
    idleUntil = client.loop.deadline(after: idleTime)
  }

  /// Passes bytes until the end; `fromClient` and `fromUpstream` came behind the heads.
  func run(_ early: consuming Lent, _ late: consuming Lent) async {
    guard let signal = Signal(on: client.loop) else { return }
    var isDone = false
    let back = late
    do throws(StreamError) {
      try await upstream.stream.write(early, by: client.loop.deadline(after: idleTime))
      try await client.stream.write(back, by: client.loop.deadline(after: idleTime))
    } catch {
      return
    }
    exchange.bytesReceived &+= UInt64(early.count)
    exchange.bytesSent &+= UInt64(back.count)
    client.loop.spawn {
      await self.pass(from: self.client.stream, to: self.upstream.stream, \.bytesReceived)
      isDone = true
      signal.set()
    }
    await pass(from: upstream.stream, to: client.stream, \.bytesSent)
    while !isDone { await signal.untilSet() }
  }

  private func pass(
    from source: Stream,
    to target: Stream,
    _ count: ReferenceWritableKeyPath<Exchange, UInt64>
  ) async {
    while true {
      do throws(StreamError) {
        let block = try await source.read(.body, by: idleUntil)
        idleUntil = client.loop.deadline(after: idleTime)
        guard !block.isEmpty else {
          target.shutdownWrite()
          return
        }
        try await target.write(block, by: idleUntil)
        exchange[keyPath: count] &+= UInt64(block.count)
      } catch {
        // The other direction may have been busy meanwhile.
        if error == .timedOut, !client.loop.hasPassed(idleUntil) { continue }
        source.cancel()
        target.cancel()
        return
      }
    }
  }
}
