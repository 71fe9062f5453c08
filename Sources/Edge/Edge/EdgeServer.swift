import MartletLoop
public import MartletSystem

/// The loops of an edge process and what they serve.
///
/// Used from a loop of its own, which does not serve requests.
public final class EdgeServer: Sendable {
  private let workers: [LoopLocal<Worker>]
  private let board: Board

  /// Starts the loops, one thread each, with a generation that listens nowhere yet.
  ///
  /// - Throws: ``SystemError`` when a thread or a descriptor is not to be had.
  public init(loopCount: Int, generation: Generation) throws(SystemError) {
    let board = Board(generation: generation)
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
    self.workers = workers
  }

  /// Puts a generation in force on all loops, with sockets for its addresses.
  ///
  /// - Throws: ``SystemError`` when a socket cannot be watched.
  public func publish(
    _ generation: Generation,
    sockets: ListenerSockets
  ) async throws(SystemError) {
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
  public func drain(limit: Duration, closesIdle: Bool) async {
    for local in workers {
      await local.perform { worker in await worker.drain(limit: limit, closesIdle: closesIdle) }
    }
  }
}
