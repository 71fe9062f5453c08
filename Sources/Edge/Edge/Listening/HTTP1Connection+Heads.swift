import Balancing
import HTTPMessage
import MartletLoop
import MartletTelemetry

/// What becomes of heads that are not as usual.
extension HTTP1Connection {
  /// Goes on as HTTP/2, which `head` begins; this connection is forgotten.
  func becomeHTTP2(_ head: inout Lent) {
    let connection = HTTP2Connection(
      stream: stream,
      peer: peer,
      preface: preface,
      tls: tls,
      worker: worker,
      acceptor: acceptor
    )
    var bytes = loop.lend(.head)
    swap(&bytes, &head)
    connection.start(with: bytes)
  }

  /// The hash of what a text is for an exchange; nil when it is empty.
  @inline(never)
  func hash(_ key: TextTemplate, _ exchange: Exchange, _ head: Span<UInt8>) -> UInt64? {
    var text = loop.lend(.head)
    // A key that is too long counts as far as it fits.
    do throws(ExchangeError) {
      try key.write(to: &text, exchange, self, head, answer: Span())
    } catch {}
    return text.isEmpty ? nil : KeyHash.value(of: text.bytes)
  }

  /// Checks what the listener's widest limits have let through.
  func checkLimits(_ exchange: Exchange, _ site: Site) throws(ExchangeError) {
    let limits = site.headLimits
    let request = exchange.request
    let longest = request.fields.lazy.map { $0.lineRange.range.count - 2 }.max() ?? 0
    if Int(request.target.count) > limits.targetBytes {
      throw ExchangeError(.refused, status: 414, detail: "target_too_long")
    }
    if request.byteCount > limits.headBytes || request.fields.count > limits.fieldCount
      || longest > limits.lineBytes
    {
      throw ExchangeError(.refused, status: 431, detail: "head_too_large")
    }
  }
}

extension EventLoop {
  /// The bytes of `head` in a larger buffer.
  func enlarged(_ head: borrowing Lent) -> Lent {
    var larger = lend(.body)
    larger.append(head.bytes)
    return larger
  }
}
