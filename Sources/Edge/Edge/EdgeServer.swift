import Configuration
import MartletLoop
public import MartletSystem

/// The loops of an edge process and what they serve.
///
/// May be used from any thread; what it does is done on its loops.
public final class EdgeServer: Sendable {
  private let workers: [LoopLocal<Worker>]
  private let names: LoopLocal<NameResolution>
  private let board: Board

  /// Starts the loops, one thread each, with a generation that listens nowhere yet.
  ///
  /// - Throws: ``SystemError`` when a thread or a descriptor is not to be had.
  public init(loopCount: Int, generation: Generation) throws(SystemError) {
    precondition(loopCount > 0, "an edge has a loop")
    let board = try Board(generation: generation, loopCount: loopCount)
    self.board = board
    var workers: [LoopLocal<Worker>] = []
    for index in 0..<loopCount {
      let loop = try EventLoop()
      workers.append(
        LoopLocal(on: loop) {
          let worker = Worker(loop: loop, index: index, generation: generation, board: board)
          loop.spawn { await worker.tick() }
          return worker
        }
      )
      try loop.startThread()
    }
    let first = workers[0].loop
    names = LoopLocal(on: first) { NameResolution(loop: first, board: board) }
    self.workers = workers
  }

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
    for name in logs.names {
      if let file = try logs.duplicate(of: name) { board.log.open(name, file) }
    }
    await names.perform { await $0.follow(generation, waitingAtMost: .seconds(2)) }
    board.log.configure(generation.configuration.process.errorLog)
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
      if let failure { throw failure }
    }
  }

  /// Stops accepting, and waits until all exchanges have ended, or the limit.
  ///
  /// Connections that wait for a request are told to go with their next answer, or with
  /// `closesIdle` are closed at once. What was logged is written when this returns.
  public func drain(limit: Duration, closesIdle: Bool) async {
    await withDiscardingTaskGroup { group in
      for local in workers {
        group.addTask {
          await local.perform { await $0.drain(limit: limit, closesIdle: closesIdle) }
        }
      }
    }
    board.log.finish()
  }

  /// Whether every loop has turned within the last second.
  public var isTurning: Bool { board.turns(within: .seconds(1)) }

  /// The figures in Prometheus form.
  public func metrics() -> [UInt8] { board.metrics() }

  /// The state as JSON.
  public func status() -> [UInt8] { board.status() }
}
