import Configuration
import MartletLoop
import MartletNet
public import MartletSystem

/// The loops of an edge process and what they serve.
///
/// May be used from any thread; what it does is done on its loops.
public final class EdgeServer: Sendable {
  let workers: [LoopLocal<Worker>]
  let names: LoopLocal<NameResolution>
  let board: Board
  /// What makes changes come one after the other.
  let turns: LoopLocal<Turns>

  /// Starts the loops, one thread each, with a generation that listens nowhere yet.
  ///
  /// - Throws: ``SystemError`` when a thread or a descriptor is not to be had.
  public init(loopCount: Int, generation: Generation) throws(SystemError) {
    precondition(loopCount > 0, "an edge has a loop")
    let board = try Board(generation: generation, loopCount: loopCount)
    self.board = board
    let polling = generation.configuration.process.polling ?? .epoll
    // What cannot be watched is not to be had: connections wait until there is a number below.
    if let limit = polling.descriptorLimit { try Resources.limitDescriptors(to: limit) }
    var workers: [LoopLocal<Worker>] = []
    for index in 0..<loopCount {
      let loop = try EventLoop(kernel: InnerKernel(), polling: polling)
      workers.append(
        LoopLocal(on: loop) {
          let worker = Worker(
            loop: loop,
            index: index,
            of: loopCount,
            generation: generation,
            board: board
          )
          loop.spawn(named: "keep time") { await worker.tick() }
          return worker
        }
      )
      try loop.startThread()
    }
    let first = workers[0].loop
    names = LoopLocal(on: first) { NameResolution(loop: first, board: board) }
    turns = LoopLocal(on: first) { Turns(on: first) }
    self.workers = workers
  }

  /// The generation in force, with the figures of the members it has by now: what the next one
  /// continues.
  public var generation: Generation { board.generation }

  /// Puts a generation in force on all loops.
  ///
  /// `sockets` are named after the addresses of the generation, `logs` after the destinations of
  /// its logs (``Configuration/LogDestination``); those that were given before need not be given
  /// again. Names of members are resolved first, as far as that is quick.
  ///
  /// - Throws: ``SystemError`` when a socket cannot be watched.
  public func publish(
    _ generation: Generation,
    sockets: NamedDescriptors,
    logs: NamedDescriptors = NamedDescriptors()
  ) async throws(SystemError) {
    await turns.perform { await $0.take() }
    let failure = await put(generation, sockets, logs)
    await turns.perform { $0.giveBack() }
    if let failure { throw failure }
  }

  /// Compiles the generation that follows the one in force, and puts it in force like
  /// ``publish(_:sockets:logs:)``; no member comes or goes meanwhile.
  ///
  /// - Throws: What `make` throws, or ``SystemError`` when a socket cannot be watched.
  public func publish(
    sockets: NamedDescriptors,
    logs: NamedDescriptors,
    _ make: @Sendable (Generation) throws -> Generation
  ) async throws {
    await turns.perform { await $0.take() }
    let result: Result<Generation, any Error>
    do { result = .success(try make(generation)) } catch { result = .failure(error) }
    var failure: SystemError?
    if case .success(let next) = result { failure = await put(next, sockets, logs) }
    await turns.perform { $0.giveBack() }
    _ = try result.get()
    if let failure { throw failure }
  }

  private func put(
    _ generation: Generation,
    _ sockets: NamedDescriptors,
    _ logs: NamedDescriptors
  ) async -> SystemError? {
    do throws(SystemError) {
      for name in logs.names {
        if let file = try logs.duplicate(of: name) { board.log.open(name, file) }
      }
    } catch {
      return error
    }
    await names.perform { await $0.follow(generation, waitingAtMost: .seconds(2)) }
    board.log.configure(generation.configuration.process.errorLog)
    board.overload.configure(generation.configuration.process.overload)
    board.publish(generation)
    for local in workers {
      let failure = await local.perform { worker -> SystemError? in
        do throws(SystemError) {
          try worker.publish(generation, sockets: sockets)
          return nil
        } catch {
          return error
        }
      }
      if let failure { return failure }
    }
    return nil
  }

  /// Stops accepting, and waits until all exchanges have ended, or the limit.
  ///
  /// Connections that wait for a request are told to go with their next answer, or with
  /// `closesIdle` are closed at once. What was logged is written when this returns.
  public func drain(limit: Duration, closesIdle: Bool) async {
    // Whoever takes over finds them free.
    await workers[0].perform { await $0.closeDisks() }
    await withDiscardingTaskGroup { group in
      for local in workers {
        group.addTask {
          await local.perform { await $0.drain(limit: limit, closesIdle: closesIdle) }
        }
      }
    }
    await endApplications()
    board.log.finish()
  }

  /// Whether this process may connect to members from the addresses of clients.
  ///
  /// - Throws: ``SystemError``: EPERM without the capability CAP_NET_ADMIN or CAP_NET_RAW.
  public static func checkForeignSources() throws(SystemError) {
    try ConnectionSource.checkForeignIsAllowed()
  }

  /// Under this name the file of the error log is among those that ``publish(_:sockets:logs:)`` is given.
  public static let errorLogKey = LogWriter.errorLog

  /// Whether every loop has turned within the last second.
  public var isTurning: Bool { board.turns(within: .seconds(1)) }

  /// The figures in Prometheus form.
  public func metrics() -> [UInt8] { board.metrics() }

  /// The state as JSON.
  public func status() -> [UInt8] { board.status() }
}
