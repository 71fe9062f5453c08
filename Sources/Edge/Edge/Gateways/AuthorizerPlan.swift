import Configuration
import MartletTelemetry

/// Who says whether the requests of a route may pass, compiled.
final class AuthorizerPlan: Sendable {
  /// The way to its members: a route that no request takes by itself.
  let route: Route
  let upstream: UpstreamPlan

  init?(_ route: Route) {
    guard let upstream = route.upstream else { return nil }
    (self.route, self.upstream) = (route, upstream)
  }

  /// The settings of the route to the members that are asked for the requests of another one.
  static func settings(
    _ authorizer: AuthorizerSettings,
    of route: RouteSettings
  ) -> RouteSettings {
    var settings = RouteSettings(
      path: route.path,
      handler: .proxy(upstream: authorizer.upstream),
      responseHeaders: route.responseHeaders
    )
    settings.overrides.errorPages = route.overrides.errorPages
    settings.hidesSessionFields = route.hidesSessionFields
    var gateway = GatewaySettings(kind: .fastcgi)
    gateway.authorizer = authorizer
    settings.gateway = gateway
    return settings
  }
}

/// A variable of an authorizer's answer that what answers is told.
struct PassedVariable: Sendable {
  /// Its name as a variable.
  let variable: String
  /// The field of the authorizer's answer.
  let answered: [UInt8]
  /// The field of the request that servers of HTTP are told it by.
  let field: String

  init(_ name: String) {
    variable = name
    answered = Array("Variable-\(name)".utf8)
    field = Self.field(of: name)
  }

  /// The field that stands for a variable: `REMOTE_USER` is `Remote-User`.
  static func field(of name: String) -> String {
    name.split(separator: "_", omittingEmptySubsequences: false)
      .map { $0.prefix(1).uppercased() + $0.dropFirst().lowercased() }
      .joined(separator: "-")
  }
}

/// What an authorizer has said of a client.
struct Grant {
  let passed: PassedVariable
  let value: [UInt8]
}
