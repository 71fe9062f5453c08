import Configuration
import Directives
import HTTPMessage
import MartletBytes
import MartletSystem
import Routing

/// What a route asks of a request besides its path.
struct Conditions: Sendable {
  private struct Field: Sendable {
    let name: [UInt8]
    let patterns: [TextMatcher]
  }

  private let methods: [[UInt8]]
  private let headers: [Field]
  private let queries: [Field]
  private let clients: NetworkSet?
  /// Whether nothing is asked.
  let isEmpty: Bool

  init(_ settings: RouteSettings) {
    // What browsers ask beforehand is OPTIONS, whatever they want to do.
    let isAsked = settings.crossOrigin != nil && !settings.methods.isEmpty
    methods = (settings.methods + (isAsked ? ["OPTIONS"] : [])).map { Array($0.utf8) }
    headers = settings.headers.map(Self.field)
    queries = settings.queries.map(Self.field)
    clients = settings.clients.isEmpty ? nil : NetworkSet(settings.clients)
    isEmpty = settings.isUnconditional
  }

  private static func field(_ condition: ValueCondition) -> Field {
    Field(
      name: Array(condition.name.utf8),
      patterns: condition.values.map { TextMatcher($0) }
    )
  }

  /// Whether `request`, whose head is `bytes`, has everything that is asked.
  func areMet(
    by exchange: Exchange,
    _ bytes: Span<UInt8>,
    of connection: HTTP1Connection
  ) -> Bool {
    if isEmpty { return true }
    return takes(method: bytes.extracting(exchange.request.methodRange.range))
      && areMetBesidesMethod(by: exchange, bytes, of: connection)
  }

  /// Whether the method is among those that are asked for.
  func takes(method: Span<UInt8>) -> Bool {
    methods.isEmpty || methods.contains(where: { isEqual($0.span, method) })
  }

  /// Whether `request` has everything but the method.
  func areMetBesidesMethod(
    by exchange: Exchange,
    _ bytes: Span<UInt8>,
    of connection: HTTP1Connection
  ) -> Bool {
    if let clients {
      let client = connection.clientAddress(of: exchange, bytes).hostWords
      guard let client, clients.contains(client) else { return false }
    }
    for condition in headers {
      guard isMet(condition, by: exchange, bytes) else { return false }
    }
    for condition in queries {
      guard isMetByQuery(condition, exchange, bytes) else { return false }
    }
    return true
  }

  private func isMet(
    _ condition: Field,
    by exchange: Exchange,
    _ bytes: Span<UInt8>
  ) -> Bool {
    let known = FieldName(condition.name.span)
    for line in exchange.request.fields where line.name == known {
      if known == .other,
        !equalIgnoringCase(bytes.extracting(line.nameRange.range), condition.name.span)
      {
        continue
      }
      if condition.patterns.isEmpty { return true }
      let value = bytes.extracting(line.valueRange.range)
      for pattern in condition.patterns where pattern.matches(value) { return true }
    }
    return false
  }

  private func isMetByQuery(
    _ condition: Field,
    _ exchange: Exchange,
    _ bytes: Span<UInt8>
  ) -> Bool {
    var parameters = QueryParameters(exchange.request.query.range)
    while let parameter = parameters.next(in: bytes) {
      let name = bytes.extracting(parameter.name)
      guard QueryText.isEqual(name, to: condition.name.span) else { continue }
      if condition.patterns.isEmpty { return true }
      let value = bytes.extracting(parameter.value)
      let isMet = QueryText.withDecoded(value) { text in
        condition.patterns.contains { $0.matches(text) }
      }
      if isMet { return true }
    }
    return false
  }
}

/// Whether both are the same bytes.
func isEqual(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Bool {
  guard left.count == right.count else { return false }
  for index in left.indices where left[index] != right[index] { return false }
  return true
}
