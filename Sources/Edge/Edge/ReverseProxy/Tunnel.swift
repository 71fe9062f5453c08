import MartletLoop
import MartletNet
import MartletTelemetry

/// What an exchange becomes after a switch of protocols: bytes pass both ways until both sides have
/// ended, or neither has sent anything for the limit.
final class Tunnel: Relay {
  private let exchange: Exchange
  private let signal: Signal
  private var isDone = false

  /// - Returns: nil when all timers of the loop are taken.
  init?(client: HTTP1Connection, upstream: UpstreamConnection, exchange: Exchange) {
    guard let signal = Signal(on: client.loop) else { return nil }
    self.signal = signal
    self.exchange = exchange
    super.init(
      worker: client.worker,
      client: client.stream,
      key: upstream.stream.descriptor,
      idle: Timeout(.seconds(3600)),
      total: .never
    )
    use(upstream.stream)
  }

  /// Passes bytes until the end; `early` and `late` came behind the heads.
  func run(_ early: consuming Lent, _ late: consuming Lent) async {
    if !early.isEmpty { up.hold(early) }
    if !late.isEmpty { down.hold(late) }
    pass()
    while !isDone { await signal.untilSet() }
  }

  override func ended(_ reason: EndReason, _ detail: String) {
    exchange.bytesReceived &+= up.count
    exchange.bytesSent &+= down.count
    isDone = true
    signal.set()
  }
}
