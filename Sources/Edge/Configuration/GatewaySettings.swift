/// What is spoken with members that are no servers of HTTP.
public enum GatewayKind: String, Hashable, Sendable, CaseIterable {
  /// FastCGI, as PHP's process manager does.
  case fastcgi
  /// SCGI.
  case scgi
  /// The protocol of uWSGI.
  case uwsgi
}

/// Whether a connection of FastCGI carries several requests at once.
///
/// - Source: FastCGI 1.0, sections 3.3 and 4.1.
public enum FastCGIMultiplexing: Hashable, Sendable {
  /// One at a time.
  case off
  /// As many as the application says that it takes.
  case auto
  /// So many at most, of which the application is not asked.
  case atMost(Int)
}

/// How a route asks an application that is no server of HTTP.
public struct GatewaySettings: Hashable, Sendable {
  /// What is spoken with the application.
  public var kind: GatewayKind
  /// The folder whose scripts are run, by an absolute path; nil: the members are one application.
  public var root: String?
  /// The script of a path that ends with a slash; empty: there is none.
  public var index = "index.php"
  /// How the names of scripts end.
  public var endings = [".php"]
  /// The script for everything that names none, as a path below the root; nil: there is none.
  public var front: String?
  /// Whether files of the root that are no scripts answer as well.
  public var servesFiles = false
  /// The largest file of the root that the application is given to answer with; nil: it is given none.
  public var filteredBytes: Int?
  /// Whether a connection carries one request after the other.
  public var keepsConnections = false
  /// Whether a connection carries several requests at once.
  public var multiplexing = FastCGIMultiplexing.off
  /// How much is kept of a body whose length is not known, which applications have to be told first.
  public var bodyBytes = 1 << 20

  /// Who is asked whether requests may pass, where that is what this is for; nil: the members answer.
  public var authorizer: AuthorizerSettings?

  /// Variables that the application is told besides, in this order.
  public var variables: [GatewayVariable] = []

  /// Creates the settings of a route that is told no more than that.
  public init(kind: GatewayKind, root: String? = nil) {
    self.kind = kind
    self.root = root
  }
}

/// A variable that an application is told.
public struct GatewayVariable: Hashable, Sendable {
  /// Its name.
  public var name: String
  /// Its value, for each request.
  public var value: Template

  /// Creates a variable.
  public init(_ name: String, _ value: Template) {
    (self.name, self.value) = (name, value)
  }
}

/// What is spoken with the members of an upstream that are no servers of HTTP.
public struct MemberGatewaySettings: Hashable, Sendable {
  /// What is spoken.
  public var kind: GatewayKind
  /// Whether a connection carries one request after the other.
  public var keepsConnections: Bool
  /// Whether it carries several at once.
  public var multiplexing: FastCGIMultiplexing

  /// Creates the settings of an upstream.
  public init(
    kind: GatewayKind,
    keepsConnections: Bool,
    multiplexing: FastCGIMultiplexing = .off
  ) {
    self.kind = kind
    self.keepsConnections = keepsConnections
    self.multiplexing = multiplexing
  }
}
