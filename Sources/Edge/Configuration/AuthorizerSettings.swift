/// Who says whether the requests of a route may pass.
public struct AuthorizerSettings: Hashable, Sendable {
  /// The upstream whose members are asked.
  public var upstream: String
  /// The script that they run, by an absolute path; nil: they are one application.
  public var script: String?
  /// The variables of the answer that what answers is told.
  public var passed: [String] = []
  /// Whether a connection carries one request after the other.
  public var keepsConnections = false
  /// Whether it carries several at once.
  public var multiplexing = FastCGIMultiplexing.off

  /// Creates settings that say nothing but who is asked.
  public init(upstream: String) { self.upstream = upstream }
}
