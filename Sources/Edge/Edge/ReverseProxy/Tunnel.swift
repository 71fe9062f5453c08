import HTTP1
import HTTPMessage
import MartletBytes
import MartletLoop
import MartletNet
import MartletTelemetry

/// What an exchange becomes after a switch of protocols: bytes pass both ways until both sides have
/// ended, or neither has sent anything for the limit.
///
/// The client of a WebSocket may be asked whether it is there, between two frames of the member.
final class Tunnel: Relay {
  private let exchange: Exchange
  private let signal: Signal
  private var isDone = false
  /// How often a silent client is asked before the limit is over; 0: it is not.
  private let askLimit: Int
  /// How often there was silence since the client has said something, and how much it had said then.
  private var silenceCount = 0
  private var heardCount: UInt64 = 0
  private var isAsked = false

  /// `pingsAfter` is how long a client may be silent until it is asked; nil: it is not asked.
  ///
  /// - Returns: nil when all timers of the loop are taken.
  init?(
    client: HTTP1Connection,
    upstream: UpstreamConnection,
    exchange: Exchange,
    idle: Duration,
    pingsAfter: Duration?
  ) {
    guard let signal = Signal(on: client.loop) else { return nil }
    self.signal = signal
    self.exchange = exchange
    askLimit = pingsAfter.map { max(1, Int(idle / $0)) } ?? 0
    super.init(
      worker: client.worker,
      client: client.stream,
      key: upstream.stream.descriptor,
      idle: Timeout(pingsAfter ?? idle),
      total: .never
    )
    use(upstream.stream)
    if pingsAfter != nil {
      down.frames = WebSocketFrames()
      down.splices = false
    }
    if client.carrier != nil || upstream.isInner {
      up.splices = false
      down.splices = false
    }
  }

  /// Passes bytes until the end; `early` and `late` came behind the heads.
  func run(_ early: consuming Lent, _ late: consuming Lent) async {
    if !early.isEmpty { up.hold(early) }
    if !late.isEmpty { down.hold(late) }
    pass()
    while !isDone { await signal.untilSet() }
  }

  override func silent() -> EndReason? {
    guard askLimit > 0 else { return .idleTimeout }
    if up.count != heardCount {
      (heardCount, silenceCount, isAsked) = (up.count, 0, false)
    }
    silenceCount += 1
    // Who was asked and has said nothing is gone.
    if isAsked || silenceCount > askLimit { return .idleTimeout }
    // In the middle of a frame nothing else may be said.
    guard down.frames?.isBetween == true, !down.isHolding else { return nil }
    let ping = WebSocketFrames.ping
    do throws(StreamError) {
      isAsked = try client.writeNow(ping.span) == ping.count
      return isAsked ? nil : .idleTimeout
    } catch {
      return .clientReset
    }
  }

  override func ended(_ reason: EndReason, _ detail: String) {
    exchange.bytesReceived &+= up.count
    exchange.bytesSent &+= down.count
    // What one of the sides has done is the usual end of a tunnel.
    if reason == .idleTimeout || reason == .drained {
      exchange.error = ExchangeError(reason, detail: detail)
    }
    isDone = true
    signal.set()
  }
}

extension Exchange {
  /// Whether the client has asked for a WebSocket.
  func wantsWebSocket(_ head: Span<UInt8>) -> Bool {
    guard request.wantsUpgrade, let line = request.first(.upgrade) else { return false }
    return equalIgnoringCase(head.extracting(line.valueRange.range), Self.webSocket.span)
  }

  private static let webSocket = Array("websocket".utf8)
}
