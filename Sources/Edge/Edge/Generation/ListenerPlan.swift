import Configuration
import HTTP1
import HTTPMessage
import MartletBytes
import Routing
import MartletLoop
import MartletTelemetry

/// What a listening address serves: its sites by host, and what holds before the host is known; or
/// bytes.
final class ListenerPlan: Sendable {
  /// The address as written; names the socket in messages between processes and in metrics.
  let key: String
  let metrics: ListenerMetrics
  private let hosts: HostTable
  private let sites: [Site]
  private let fallback: Site?
  /// The widest limits of its sites.
  let headLimits: HeadLimits
  /// A parser with these limits that stands before a message.
  let parser: RequestParser
  /// Whether its sites have limits of their own, which are checked when the site is known.
  let limitsDiffer: Bool
  let idleTimeout: Timeout
  let headTimeout: Timeout
  let sendTimeout: Timeout
  /// Who may send a PROXY header; nil: none is read.
  let proxyReception: ProxyReceptionPlan?
  /// How connections begin TLS; nil: they speak without.
  let tls: TLSPlan?
  /// What becomes of the connections of a listener that serves bytes; nil where HTTP is spoken.
  let stream: StreamPlan?
  /// Whether a client may speak HTTP/2 from the first byte on.
  let allowsHTTP2: Bool
  /// What it may do then.
  let http2: HTTP2ClientPlan

  init(
    key: String,
    proxy: ProxyReception,
    sites members: [(site: Site, settings: ServerSettings, isFallback: Bool)] = [],
    stream: StreamPlan? = nil,
    tls: TLSPlan? = nil,
    _ layout: inout MetricLayout.Builder
  ) {
    self.key = key
    self.stream = stream
    self.tls = tls
    metrics = ListenerMetrics(key, isStream: stream != nil, &layout)
    proxyReception = ProxyReceptionPlan(proxy, listener: key, &layout)
    var hosts: [(pattern: HostPattern, value: Int)] = []
    var first: Site?
    var chosen: Site?
    var limits: HeadLimits?
    for (index, member) in members.enumerated() {
      for name in member.settings.names { hosts.append((name, index)) }
      if member.isFallback, chosen == nil { chosen = member.site }
      if member.settings.names.isEmpty, first == nil { first = member.site }
      limits = limits?.widened(by: member.site.headLimits) ?? member.site.headLimits
    }
    self.hosts = HostTable(hosts)
    sites = members.map(\.site)
    fallback = chosen ?? first
    let widest = limits ?? HeadLimits()
    headLimits = widest
    parser = RequestParser(limits: widest)
    limitsDiffer = members.contains { $0.site.headLimits != widest }
    allowsHTTP2 = members.contains(where: \.settings.allowsHTTP2)
    http2 = HTTP2ClientPlan(members.map(\.settings), widest)
    let timeouts = members.map(\.settings.timeouts)
    idleTimeout = Timeout(timeouts.map(\.idle).max() ?? .seconds(60))
    headTimeout = Timeout(timeouts.map(\.head).max() ?? .seconds(30))
    sendTimeout = Timeout(timeouts.map(\.send).max() ?? .seconds(60))
  }

  /// The site that answers for `host`, or nil when none does.
  func site(for host: Span<UInt8>) -> Site? {
    if sites.count == 1, let fallback { return fallback }
    if let index = hosts.value(for: host) { return sites[index] }
    return fallback
  }

  /// The site in whose name a request is refused that has no readable host.
  var anySite: Site? { fallback ?? sites.first }
}
