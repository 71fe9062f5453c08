import Applications
import HTTPMessage
import MartletSystem
import MartletTelemetry

extension ReverseProxy {
  /// Tells an application about the client and about where it was asked.
  func tell(_ application: ApplicationStream, of head: Span<UInt8>) {
    application.exchange = exchange
    let address = client.clientAddress(of: exchange, head)
    application.context.clientAddress = Array(address.hostText.utf8)
    application.context.clientPort = address.port ?? 0
    application.context.scheme = Array(client.scheme.description.utf8)
    application.context.scriptName = route.stripPrefix
    application.context.serverName = Self.serverName
    let isOld = exchange.request.version == .http10
    application.context.priority = route.priority.value(for: exchange, head, of: client)
    application.context.version =
      client.carrier != nil ? Self.version2 : isOld ? Self.version10 : Self.version11
    let number = exchange.requestID(from: &client.worker.random)
    var identifier: [UInt8] = []
    identifier.reserveCapacity(32)
    for half in [number.high, number.low] {
      for shift in stride(from: 60, through: 0, by: -4) {
        let digit = UInt8(truncatingIfNeeded: half >> UInt64(shift)) & 15
        identifier.append(digit < 10 ? 0x30 + digit : 0x57 + digit)
      }
    }
    application.context.identifier = identifier
  }

  private static let serverName = Array("localhost".utf8)
  private static let version10 = Array("HTTP/1.0".utf8)
  private static let version11 = Array("HTTP/1.1".utf8)
  private static let version2 = Array("HTTP/2.0".utf8)
}
