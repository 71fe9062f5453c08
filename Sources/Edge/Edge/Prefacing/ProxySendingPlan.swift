import Configuration
import MartletSystem
import Prefaces

/// The PROXY header that members of an upstream are sent, compiled.
struct ProxySendingPlan: Sendable {
  private let version: ProxyHeader.Version
  private let values: Set<ProxySending.Value>

  init(_ settings: ProxySending) {
    version = settings.version == .v1 ? .v1 : .v2
    values = Set(settings.values)
  }

  /// What is known of a client's connection when one is opened for it.
  struct Client {
    /// Who the client is.
    var peer: SocketAddress
    /// The descriptor of its connection.
    var descriptor: Int32
    /// What a proxy in front has said.
    var preface: ConnectionPreface?
    /// What the client has said in TLS.
    var hello: ClientHello?
  }

  /// The bytes that a connection for `client` begins with.
  func header(for client: Client, _ random: inout RandomSource) -> [UInt8] {
    var header = ProxyHeader(source: client.peer.inProxyHeader)
    header.destination = client.preface?.header.destination
    if header.destination == nil {
      // Of a socket that was reset meanwhile nothing is known, and nothing is said.
      do throws(SystemError) {
        header.destination = try SocketAddress(boundTo: client.descriptor).inProxyHeader
      } catch {
        header.source = nil
      }
    }
    let received = client.preface?.header.values
    if values.contains(.authority) {
      header.values.authority = received?.authority
      if header.values.authority == nil, let name = client.hello?.serverName {
        header.values.authority = Array(name.utf8)
      }
    }
    if values.contains(.alpn) { header.values.alpn = received?.alpn }
    if values.contains(.tls) { header.values.tls = received?.tls }
    if values.contains(.uniqueID) {
      header.values.uniqueID = received?.uniqueID ?? Self.name(&random)
    }
    return header.encoded(as: version, checksum: values.contains(.checksum))
  }

  /// A new name, of 32 hexadecimal digits.
  private static func name(_ random: inout RandomSource) -> [UInt8] {
    [random.next(), random.next()].flatMap { word in
      (0..<16).map { index in
        let digit = UInt8(truncatingIfNeeded: word >> UInt64(60 - index * 4)) & 15
        return digit < 10 ? 0x30 + digit : 0x57 + digit
      }
    }
  }
}
