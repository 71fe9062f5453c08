import Configuration
import HTTPMessage
import MartletBytes
import MartletLoop
import MartletTelemetry
import Routing

/// Which pages of other origins may use a route, and what their browsers are told; compiled.
///
/// - Source: the Fetch standard, section 3.2.
final class CrossOriginPlan: Sendable {
  private let origins: [TextMatcher]
  /// Whether the answer does not depend on the origin.
  private let isOpen: Bool
  /// What stands behind the origin, in answers, and in answers to what is asked beforehand.
  private let answer: [UInt8]
  private let permission: [UInt8]
  /// Whether the fields that are asked for are allowed, whatever they are.
  private let echoesFields: Bool
  /// Whether the route is one for OPTIONS too, where that is not asked beforehand.
  let takesOptions: Bool

  init(_ settings: CrossOriginSettings, _ methods: [String]) {
    origins = settings.origins.map { TextMatcher(TextPattern($0)) }
    isOpen = settings.isOpen
    takesOptions = methods.isEmpty || methods.contains("OPTIONS")
    let shared =
      (settings.allowsCredentials ? "Access-Control-Allow-Credentials: true\r\n" : "")
      + (settings.isOpen ? "" : "Vary: Origin\r\n")
    let fields = settings.visibleFields.joined(separator: ", ")
    answer = Array("Access-Control-Expose-Headers: \(fields)\r\n\(shared)".utf8)
    let seconds = settings.maxAge.components.seconds
    let allowed = settings.headers.joined(separator: ", ")
    echoesFields = settings.headers.isEmpty
    permission = Array(
      ("Access-Control-Allow-Methods: \(settings.allowedMethods.joined(separator: ", "))\r\n"
        + (echoesFields ? "" : "Access-Control-Allow-Headers: \(allowed)\r\n")
        + "Access-Control-Max-Age: \(seconds)\r\n\(shared)").utf8
    )
  }

  /// The fields that a member does not say itself.
  static let fields = [
    "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials",
    "Access-Control-Expose-Headers", "Access-Control-Allow-Methods",
    "Access-Control-Allow-Headers", "Access-Control-Max-Age",
  ]

  /// Whether a request is one by which a browser asks beforehand.
  func isAsked(by exchange: Exchange, _ head: Span<UInt8>) -> Bool {
    exchange.request.first(.origin) != nil
      && exchange.request.field(named: Self.askedMethod.span, in: head) != nil
  }

  /// Whether the page of a request may use the route.
  func allows(_ exchange: Exchange, _ head: Span<UInt8>) -> Bool {
    guard let line = exchange.request.first(.origin), line.valueRange.upperBound <= head.count
    else {
      return false
    }
    let origin = head.extracting(line.valueRange.range)
    for pattern in origins where pattern.matches(origin) { return true }
    return false
  }

  /// Writes what a browser is told, if the page may use the route.
  func put(
    _ exchange: Exchange,
    _ head: Span<UInt8>,
    isPermission: Bool,
    into out: inout Lent
  ) throws(ExchangeError) {
    guard allows(exchange, head), let line = exchange.request.first(.origin) else {
      // Another page may be told something else.
      if !isOpen { try out.put("Vary: Origin\r\n") }
      return
    }
    try out.put("Access-Control-Allow-Origin: ")
    if isOpen {
      try out.put("*")
    } else {
      try out.put(head.extracting(line.valueRange.range))
    }
    try out.put("\r\n")
    guard isPermission else { return try out.put(answer) }
    try out.put(permission)
    guard echoesFields,
      let asked = exchange.request.field(named: Self.askedFields.span, in: head)
    else { return }
    try out.put("Access-Control-Allow-Headers: ")
    try out.put(head.extracting(asked.valueRange.range))
    try out.put("\r\nVary: Access-Control-Request-Headers\r\n")
  }

  private static let askedMethod = Array("access-control-request-method".utf8)
  private static let askedFields = Array("access-control-request-headers".utf8)
}

/// What answers browsers that ask beforehand, in the place of a route.
struct Permission: Sendable {
  let plan: CrossOriginPlan
  let given: Route
  let refused: Route

  init(plan: CrossOriginPlan, _ answering: (_ status: Int) -> Route) {
    self.plan = plan
    given = answering(204)
    refused = answering(403)
  }

  /// What is done with a request for OPTIONS; nil: what the route says.
  ///
  /// - Throws: ``ExchangeError`` when the route is not for OPTIONS.
  func route(for exchange: Exchange, _ head: Span<UInt8>) throws(ExchangeError) -> Route? {
    guard plan.isAsked(by: exchange, head) else {
      if plan.takesOptions { return nil }
      throw ExchangeError(.methodNotAllowed)
    }
    return plan.allows(exchange, head) ? given : refused
  }
}

extension Route.FieldRules {
  /// Writes the fields that are added to a message.
  func put(
    _ exchange: Exchange,
    _ connection: HTTP1Connection,
    _ head: Span<UInt8>,
    answer: Span<UInt8>,
    into out: inout Lent
  ) throws(ExchangeError) {
    for rule in added {
      try out.put(rule.name)
      try out.put(": ")
      try rule.value.write(to: &out, exchange, connection, head, answer: answer)
      try out.put("\r\n")
    }
    if let session { try putSession(session, exchange, into: &out) }
    if let crossOrigin {
      try crossOrigin.put(exchange, head, isPermission: givesPermission, into: &out)
    }
  }
}
