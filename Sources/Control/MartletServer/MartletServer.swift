/// Martlet as a part of a program: listeners, TLS, HTTP/2, limits, caches, sessions and everything else that a
/// configuration says, around handlers in Swift.
///
/// The one difficulty is what is not here: nobody starts the process again, nobody has other rights than it, and no
/// configuration is loaded anew; who wants these runs `martlet run` in front.
///
/// ```swift
/// let server = try Server(
///   "server { listen 127.0.0.1:8080 \n route / { handler shop } }",
///   handlers: ["shop": Routes { $0.get("/") { try await $1.send("Hello\n") } }]
/// )
/// try server.run()
/// ```
import CLinux
import Configuration
import Directives
import Edge
public import MartletHandlers
import MartletLoop
import MartletProcess
import MartletSystem
import Supervision
import Synchronization

/// Why a server cannot be.
public struct ServerFault: Error, Hashable, Sendable, CustomStringConvertible {
  /// What is wrong, for people; of a configuration everything, each with its place and its mend.
  public let description: String
}

/// A configuration and handlers, served by this process.
public struct Server: Sendable {
  private let bundle: SourceBundle
  private let configuration: EdgeConfiguration
  private let handlers: [String: any MartletHandlers.Handler]
  /// What is doubtful in the configuration, for people; empty: nothing.
  public let warnings: String

  /// Reads a configuration, whose routes name handlers by `handler NAME`.
  ///
  /// - Throws: ``ServerFault`` with everything that is wrong.
  public init(
    _ configuration: String,
    handlers: [String: any MartletHandlers.Handler] = [:]
  ) throws(ServerFault) {
    let bundle = SourceBundle.collected(
      name: "the configuration",
      text: configuration,
      .system,
      fileDirectives: ConfigurationLoader.attachingDirectives
    )
    let loaded = ConfigurationLoader.load(bundle)
    guard let checked = loaded.configuration else {
      throw ServerFault(description: loaded.rendered())
    }
    for name in checked.handlerNames where handlers[name] == nil {
      let known = handlers.keys.sorted().map { "`\($0)`" }.joined(separator: ", ")
      throw ServerFault(
        description:
          "a route has `handler \(name)`, and there are \(known.isEmpty ? "none" : known)"
      )
    }
    if let application = checked.upstreams.first(where: { $0.application != nil }) {
      throw ServerFault(
        description:
          "the application `\(application.name)` needs processes, which `martlet run` starts"
      )
    }
    guard checked.issuance == IssuanceSettings() else {
      throw ServerFault(description: "certificates are obtained by `martlet run` alone")
    }
    (self.bundle, self.configuration, self.handlers) = (bundle, checked, handlers)
    warnings = loaded.rendered()
  }

  /// Serves on loops with threads of their own until the process is told to end by SIGTERM or SIGINT, and then lets
  /// requests that are under way end, up to `drain_limit`.
  ///
  /// Called before the program has other threads: they would get these signals too.
  ///
  /// - Throws: ``ServerFault`` when an address or a file cannot be opened.
  public func run() throws(ServerFault) {
    do {
      try ProcessSignal.block([.terminate, .interrupt])
      let loop = try EventLoop()
      let failure = Mutex<(any Error)?>(nil)
      loop.run(until: {
        do {
          let signals = try SignalQueue([.terminate, .interrupt], on: loop)
          let server = try await start()
          _ = try await signals.next()
          await server.drain(limit: configuration.process.drainLimit, closesIdle: true)
        } catch {
          failure.withLock { $0 = error }
        }
      })
      if let failure = failure.withLock({ $0 }) { throw failure }
    } catch let fault as ServerFault {
      throw fault
    } catch {
      throw ServerFault(description: "\(error)")
    }
  }

  private func start() async throws -> EdgeServer {
    let demands = try assignment()
    let named = NamedDescriptors()
    for (key, file) in try demands.openSockets() {
      named.insert(try file.descriptor.duplicate(), for: key)
    }
    let logs = NamedDescriptors()
    for (key, file) in try demands.openLogs() {
      logs.insert(try file.descriptor.duplicate(), for: key)
    }
    let process = configuration.process
    let directory = process.stateDirectory ?? "."
    let empty = try Generation(
      EdgeConfiguration(process: process),
      number: 0,
      stateDirectory: directory
    )
    let files = try TLSFiles(of: configuration, in: bundle, logs: logs)
    let server = try EdgeServer(
      loopCount: process.loopCount ?? Int(martlet_available_processors()),
      generation: empty
    )
    let (configuration, handlers) = (configuration, handlers)
    try await server.publish(sockets: named, logs: logs) { previous in
      try Generation(
        configuration,
        number: 1,
        stateDirectory: directory,
        files: files,
        handlers: handlers,
        continuing: previous
      )
    }
    return server
  }

  /// The sockets and files that are needed.
  private func assignment() throws -> Assignment {
    let directory = configuration.process.stateDirectory ?? "."
    var listeners: [ListenerDemand] = []
    for address in configuration.listeningAddresses {
      listeners.append(
        ListenerDemand(
          key: address.description,
          place: try Self.place(of: address, directory),
          backlog: 511
        )
      )
    }
    for listener in configuration.tcp.flatMap(\.listeners) {
      listeners.append(
        ListenerDemand(
          key: listener.key,
          place: try Self.place(of: listener.address, directory),
          backlog: Int32(listener.backlogCount),
          sharesPort: listener.reusesPort
        )
      )
    }
    guard configuration.udp.isEmpty else {
      throw ServerFault(description: "datagrams are received by `martlet run` alone")
    }
    var logs: [LogDemand] = []
    for case .file(let path) in configuration.accessLogs.map(\.destination) {
      let demand = LogDemand(key: path, path: path)
      if !logs.contains(demand) { logs.append(demand) }
    }
    if case .file(let path) = configuration.process.errorLog.destination {
      logs.append(LogDemand(key: EdgeServer.errorLogKey, path: path))
    }
    return Assignment(
      source: [],
      listeners: listeners,
      logs: logs,
      drainLimit: configuration.process.drainLimit,
      hangLimit: nil,
      warnings: []
    )
  }

  private static func place(
    of address: Address,
    _ directory: String
  ) throws -> ListenerDemand.Place {
    switch address {
    case .any(let port): return .anywhere(port: port)
    case .ip(.ipv4(let host), let port): return .at(.ipv4(host, port: port))
    case .ip(.ipv6(let high, let low), let port):
      return .at(.ipv6(high, low, port: port, scope: 0))
    case .unix: return .at(.unix(address.unixPath(in: directory) ?? ""))
    case .name(let name, let port):
      guard let first = try SocketAddress.resolve(name, port: port).first else {
        throw ServerFault(description: "`\(name)` has no address")
      }
      return .at(first)
    }
  }
}
