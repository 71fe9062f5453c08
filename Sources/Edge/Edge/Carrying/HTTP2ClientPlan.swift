import Configuration
import HTTP1
import HTTP2
import HTTPMessage
import MartletLoop

/// What clients of a listener may do that speak HTTP/2; compiled, once for all connections.
///
/// It holds before the host is known: of several servers the widest values count.
struct HTTP2ClientPlan: Sendable {
  let limits: ConnectionLimits
  /// After how many requests a client is told to open another connection.
  let requestCount: Int
  /// How long a client that waits for answers may be silent until it is asked whether it lives; nil: for
  /// ever.
  let pingInterval: Timeout?

  init(_ servers: [ServerSettings], _ headLimits: HeadLimits) {
    let settings = servers.filter(\.allowsHTTP2).map(\.http2)
    let usual = ClientHTTP2Settings()
    var limits = ConnectionLimits()
    limits.fieldBytes = max(limits.fieldBytes, headLimits.headBytes)
    limits.fieldCount = headLimits.fieldCount
    limits.allowsExtendedConnect = true
    limits.streamCount = settings.map(\.streamCount).max() ?? usual.streamCount
    limits.streamWindowMaxBytes = settings.map(\.windowBytes).max() ?? usual.windowBytes
    limits.connectionWindowBytes =
      settings.map(\.connectionWindowBytes).max() ?? usual.connectionWindowBytes
    // What the client was allowed to have under way it may also reset.
    limits.resets.burst = max(limits.resets.burst, limits.streamCount * 2)
    self.limits = limits
    requestCount = settings.map { $0.requestCount ?? .max / 2 }.max() ?? .max / 2
    let pings = settings.compactMap(\.pingInterval)
    pingInterval = pings.count == settings.count ? pings.max().map { Timeout($0) } : nil
  }
}
