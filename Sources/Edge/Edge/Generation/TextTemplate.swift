import Configuration
import HTTPMessage
import MartletBytes
import Routing
import MartletLoop
import MartletSystem
import MartletTelemetry

/// A text with variables, compiled: literals as bytes, variables as cases.
struct TextTemplate: Sendable {
  private let parts: [TemplatePart]
  /// The whole text where it has no variables.
  let literal: [UInt8]?

  init(_ template: Template) {
    parts = template.parts
    literal = template.literal
  }

  /// Writes the text for an exchange.
  ///
  /// - Throws: ``EndReason/headTooLarge`` when it does not fit.
  func write(
    to out: inout Lent,
    _ exchange: Exchange,
    _ connection: HTTP1Connection,
    _ head: Span<UInt8>,
    answer: Span<UInt8>
  ) throws(ExchangeError) {
    for part in parts {
      switch part {
      case .literal(let bytes): try out.put(bytes.span)
      case .variable(let variable):
        try Self.write(variable, to: &out, exchange, connection, head, answer)
      }
    }
  }

  private static func write(
    _ variable: Variable,
    to out: inout Lent,
    _ exchange: Exchange,
    _ connection: HTTP1Connection,
    _ head: Span<UInt8>,
    _ answer: Span<UInt8>
  ) throws(ExchangeError) {
    switch variable {
    case .clientAddress: try out.put(connection.clientAddress(of: exchange, head).hostText)
    case .clientPort: try out.put(decimal: UInt64(connection.peer.port ?? 0))
    case .requestID: try out.put(exchange.requestID(from: &connection.worker.random))
    case .requestMethod: try out.put(head.extracting(exchange.request.methodRange.range))
    case .requestTarget: try out.put(head.extracting(exchange.request.target.range))
    case .requestPath: try out.put(head.extracting(exchange.request.path.range))
    case .requestQuery: try out.put(head.extracting(exchange.request.query.range))
    case .requestHost: try out.put(lowercasing: head.extracting(exchange.request.host.range))
    case .requestScheme: try out.put(connection.scheme)
    case .requestHeader(let name):
      let bytes = Array(name.utf8)
      if let line = exchange.request.field(named: bytes.span, in: head) {
        try out.put(head.extracting(line.valueRange.range))
      }
    case .queryParameter(let name):
      let bytes = Array(name.utf8)
      var parameters = QueryParameters(exchange.request.query.range)
      while let parameter = parameters.next(in: head) {
        guard QueryText.isEqual(head.extracting(parameter.name), to: bytes.span) else { continue }
        try out.put(head.extracting(parameter.value))
        break
      }
    case .cookie(let name):
      let bytes = Array(name.utf8)
      for line in exchange.request.fields where line.name == .cookie {
        let range = line.valueRange.range
        guard let value = CookiePairs.value(of: bytes.span, in: range, of: head) else { continue }
        try out.put(head.extracting(value))
        break
      }
    case .upstreamName: try out.put(exchange.route?.upstreamName ?? "")
    case .upstreamMember: try out.put(exchange.member?.name ?? "")
    case .serverName: try out.put(exchange.site?.name ?? "")
    case .listenerAddress: try out.put(connection.acceptor.plan.key)
    case .tls(let part):
      if let session = connection.tls { try out.put(session.value(of: part)) }
    case .proxy(let part):
      if let preface = connection.preface { try out.put(preface.value(of: part)) }
    case .responseStatus: try out.put(decimal: UInt64(exchange.status))
    case .responseHeader(let name):
      let bytes = Array(name.utf8)
      if !answer.isEmpty, let line = exchange.response.field(named: bytes.span, in: answer) {
        try out.put(answer.extracting(line.valueRange.range))
      }
    case .timeISO8601: try out.put(connection.worker.clock.iso8601)
    case .timeUnix: try out.put(decimal: UInt64(max(0, connection.worker.clock.seconds)))
    }
  }
}

extension Lent {
  /// Appends `bytes`.
  ///
  /// - Throws: ``EndReason/headTooLarge`` when they do not fit.
  @inline(__always)
  mutating func put(_ bytes: Span<UInt8>) throws(ExchangeError) {
    guard bytes.count <= freeCount else { throw ExchangeError(.headTooLarge) }
    append(bytes)
  }

  /// Appends a literal.
  ///
  /// - Throws: ``EndReason/headTooLarge`` when it does not fit.
  @inline(__always)
  mutating func put(_ text: StaticString) throws(ExchangeError) {
    guard text.utf8CodeUnitCount <= freeCount else { throw ExchangeError(.headTooLarge) }
    append(text)
  }

  /// Appends the bytes of an array.
  ///
  /// - Throws: ``EndReason/headTooLarge`` when they do not fit.
  mutating func put(_ bytes: [UInt8]) throws(ExchangeError) { try put(bytes.span) }

  /// Appends the bytes of a text.
  ///
  /// - Throws: ``EndReason/headTooLarge`` when they do not fit.
  @_disfavoredOverload
  mutating func put(_ text: String) throws(ExchangeError) {
    guard text.utf8.count <= freeCount else { throw ExchangeError(.headTooLarge) }
    for byte in text.utf8 { append(byte) }
  }

  /// Appends `bytes` with capital letters made small.
  ///
  /// - Throws: ``EndReason/headTooLarge`` when they do not fit.
  mutating func put(lowercasing bytes: Span<UInt8>) throws(ExchangeError) {
    guard bytes.count <= freeCount else { throw ExchangeError(.headTooLarge) }
    for index in bytes.indices { append(lowercased(bytes[index])) }
  }

  /// Appends a number.
  ///
  /// - Throws: ``EndReason/headTooLarge`` when it does not fit.
  mutating func put(decimal number: UInt64) throws(ExchangeError) {
    guard freeCount >= 20 else { throw ExchangeError(.headTooLarge) }
    append(decimal: number)
  }

  /// Appends the 32 hexadecimal digits of a request's name.
  ///
  /// - Throws: ``EndReason/headTooLarge`` when they do not fit.
  mutating func put(_ id: RequestID) throws(ExchangeError) {
    guard freeCount >= 32 else { throw ExchangeError(.headTooLarge) }
    append(hex: id.high, digits: 16)
    append(hex: id.low, digits: 16)
  }

  /// Appends a number as so many hexadecimal digits.
  mutating func append(hex number: UInt64, digits: Int) {
    for digit in (0..<digits).reversed() {
      let value = UInt8(truncatingIfNeeded: number &>> UInt64(digit &* 4)) & 15
      append(value < 10 ? 0x30 &+ value : 0x57 &+ value)
    }
  }
}
