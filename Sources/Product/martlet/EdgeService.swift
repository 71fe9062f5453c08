import Admin
import CLinux
import Certificates
import Configuration
import Directives
import Edge
import Handover
import HealthChecks
import JSON
import MartletLoop
import MartletProcess
import MartletSystem
import Supervision
import TLS

/// The edge's side of the handover: what the supervisor asks for is done with an `EdgeServer`.
final class EdgeService {
  /// What stands in front of the address in the key of the admin listener.
  static let adminPrefix = "admin "
  /// Under this name the edge has the file of its error log.
  static let errorLogKey = EdgeServer.errorLogKey

  let loop: EventLoop
  private let stateDirectory: String
  /// Where certificates are kept when the configuration does not say.
  let storage: String
  private let finished: Signal
  private let memory = EdgeMemory.inherited()
  private(set) var server: EdgeServer?
  private(set) var health: HealthMonitor?
  var certificates: CertificateKeeper?
  var staples: StapleKeeper?
  private var watch: CertificateWatch?
  /// What that has obtained.
  let automatic = AutomaticCertificates()
  private var admin: (key: String, server: AdminServer)?
  private var isDraining = false
  /// Whether it is looked whether processes of applications take too long.
  var watchesWorkers = false
  /// The configuration in force as it was read, and what was changed since.
  private(set) var base: EdgeConfiguration?
  var changes = ChangeSet()
  /// In which generation those changes were made that hold until a reload.
  var changesGeneration: UInt64 = 0

  init(
    on loop: EventLoop,
    stateDirectory: String,
    storage: String
  ) throws(CommandFailure) {
    guard let finished = Signal(on: loop) else {
      throw CommandFailure(.failure, "no timer is left")
    }
    self.loop = loop
    self.stateDirectory = stateDirectory
    self.storage = storage
    self.finished = finished
  }

  /// Serves what the supervisor at the other end of `channel` offers, until it says stop.
  func run(_ channel: HandoverChannel, _ signals: SignalQueue) async {
    let service = self
    loop.spawn(named: "listen to the supervisor") { await service.listen(to: channel) }
    loop.spawn(named: "listen to signals") { await service.listen(to: signals) }
    loop.spawn(named: "tell the supervisor of turns") { await service.tellTurns(to: channel) }
    do throws(WaitError) { try await finished.wait() } catch {}
  }

  /// Serves what was started, without a supervisor, until a signal says stop.
  func run(_ signals: SignalQueue) async {
    do throws(WaitError) { _ = try await signals.next() } catch {}
    await drain(nil, closesIdle: true)
  }

  /// Opens what a configuration needs and puts it in force.
  ///
  /// - Throws: ``CommandFailure``.
  func start(
    _ checked: CheckedConfiguration,
    _ directory: String
  ) async throws(CommandFailure) {
    let assignment = try checked.assignment(stateDirectory: directory)
    let sockets = try assignment.openSockets()
    let logs = try assignment.openLogs()
    let offer = GenerationOffer(
      number: 1,
      source: assignment.source,
      listeners: sockets.map(\.key),
      logs: logs.map(\.key)
    )
    try await take(offer, sockets.map(\.file) + logs.map(\.file))
    Console.say("listening on \(sockets.map(\.key).joined(separator: ", "))")
  }

  private func listen(to signals: SignalQueue) async {
    do throws(WaitError) {
      while true {
        // SIGINT is for the supervisor.
        if try await signals.next() == .terminate { await drain(nil, closesIdle: true) }
      }
    } catch {
      finished.set()
    }
  }

  private func listen(to channel: HandoverChannel) async {
    let service = self
    do throws(HandoverError) {
      while let delivery = try await channel.receive() {
        switch delivery.message {
        case .generation(let offer):
          try channel.post(await answer(to: offer, delivery.files))
        case .logs(let keys): await reopen(keys, delivery.files)
        case .drain(let limit, let closesIdle):
          loop.spawn(named: "drain") { await service.drain(limit, closesIdle: closesIdle) }
        case .stop: finished.set()
        case .ask: try channel.post(report())
        case .call(let number, let method, let arguments):
          // One change after the other, and none while a generation is put in force.
          if ControlMethods.changing.contains(method) {
            await answer(number, method, arguments, on: channel)
          } else {
            loop.spawn(named: "answer a call") {
              await service.answer(number, method, arguments, on: channel)
            }
          }
        case .changes(let state): take(state)
        case .worker, .retireWorker, .workerEnded:
          await take(delivery.message, delivery.files, of: channel)
        case .ready, .refused, .drained, .report, .alive, .answer, .workerHangs,
          .workersWanted:
          break
        }
      }
    } catch {
      Console.complain("martlet: the edge does not understand its supervisor: \(error)")
    }
    // Without a supervisor nobody would start this process again: what is under way may end.
    await drain(nil, closesIdle: true)
  }

  /// Tells the supervisor again and again that the loops turn, as long as they do.
  private func tellTurns(to channel: HandoverChannel) async {
    while true {
      // A supervisor that does not read, because it was stopped, need not be told twice.
      if server?.isTurning ?? true, channel.isIdle {
        do throws(HandoverError) { try channel.post(.alive) } catch { return }
      }
      do throws(WaitError) { try await loop.sleep(for: Self.turnPause) } catch { return }
    }
  }

  private static let turnPause = Duration.milliseconds(500)

  private func answer(
    _ number: UInt32,
    _ method: String,
    _ arguments: [UInt8],
    on channel: HandoverChannel
  ) async {
    let before = runtimeState
    let outcome = await perform(method, arguments)
    let isChange = ControlMethods.changing.contains(method) && runtimeState != before
    let state = isChange ? runtimeState : nil
    do throws(HandoverError) {
      try channel.post(.answer(number: number, outcome: outcome, changes: state))
    } catch {
      Console.complain("martlet: a call could not be answered: \(error)")
    }
  }

  private func answer(to offer: GenerationOffer, _ files: [OpenFile]) async -> HandoverMessage {
    do throws(CommandFailure) {
      try await take(offer, files)
      return .ready(generation: offer.number)
    } catch {
      return .refused(generation: offer.number, reason: error.message)
    }
  }

  /// Puts a generation in force.
  ///
  /// - Throws: ``CommandFailure``; what was served before still is.
  func take(_ offer: GenerationOffer, _ files: [OpenFile]) async throws(CommandFailure) {
    // The keys of certificates are in here, and from then on in OpenSSL's hands alone.
    defer { Secret.forget(offer.source) }
    guard let bundle = SourceBundle(encoded: offer.source) else {
      throw CommandFailure(.failure, "the configuration was handed over in another form")
    }
    let configuration = try CheckedConfiguration(bundle).configuration
    defer { bundle.forgetSecrets(of: configuration) }
    if server == nil { try dropRights(configuration.process) }
    try Self.checkSources(of: configuration)
    do {
      try HealthMonitor.checkRights(configuration)
      let sockets = try Self.named(offer.listeners, files)
      let logs = try Self.named(offer.logs, files.dropFirst(offer.listeners.count))
      let tlsFiles = try TLSFiles(of: configuration, in: bundle, logs: logs)
      let server = try server ?? start(configuration)
      self.server = server
      let directory = stateDirectory
      let secret = secret
      let monitor = monitor(of: server)
      let known = monitor.known
      let automatic = automatic
      keeper(of: server).prepare(configuration, bundle, usualStorage: storage)
      stapler(of: server).prepare(
        configuration,
        tlsFiles,
        storage: configuration.issuance.storage ?? storage
      )
      let watch = watch ?? CertificateWatch(on: loop) { server.note($0) }
      self.watch = watch
      watch.prepare(configuration) { tlsFiles.identity($0)?.certificates }
      let changes = changes(in: offer.number)
      let effective = configuration.applying(changes.layers)
      try await server.publish(sockets: sockets, logs: logs) { previous in
        let next = try Generation(
          effective,
          number: offer.number,
          stateDirectory: directory,
          secret: secret,
          files: tlsFiles,
          automatic: automatic,
          continuing: previous
        )
        known.apply(to: next.upstreams)
        next.order(effective)
        return next
      }
      base = configuration
      self.changes = changes
      changesGeneration = offer.number
      monitor.follow(server.generation.upstreams)
      certificates?.follow()
      staples?.follow()
      watch.follow()
      try openAdmin(zip(offer.listeners, files).first { $0.0.hasPrefix(Self.adminPrefix) }, server)
    } catch {
      throw CommandFailure(.failure, "\(error)")
    }
  }

  /// What cookies are sealed with: the secret of the edge before this one, or a new one.
  private lazy var secret: String = {
    if let known = memory?.bytes(of: "secret"), !known.isEmpty {
      return String(decoding: known, as: UTF8.self)
    }
    memory?.store(Array(Generation.ownSecret.utf8), as: "secret")
    return Generation.ownSecret
  }()

  /// What checks the members of this server, and tells programs of what it finds.
  private func monitor(of server: EdgeServer) -> HealthMonitor {
    if let health { return health }
    let commands = ChangeCommands(on: loop) { problem, change in
      server.complain(problem, of: change)
    }
    let monitor = HealthMonitor(on: loop, memory: memory) { change in
      server.note(change)
      commands.tell(change)
    }
    health = monitor
    let service = self
    loop.spawn(named: "tell of changes of health") {
      await service.tellChanges(of: server, by: commands)
    }
    return monitor
  }

  /// Hands the changes that loops have made to those who run programs.
  private func tellChanges(of server: EdgeServer, by commands: ChangeCommands) async {
    while true {
      do throws(WaitError) { try await loop.sleep(for: Self.turnPause) } catch { return }
      for change in server.takeHealthChanges() { commands.tell(change) }
    }
  }

  /// Starts the loops, with a generation that has nothing.
  private func start(_ configuration: EdgeConfiguration) throws -> EdgeServer {
    let process = configuration.process
    let generation = try Generation(
      EdgeConfiguration(process: process),
      number: 0,
      stateDirectory: stateDirectory
    )
    let loopCount = process.loopCount ?? Int(martlet_available_processors())
    do {
      return try EdgeServer(loopCount: loopCount, generation: generation)
    } catch {
      guard error.call == .ioUringSetup else { throw error }
      throw CommandFailure(
        .failure,
        "`polling io_uring` is not to be had here: \(error); `polling auto` takes what is"
      )
    }
  }

  private static func named(
    _ keys: [String],
    _ files: some Sequence<OpenFile>
  ) throws(SystemError) -> NamedDescriptors {
    let named = NamedDescriptors()
    for (key, file) in zip(keys, files) {
      named.insert(try file.descriptor.duplicate(), for: key)
    }
    return named
  }

  private func dropRights(_ settings: ProcessSettings) throws(CommandFailure) {
    do throws(SystemError) {
      if let user = settings.user {
        let rights = try UserRights(user: user, group: settings.group)
        if rights.user != Processes.ownUser { try rights.assume() }
      }
      try UserRights.forbidNewRights()
      try Secret.forbidDumps()
    } catch {
      let reason = error.code == 2 ? "there is no such user or group" : "\(error)"
      throw CommandFailure(.noRight, "cannot run as user \(settings.user ?? ""): \(reason)")
    }
  }

  /// Sees to it that `source transparent` is allowed, which each connection would fail for otherwise.
  private static func checkSources(
    of configuration: EdgeConfiguration
  ) throws(CommandFailure) {
    guard configuration.tcp.contains(where: { $0.source == .transparent }) else { return }
    do throws(SystemError) {
      try EdgeServer.checkForeignSources()
    } catch {
      throw CommandFailure(
        .noRight,
        "`source transparent` needs the capability CAP_NET_ADMIN, which the edge process does not have "
          + "(\(error)): start as root without `user`, or remove it"
      )
    }
  }

  private func openAdmin(
    _ socket: (key: String, file: OpenFile)?,
    _ server: EdgeServer
  ) throws(SystemError) {
    guard socket?.key != admin?.key else { return }
    admin?.server.close()
    admin = nil
    guard let socket else { return }
    let responder = try AdminServer(socket.file, on: loop) { path in
      switch path {
      case "/metrics": AdminPage(.metrics, server.metrics())
      case "/status": AdminPage(.json, server.status())
      default: nil
      }
    }
    admin = (socket.key, responder)
  }

  private func reopen(_ keys: [String], _ files: [OpenFile]) async {
    guard let server else { return }
    do {
      let logs = try Self.named(keys, files)
      // Those of the secrets of TLS belong to contexts that are in use.
      for name in logs.names where name.hasPrefix(TLSFiles.keyLogPrefix) { _ = logs.remove(name) }
      try await server.publish(sockets: NamedDescriptors(), logs: logs) { $0 }
    } catch {
      Console.complain("martlet: the log files could not be exchanged: \(error)")
    }
  }

  private func drain(_ limit: Duration?, closesIdle: Bool) async {
    guard !isDraining else { return }
    isDraining = true
    health?.end()
    certificates?.end()
    staples?.end()
    watch?.end()
    let limit = limit ?? server?.generation.configuration.process.drainLimit ?? .zero
    await server?.drain(limit: limit, closesIdle: closesIdle)
    finished.set()
  }

  private func report() -> HandoverMessage {
    guard let server else { return .report(json: "null", text: "") }
    let limits = JSONLimits(byteCount: HandoverLimits.messageBytes, valueCount: 1_000_000)
    do throws(JSONError) {
      let json = try JSONValue(parsing: server.status(), limits: limits)
      return .report(json: json.compact, text: PlainJSON(json).lines.joined(separator: "\n"))
    } catch {
      return .report(json: "null", text: "\(error)")
    }
  }
}
