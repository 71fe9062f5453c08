import Configuration
import GatewayProtocols
import MartletBytes
import MartletTelemetry
import StaticFiles

/// How a route asks an application that is no server of HTTP; compiled.
final class GatewayPlan: Sendable {
  let form: GatewayProtocol
  /// The scripts that are run; nil: the members are one application.
  let scripts: Scripts?
  /// The largest file that the application is given; nil: it is given none.
  let filteredByteCount: Int?
  /// How much is kept of a body whose length is not known.
  let bodyByteCount: Int
  /// The variables that are the same for all requests.
  let constants: GatewayRequest

  /// The variables that are taken of the answers, where it is asked whether requests may pass; nil: it answers them.
  let passed: [PassedVariable]?

  /// The variables that the configuration adds.
  let variables: [(name: String, value: TextTemplate)]

  /// Whether the application is given files to answer with.
  var filters: Bool { filteredByteCount != nil }

  /// What the application is asked to be.
  var role: FastCGIRecord.Role {
    passed != nil ? .authorizer : filters ? .filter : .responder
  }

  /// The scripts of a folder.
  struct Scripts: Sendable {
    let root: [UInt8]
    let index: [UInt8]
    let endings: [[UInt8]]
    /// The script for everything that names none; empty: there is none.
    let front: [UInt8]
    /// What is looked at for them, and perhaps served of it.
    let files: FilesPlan
    let servesFiles: Bool
  }

  /// Compiles the settings of a route, if it has some.
  init?(
    _ settings: GatewaySettings?,
    response: Route.FieldRules,
    files: inout [FilesPlan],
    _ layout: inout MetricLayout.Builder
  ) {
    guard let settings else { return nil }
    form = GatewayProtocol(settings.kind)
    bodyByteCount = settings.bodyBytes
    filteredByteCount = settings.filteredBytes
    variables = settings.variables.map { ($0.name, TextTemplate($0.value)) }
    var constants = GatewayRequest(form)
    constants.add("GATEWAY_INTERFACE", "CGI/1.1")
    constants.add("SERVER_SOFTWARE", "martlet")
    passed = settings.authorizer?.passed.map { PassedVariable($0) }
    if let script = settings.authorizer?.script {
      constants.add("SCRIPT_FILENAME", script)
      constants.add("REDIRECT_STATUS", "200")
    }
    guard var root = settings.root else {
      scripts = nil
      self.constants = constants
      return
    }
    while root.count > 1, root.hasSuffix("/") { root.removeLast() }
    // PHP, where it was built so, runs nothing without it.
    constants.add("REDIRECT_STATUS", "200")
    constants.add("DOCUMENT_ROOT", root)
    self.constants = constants
    let plan = FilesPlan(
      FilesSettings(root: root),
      index: files.count,
      response: response,
      dictionaries: [],
      &layout
    )
    files.append(plan)
    scripts = Scripts(
      root: root == "/" ? [] : Array(root.utf8),
      index: Array(settings.index.utf8),
      endings: settings.endings.map { Array($0.utf8) },
      front: Array((settings.front ?? "").utf8),
      files: plan,
      servesFiles: settings.servesFiles
    )
  }
}

extension GatewayProtocol {
  init(_ kind: GatewayKind) {
    self =
      switch kind {
      case .fastcgi: .fastCGI
      case .scgi: .scgi
      case .uwsgi: .uwsgi
      }
  }
}

/// What is spoken with the members of an upstream; compiled.
struct MemberGatewayPlan: Hashable, Sendable {
  let form: GatewayProtocol
  let keepsConnections: Bool
  let multiplexing: FastCGIMultiplexing
  let metrics: GatewayMetrics

  /// Compiles what an upstream says, if its members are no servers of HTTP.
  init?(_ upstream: UpstreamSettings, _ layout: inout MetricLayout.Builder) {
    guard let settings = upstream.gateway else { return nil }
    let idleCount = upstream.pool.idleCount
    form = GatewayProtocol(settings.kind)
    // The others end each answer with their connection.
    keepsConnections = settings.keepsConnections && idleCount > 0 && form == .fastCGI
    multiplexing = settings.multiplexing
    metrics = GatewayMetrics(form, &layout)
  }
}

/// What of an application a request is for.
struct GatewayTarget {
  /// The script, and what is left of the path for it.
  var path: ScriptPath
  /// The file that the application is given.
  var data: Representation?
  /// The query, where a rule has written another one.
  var query: [UInt8]?
}
