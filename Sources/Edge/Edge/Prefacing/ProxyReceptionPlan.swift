import Configuration
import MartletLoop
import MartletSystem
import MartletTelemetry
import Prefaces
import Routing

/// Who may send PROXY headers to a listener, and what becomes of the others; compiled.
struct ProxyReceptionPlan: Sendable {
  /// What came of the beginning of a connection, as metrics and log call it.
  enum Outcome: String, CaseIterable, Sendable {
    /// A header that says who the client is.
    case accepted
    /// A header of a proxy that has connected for itself.
    case local
    /// No header, and none was needed.
    case absent
    /// Somebody who may not send one, where each connection needs one.
    case untrusted
    /// Something else than a header, or one that is broken.
    case malformed
    /// No header within the time.
    case late
  }

  let isRequired: Bool
  let timeout: Timeout
  /// Nil: everybody.
  private let senders: NetworkSet?
  private let outcomes: [Counter]
  let parser = ProxyHeaderParser()

  /// - Returns: nil when no header is read.
  init?(_ settings: ProxyReception, listener: String, _ layout: inout MetricLayout.Builder) {
    guard settings.demand != .off else { return nil }
    isRequired = settings.demand == .required
    timeout = Timeout(settings.timeout)
    senders = settings.senders.isEmpty ? nil : NetworkSet(settings.senders)
    outcomes = layout.counters(
      EdgeMetrics.proxyHeaders,
      [listener],
      each: Outcome.allCases.map(\.rawValue)
    )
  }

  /// Whether headers of this peer are believed.
  func trusts(_ peer: SocketAddress) -> Bool {
    guard let senders else { return true }
    guard let words = peer.hostWords else { return false }
    return senders.contains(words)
  }

  /// The counter of an outcome.
  func counter(_ outcome: Outcome) -> Counter {
    outcomes[Outcome.allCases.firstIndex(of: outcome) ?? 0]
  }
}

/// What a proxy in front has said of a connection.
final class ConnectionPreface {
  /// The proxy.
  let sender: SocketAddress
  let header: ProxyHeader

  init(_ header: ProxyHeader, from sender: SocketAddress) {
    self.sender = sender
    self.header = header
  }

  /// Whether the client's connection to the proxy was a TLS one.
  var isEncrypted: Bool { header.values.tls?.isEncrypted ?? false }

  /// What a variable shows of it.
  func value(of variable: ProxyVariable) -> [UInt8] {
    let values = header.values
    return switch variable {
    case .address: Array(sender.hostText.utf8)
    case .destination:
      header.destination.map { Array(SocketAddress($0).hostText.utf8) } ?? []
    case .authority: values.authority ?? []
    case .alpn: Self.text(values.alpn ?? [])
    case .uniqueID: Self.text(values.uniqueID ?? [])
    case .tlsVersion: values.tls?.version ?? []
    case .tlsCipher: values.tls?.cipher ?? []
    case .tlsCommonName: verifiedName
    case .networkNamespace: values.networkNamespace ?? []
    }
  }

  /// The name in a certificate that nobody has vouched for is only a claim.
  private var verifiedName: [UInt8] {
    guard let tls = header.values.tls, tls.hasSessionCertificate || tls.hasCertificate,
      tls.verification == 0
    else { return [] }
    return tls.commonName ?? []
  }

  /// The bytes where they are visible text, else their hexadecimal digits.
  private static func text(_ bytes: [UInt8]) -> [UInt8] {
    if bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) { return bytes }
    return bytes.flatMap { byte in
      [byte >> 4, byte & 15].map { $0 < 10 ? 0x30 + $0 : 0x57 + $0 }
    }
  }
}

extension SocketAddress {
  /// The address that a PROXY header names.
  init(_ address: ProxyAddress) {
    switch address {
    case .ipv4(let host, let port): self = .ipv4(host, port: port)
    case .ipv6(let high, let low, let port): self = .ipv6(high, low, port: port, scope: 0)
    case .unix(let path):
      // A name of the abstract namespace is written with `@` here.
      let name = path.first == 0 ? [UInt8(ascii: "@")] + path.dropFirst() : path
      self = .unix(String(decoding: name, as: UTF8.self))
    }
  }

  /// The address as a PROXY header names it; an IPv4 one that came over an IPv6 socket as what it is.
  var inProxyHeader: ProxyAddress {
    switch self {
    case .ipv4(let host, let port): .ipv4(host, port: port)
    case .ipv6(0, let low, let port, _) where low >> 32 == 0xFFFF:
      .ipv4(UInt32(truncatingIfNeeded: low), port: port)
    case .ipv6(let high, let low, let port, _): .ipv6(high, low, port: port)
    case .unix(let path):
      .unix(path.hasPrefix("@") ? [0] + path.utf8.dropFirst() : Array(path.utf8))
    }
  }
}
