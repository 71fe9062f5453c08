import ACME
import Configuration
import HTTPMessage
import MartletBytes
import MartletLoop
import MartletTelemetry

// What answers an authority that asks over HTTP whether a host is ours.

extension EdgeConfiguration {
  /// The servers, of which those that have to answer an authority, or tell what ours has revoked, do so before
  /// everything else.
  var provingServers: [ServerSettings] {
    let lists = revocationsRoutes
    return zip(servers, zip(answersProofs, tellsRevocations)).map { server, does in
      var server = server
      if does.1 { server.routes.insert(contentsOf: lists, at: 0) }
      if does.0 {
        server.routes.insert(
          RouteSettings(path: .prefix(ACMEProof.path), handler: .proof),
          at: 0
        )
      }
      return server
    }
  }
}

extension HTTP1Connection {
  /// The token that stands in the path, and what only we can say of it.
  ///
  /// Every token is answered: the answer helps nobody but the owner of the account, and whoever shares its
  /// key can give it without having heard of the order.
  ///
  /// - Throws: ``EndReason/noRoute``: there is no token, or nothing to say.
  /// - Source: RFC 8555, section 8.3.
  func proof(
    _ exchange: Exchange,
    _ head: borrowing Lent
  ) throws(ExchangeError) -> [UInt8] {
    let path = Array(copying: head.bytes.extracting(exchange.request.path.range))
    let token = path.dropFirst(ACMEProof.path.utf8.count)
    guard ACMEProof.isToken(String(decoding: token, as: UTF8.self)),
      let thumbprint = worker.board.generation.automatic.thumbprint
    else { throw ExchangeError(.noRoute) }
    return Array(token) + [UInt8(ascii: ".")] + Array(thumbprint.utf8)
  }
}
