/// Which pages of other origins may use a route from a browser.
///
/// - Source: the Fetch standard, section 3.2.
public struct CrossOriginSettings: Hashable, Sendable {
  /// The origins, in which `*` stands for anything.
  public var origins: [String] = []
  /// The methods that may be used; none: the usual ones.
  public var methods: [String] = []
  /// The fields of requests that may be sent; none: those that are asked for.
  public var headers: [String] = []
  /// The fields of answers that may be seen; none: those of gRPC.
  public var exposed: [String] = []
  /// How long a browser remembers what it was told.
  public var maxAge: Duration = .seconds(3600)
  /// Whether browsers send cookies and the like.
  public var allowsCredentials = false

  /// Creates settings that let no page in.
  public init() {}

  /// Whether every page may use the route.
  public var isOpen: Bool { origins.contains("*") }

  /// The methods that may be used.
  public var allowedMethods: [String] {
    methods.isEmpty ? ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] : methods
  }

  /// The fields of answers that may be seen.
  public var visibleFields: [String] {
    exposed.isEmpty ? ["grpc-status", "grpc-message", "grpc-status-details-bin"] : exposed
  }
}
