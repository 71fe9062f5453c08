import GatewayProtocols
import HTTPMessage
import MartletBytes
import MartletLoop
import MartletNet

/// What stands between a connection to an application and whoever speaks HTTP/1.1 over it.
///
/// The request up to its content is sent as it is, for it was written in the application's form; its content is
/// put into records, where the protocol has such. What comes is read as HTTP/1.1.
final class GatewayLayer: TranslatingLayer {
  let exchange: GatewayExchange

  init(of stream: MartletNet.Stream, for exchange: GatewayExchange, on loop: EventLoop) {
    self.exchange = exchange
    super.init(of: stream, on: loop)
    exchange.layer = self
  }

  override func frame(of count: Int) -> Frame { exchange.frame(of: count) }

  override func take(_ bytes: Span<UInt8>) -> Bool { exchange.take(bytes) }

  override func takeEnd() { exchange.takeEnd() }

  override var hasOutput: Bool { exchange.answer.hasOutput }

  override func give(upTo limit: Int, _ take: (Span<UInt8>) -> Void) -> Int {
    exchange.answer.read(upTo: limit, take)
  }
}
