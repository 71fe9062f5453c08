import Applications
import HTTPMessage
import MartletSystem
import MartletTelemetry

extension ReverseProxy {
  /// Tells an application about the client and about where it was asked.
  func tell(_ application: ApplicationStream, of head: Span<UInt8>) {
    application.exchange = exchange
    application.context.client = client.clientAddress(of: exchange, head)
    application.context.scheme =
      client.scheme.utf8CodeUnitCount == 5 ? Self.secureScheme : Self.plainScheme
    application.context.scriptName = route.stripPrefix
    application.context.serverName = Self.serverName
    let isOld = exchange.request.version == .http10
    application.context.priority = route.priority.value(for: exchange, head, of: client)
    application.context.version =
      client.carrier != nil ? Self.version2 : isOld ? Self.version10 : Self.version11
    let number = exchange.requestID(from: &client.worker.random)
    application.context.identifier = (number.high, number.low)
  }

  private static let plainScheme = Array("http".utf8)
  private static let secureScheme = Array("https".utf8)
  private static let serverName = Array("localhost".utf8)
  private static let version10 = Array("HTTP/1.0".utf8)
  private static let version11 = Array("HTTP/1.1".utf8)
  private static let version2 = Array("HTTP/2.0".utf8)
}
