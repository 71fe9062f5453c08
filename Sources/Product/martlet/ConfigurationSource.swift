import CLinux
import Configuration
import Directives
import Edge
import MartletServer
import MartletSystem
import Supervision

/// Where a configuration comes from.
enum ConfigurationSource: Hashable, Sendable {
  /// A file, and the files that it includes.
  case file(String)
  /// A text that the program makes itself.
  case text(name: String, String)

  /// The demonstration: three members inside of the process.
  static let hello = ConfigurationSource.text(
    name: "the embedded configuration",
    EdgeConfiguration.helloText
  )

  /// What it is called.
  var name: String {
    switch self {
    case .file(let path): path
    case .text(let name, _): name
    }
  }

  /// Collects what is read, from the files and the environment.
  func bundle() -> SourceBundle {
    switch self {
    case .file(let path):
      .collected(main: path, .system, fileDirectives: ConfigurationLoader.attachingDirectives)
    case .text(let name, let text):
      .collected(
        name: name,
        text: text,
        .system,
        fileDirectives: ConfigurationLoader.attachingDirectives
      )
    }
  }
}

/// A configuration without errors, and what it was read from.
struct CheckedConfiguration: Sendable {
  var bundle: SourceBundle
  var configuration: EdgeConfiguration
  /// The warnings, for people; empty when there is none.
  var warnings: String

  /// Reads and checks a configuration.
  ///
  /// - Throws: ``CommandFailure`` with all errors, each with its place and its mend.
  init(
    _ source: ConfigurationSource,
    style: RenderingStyle = .plain
  ) throws(CommandFailure) {
    try self.init(source.bundle(), style: style)
  }

  /// Checks what a bundle holds.
  ///
  /// - Throws: ``CommandFailure`` with all errors, each with its place and its mend.
  init(_ bundle: SourceBundle, style: RenderingStyle = .plain) throws(CommandFailure) {
    let loaded = ConfigurationLoader.load(bundle)
    let text = loaded.rendered(style)
    guard let configuration = loaded.configuration else {
      throw CommandFailure(.configuration, text)
    }
    if let name = configuration.handlerNames.first {
      throw CommandFailure(
        .configuration,
        "a route has `handler \(name)`, which is a part of a program in Swift: this one has none; the manual tells "
          + "of such programs in docs/manual/handlers.md\n"
      )
    }
    self.bundle = bundle
    self.configuration = configuration
    warnings = text
  }

  /// What the supervisor is to do for it.
  ///
  /// - Throws: ``CommandFailure`` when the name of an address does not resolve.
  func assignment(stateDirectory: String) throws(CommandFailure) -> Assignment {
    var listeners: [ListenerDemand] = []
    let backlogs = Dictionary(
      configuration.servers.flatMap(\.listeners).map { ($0.address, $0.backlogCount) },
      uniquingKeysWith: { max($0, $1) }
    )
    let shared = Set(
      configuration.servers.flatMap(\.listeners).filter(\.reusesPort).map(\.address)
    )
    for address in configuration.listeningAddresses {
      listeners.append(
        ListenerDemand(
          key: address.description,
          place: try Self.place(of: address, stateDirectory),
          backlog: Int32(backlogs[address] ?? 511),
          sharesPort: shared.contains(address)
        )
      )
    }
    for listener in configuration.tcp.flatMap(\.listeners) {
      listeners.append(
        ListenerDemand(
          key: listener.key,
          place: try Self.place(of: listener.address, stateDirectory),
          backlog: Int32(listener.backlogCount),
          sharesPort: listener.reusesPort
        )
      )
    }
    listeners += try datagramDemands(stateDirectory)
    if let admin = configuration.process.adminListener {
      let place = try Self.place(of: admin, stateDirectory)
      listeners.append(
        ListenerDemand(key: EdgeService.adminPrefix + admin.description, place: place, backlog: 64)
      )
    }
    var logs: [LogDemand] = []
    for case .file(let path) in configuration.accessLogs.map(\.destination) {
      let demand = LogDemand(key: path, path: path)
      if !logs.contains(demand) { logs.append(demand) }
    }
    for path in Set(configuration.servers.compactMap(\.tls.keyLog)).sorted() {
      logs.append(LogDemand(key: TLSFiles.keyLogPrefix + path, path: path, isSecret: true))
    }
    if case .file(let path) = configuration.process.errorLog.destination {
      logs.append(LogDemand(key: EdgeService.errorLogKey, path: path))
    }
    var assignment = Assignment(
      source: bundle.encoded(),
      listeners: listeners,
      logs: logs,
      drainLimit: configuration.process.drainLimit,
      hangLimit: configuration.process.hangLimit,
      warnings: warnings.isEmpty ? [] : [warnings]
    )
    assignment.applications = applicationDemands()
    return assignment
  }

  /// A socket for each loop and each address at which datagrams are received.
  private func datagramDemands(
    _ stateDirectory: String
  ) throws(CommandFailure) -> [ListenerDemand] {
    let count = configuration.process.loopCount ?? Int(martlet_available_processors())
    var demands: [ListenerDemand] = []
    for address in configuration.udp.flatMap(\.listeners) {
      let place = try Self.place(of: address, stateDirectory)
      for loop in 0..<max(1, count) {
        demands.append(
          ListenerDemand(
            key: UDPSettings.key(of: address, loop: loop),
            place: place,
            datagrams: loop == 0 ? .first : .beside
          )
        )
      }
    }
    return demands
  }

  private static func place(
    of address: Address,
    _ stateDirectory: String
  ) throws(CommandFailure) -> ListenerDemand.Place {
    switch address {
    case .any(let port): return .anywhere(port: port)
    case .ip(.ipv4(let host), let port): return .at(.ipv4(host, port: port))
    case .ip(.ipv6(let high, let low), let port):
      return .at(.ipv6(high, low, port: port, scope: 0))
    case .unix: return .at(.unix(address.unixPath(in: stateDirectory) ?? ""))
    case .name(let name, let port):
      let reason: String
      do throws(ResolutionError) {
        let found = try SocketAddress.resolve(name, port: port)
        if let first = found.first { return .at(first) }
        reason = "the name has no address"
      } catch {
        reason = error.description
      }
      throw CommandFailure(
        .cannotListen,
        "cannot listen on \(address): \(reason); write the address itself"
      )
    }
  }
}
