public import Foundation

/// Everything that one test starts; it ends with the test.
public final class Rig: Sendable {
  /// A fresh folder for the test's files.
  public let folder: URL

  private let state = Guarded<State>(State())

  private struct State {
    var peers: [Peer] = []
    var members: [ScriptedMember] = []
    var ports: [BoundSocket] = []
  }

  private init() throws {
    folder = FileManager.default.temporaryDirectory
      .appendingPathComponent("martlet-\(UInt32.random(in: 0 ..< .max))")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  /// Runs `body` on a thread of its own, where it may block, and ends what it has started.
  ///
  /// - Throws: What `body` throws.
  public static func run<Result: Sendable>(
    _ body: @escaping @Sendable (Rig) throws -> Result
  ) async throws -> Result {
    let rig = try Rig()
    let thread = TestThread()
    defer { thread.stop() }
    // The body stays in the test's task, so that what it expects is told of the right test.
    return try await withTaskExecutorPreference(thread) { try await perform(body, rig) }
  }

  @concurrent private static func perform<Result: Sendable>(
    _ body: @Sendable (Rig) throws -> Result,
    _ rig: Rig
  ) async throws -> Result {
    defer { rig.end() }
    return try body(rig)
  }

  private func end() {
    let (peers, members) = state.withLock { ($0.peers, $0.members) }
    for peer in peers.reversed() { peer.end() }
    for member in members { member.stop() }
    do {
      try FileManager.default.removeItem(at: folder)
    } catch {
      // What is left of a folder under the system's temporary one does no harm.
      return
    }
  }

  // MARK: Files and ports

  /// Writes a file of the folder.
  ///
  /// - Throws: An error of Foundation when it cannot be written.
  @discardableResult public func write(_ text: String, to name: String) throws -> String {
    try write(Array(text.utf8), to: name)
  }

  /// Writes a file of the folder.
  ///
  /// - Throws: An error of Foundation when it cannot be written.
  @discardableResult public func write(_ bytes: [UInt8], to name: String) throws -> String {
    let file = folder.appendingPathComponent(name)
    try FileManager.default.createDirectory(
      at: file.deletingLastPathComponent(),
      withIntermediateDirectories: true
    )
    try Data(bytes).write(to: file)
    return file.path
  }

  /// Reads a file of the folder.
  ///
  /// - Throws: An error of Foundation when it cannot be read.
  public func read(_ name: String) throws -> [UInt8] {
    Array(try Data(contentsOf: folder.appendingPathComponent(name)))
  }

  /// The path of a file of the folder.
  public func path(_ name: String) -> String { folder.appendingPathComponent(name).path }

  /// A port where nobody listens, which is kept for the test.
  ///
  /// - Throws: ``PeerError`` when the kernel has none.
  public func freePort() throws -> Endpoint {
    let bound = try BoundSocket()
    state.withLock { $0.ports.append(bound) }
    return bound.endpoint
  }

  /// A Unix socket of the folder.
  public func socket(_ name: String) -> Endpoint { .unix(path(name)) }

  // MARK: Processes

  /// Starts a process; `arguments` begin with its program.
  ///
  /// - Throws: An error of Foundation when it cannot be started.
  @discardableResult public func start(_ arguments: [String]) throws -> Peer {
    let peer = try Peer(arguments, in: folder)
    state.withLock { $0.peers.append(peer) }
    return peer
  }

  /// Starts a process that listens at `endpoint`, and waits until it does.
  ///
  /// - Throws: ``PeerError`` when it ends or does not listen in time.
  public func start(_ arguments: [String], at endpoint: Endpoint) throws -> Peer {
    let peer = try Peer(arguments, in: folder, at: endpoint)
    state.withLock { $0.peers.append(peer) }
    try peer.ready()
    return peer
  }

  /// Runs a process to its end and returns its status and what it has written.
  ///
  /// - Throws: ``PeerError`` when it does not end in time.
  public func outcome(
    of arguments: [String],
    within limit: Duration = patience
  ) throws -> (status: Int32, lines: [String]) {
    let peer = try start(arguments)
    let status = try peer.status(within: limit)
    // A test that asks again and again would hold the pipes of all that it has asked with.
    state.withLock { state in state.peers.removeAll { $0 === peer } }
    return (status, peer.lines)
  }

  /// Starts a member in this process; `serve` is run for each of its connections.
  ///
  /// - Throws: ``PeerError`` when the kernel has no port.
  public func member(_ serve: @escaping @Sendable (Wire) throws -> Void) throws -> ScriptedMember {
    let member = try ScriptedMember(serve)
    state.withLock { $0.members.append(member) }
    return member
  }
}

/// An executor with a thread of its own, which a test may block.
private final class TestThread: TaskExecutor {
  private let state = Guarded<(jobs: [UnownedJob], isStopped: Bool)>(([], false))
  private let change = NSCondition()

  init() {
    let thread = Thread { [self] in
      while let job = next() { unsafe job.runSynchronously(on: asUnownedTaskExecutor()) }
    }
    thread.stackSize = 1 << 21
    thread.start()
  }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    state.withLock { $0.jobs.append(job) }
    wake()
  }

  /// Ends the thread, and with it every process that it has started.
  func stop() {
    state.withLock { $0.isStopped = true }
    wake()
  }

  private func wake() {
    change.lock()
    change.broadcast()
    change.unlock()
  }

  private func next() -> UnownedJob? {
    change.lock()
    defer { change.unlock() }
    while true {
      let (job, isStopped) = state.withLock { state in
        (state.jobs.isEmpty ? nil : state.jobs.removeFirst(), state.isStopped)
      }
      if let job { return job }
      if isStopped { return nil }
      change.wait()
    }
  }
}
