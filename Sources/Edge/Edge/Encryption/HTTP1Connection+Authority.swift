import ACME
import HTTPMessage
import MartletBytes
import MartletLoop
import MartletNet
import MartletTelemetry

/// Giving certificates to others by ACME: what is asked here is answered by ``AutomaticCertificates/authority``.
extension HTTP1Connection {
  /// Answers a client of the authority.
  ///
  /// - Throws: ``EndReason/noRoute``: there is no authority, or the path is not below its own.
  func answerAuthority(
    _ exchange: Exchange,
    _ prefix: [UInt8],
    _ head: inout Lent
  ) async throws(ExchangeError) {
    let path = Array(copying: head.bytes.extracting(exchange.request.path.range))
    guard let authority = worker.board.generation.automatic.authority, path.starts(with: prefix)
    else { throw ExchangeError(.noRoute) }
    let host = Array(copying: head.bytes.extracting(exchange.request.authority.range))
    let query = exchange.request.query.isEmpty ? "" : "?"
    var call = ACMECall(
      String(
        decoding: Array(copying: head.bytes.extracting(exchange.request.methodRange.range)),
        as: UTF8.self
      ),
      base: "\(scheme)://" + String(decoding: host + prefix, as: UTF8.self),
      path: String(decoding: path.dropFirst(prefix.count), as: UTF8.self) + query
    )
    if let line = exchange.request.first(.contentType) {
      let value = Array(copying: head.bytes.extracting(line.valueRange.range))
      call.contentType = String(decoding: value, as: UTF8.self)
    }
    exchange.body.allowance = min(exchange.body.allowance, UInt64(ACMECall.bodyBytes))
    var body: [UInt8] = []
    try await receiveBody(exchange, &head) { (bytes: Span<UInt8>) in body.append(copying: bytes) }
    call.body = body
    let reply = await authority(call, loop)
    exchange.status = UInt16(clamping: reply.status)
    try await sendAnswer(exchange, Array(reply.contentType.utf8), reply.body, head) {
      (out: inout Lent) throws(ExchangeError) in
      for (name, value) in reply.fields.sorted(by: { $0.key < $1.key }) {
        try out.put(name)
        try out.put(": ")
        try out.put(value)
        try out.put("\r\n")
      }
    }
  }
}
