import Configuration
import HTTP2
import HTTPMessage
import MartletLoop

/// How HTTP/2 is spoken with the members of an upstream; compiled.
struct HTTP2MemberPlan: Sendable {
  let limits: ConnectionLimits
  /// How many requests a connection may carry.
  let requestCount: Int
  let idleTime: Timeout
  let connectTime: Timeout
  /// How long a member may be silent until it is asked whether it lives; nil: for ever.
  let pingInterval: Timeout?

  init(_ settings: MemberHTTP2Settings, of upstream: UpstreamSettings) {
    var limits = ConnectionLimits()
    limits.streamCount = settings.streamCount
    limits.fieldBytes = ReverseProxy.responseLimits.headBytes
    limits.fieldCount = ReverseProxy.responseLimits.fieldCount
    limits.streamWindowMaxBytes = Self.windowBytes
    // One answer that nobody takes must not keep up the others.
    limits.connectionWindowBytes = Self.windowBytes * 64
    // Members are believed more than clients are.
    limits.settings = Budget(burst: 1000, perSecond: 100)
    limits.pings = Budget(burst: 10_000, perSecond: 10_000)
    limits.emptyFrames = Budget(burst: 10_000, perSecond: 10_000)
    limits.windowUpdates = Budget(burst: 100_000, perSecond: 100_000)
    limits.priorities = Budget(burst: 10_000, perSecond: 10_000)
    limits.faults = Budget(burst: 1000, perSecond: 100)
    self.limits = limits
    requestCount = min(upstream.pool.maxRequestCount, Int.max / 1000) * settings.streamCount
    idleTime = Timeout(upstream.pool.idleTime)
    connectTime = Timeout(upstream.timeouts.connect)
    pingInterval = settings.pingInterval.map { Timeout($0) }
  }

  private static let windowBytes = 512 << 10
}
