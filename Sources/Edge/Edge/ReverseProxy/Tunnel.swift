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
    var bulk = Bulk(remaining: 0)
    while true {
      do throws(StreamError) {
        if bulk.isOn {
          bulk.took(try await splice(from: source, to: target, count))
          continue
        }
        let block = try await source.read(.body, by: idleUntil)
        idleUntil = client.loop.deadline(after: idleTime)
        guard !block.isEmpty else {
          target.shutdownWrite()
          return
        }
        do throws(StreamError) {
          try await target.write(block, by: idleUntil)
        } catch {
          // What it did not take in time is lost: the other direction's life is of no use.
          throw .cancelled
        }
        exchange[keyPath: count] &+= UInt64(block.count)
        bulk.took(block)
      } catch {
        // The other direction may have been busy meanwhile.
        if error == .timedOut, !client.loop.hasPassed(idleUntil) { continue }
        source.cancel()
        target.cancel()
        return
      }
    }
  }

  /// Passes a piece through a pipe, and returns how many bytes that were.
  ///
  /// With 0 there was no pipe, or the end has come, which the read that follows finds again.
  private func splice(
    from source: Stream,
    to target: Stream,
    _ count: ReferenceWritableKeyPath<Exchange, UInt64>
  ) async throws(StreamError) -> Int {
    guard var pipe = try await source.readPipe(upTo: .max, by: idleUntil) else { return 0 }
    idleUntil = client.loop.deadline(after: idleTime)
    let total = pipe.count
    defer { exchange[keyPath: count] &+= UInt64(total - pipe.count) }
    do throws(StreamError) {
      try await target.write(&pipe, pause: idleTime)
    } catch {
      throw .cancelled
    }
    return total
  }
}
