import MartletQueues
public import MartletSync
public import MartletSystem
import Synchronization

/// Why work was not taken.
public enum PoolFailure: Error, Hashable, Sendable {
  /// As much waits as may.
  case full
  /// The pool is shut down.
  case shutDown
  /// The task that waited for room was cancelled.
  case cancelled
  /// No thread could be started, and none runs.
  case noThread(SystemError)
}

/// A bounded number of threads that do work, and a bounded queue of what waits for one.
///
/// Threads are started when work waits for them, up to the limit, and stay. The results are ``Future``s. A
/// pool that nobody has any more ends when its queue is empty.
public final class ThreadPool: Sendable {
  /// What happens to work for which there is no room.
  public enum Overflow: Sendable {
    /// Who submits it waits: blocked, or suspended.
    case wait
    /// It is refused with ``PoolFailure/full``.
    case refuse
    /// Who submits it does it.
    case callerRuns
  }

  /// How a pool ends.
  public enum Shutdown: Sendable {
    /// What waits is done.
    case draining
    /// What waits is cancelled; what runs goes on to its end.
    case cancelling
  }

  /// The most threads.
  public let threadLimit: Int
  private let overflow: Overflow
  private let core: Core

  /// What threads share; the pool itself is not theirs, so that it can go.
  private final class Core: Sendable {
    let queue: Queue<any PoolWork>
    let threadCount = Atomic<Int>(0)
    let idleCount = Atomic<Int>(0)
    let ended = Event()

    init(_ queueLimit: Int) { queue = Queue(capacity: queueLimit) }

    func work() {
      while true {
        idleCount.add(1, ordering: .relaxed)
        let work = queue.next()
        idleCount.subtract(1, ordering: .relaxed)
        guard let work else { break }
        work.run()
      }
      if threadCount.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 { ended.set() }
    }
  }

  /// Creates a pool; no thread is started before the first work.
  public init(threadLimit: Int, queueLimit: Int = 1024, whenFull overflow: Overflow = .wait) {
    precondition(threadLimit > 0, "a pool has threads")
    self.threadLimit = threadLimit
    self.overflow = overflow
    core = Core(queueLimit)
  }

  deinit { core.queue.close() }

  /// How many threads run, and how much waits for one.
  public var counts: (threads: Int, waiting: Int) {
    (core.threadCount.load(ordering: .relaxed), core.queue.count)
  }

  // MARK: Submitting

  /// Has work done; blocks the calling thread for room where the pool says so.
  ///
  /// - Throws: ``PoolFailure``.
  @discardableResult
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func submit<Value: Sendable>(
    _ body: @escaping @Sendable () throws -> Value
  ) throws(PoolFailure) -> Future<Value> {
    let future = Future(body)
    guard try !isSubmitted(future) else { return future }
    do { try core.queue.put(future) } catch { throw .shutDown }
    return future
  }

  /// Has work done; suspends the calling coroutine for room where the pool says so.
  ///
  /// - Throws: ``PoolFailure``.
  @discardableResult
  public func submit<Value: Sendable>(
    _ body: @escaping @Sendable () throws -> Value
  ) async throws(PoolFailure) -> Future<Value> {
    let future = Future(body)
    guard try !isSubmitted(future) else { return future }
    do throws(QueueFailure) {
      try await core.queue.put(future)
    } catch {
      throw error == .cancelled ? .cancelled : .shutDown
    }
    return future
  }

  /// The results of all inputs, in their order; blocks the calling thread.
  ///
  /// Inputs are taken as there is room: of an endless sequence no more is held than the pool's queue and its
  /// threads. `chunk` inputs are one piece of work.
  ///
  /// - Throws: ``PoolFailure``, or the first failure in the order of the inputs; what has not begun is
  ///   cancelled then.
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func map<Input: Sendable, Output: Sendable>(
    _ inputs: some Sequence<Input>,
    chunk: Int = 1,
    _ body: @escaping @Sendable (Input) throws -> Output
  ) throws -> [Output] {
    var futures: [Future<[Output]>] = []
    do {
      for part in Chunks(inputs, size: chunk) {
        futures.append(try submit { try part.map(body) })
      }
      return try futures.flatMap { try $0.result() }
    } catch {
      for future in futures { future.cancel() }
      throw error
    }
  }

  /// The results of all inputs, in their order; suspends the calling coroutine.
  ///
  /// - Throws: ``PoolFailure``, or the first failure in the order of the inputs; what has not begun is
  ///   cancelled then.
  public func map<Input: Sendable, Output: Sendable>(
    _ inputs: some Sequence<Input>,
    chunk: Int = 1,
    _ body: @escaping @Sendable (Input) throws -> Output
  ) async throws -> [Output] {
    var futures: [Future<[Output]>] = []
    do {
      for part in Chunks(inputs, size: chunk) {
        futures.append(try await submit { try part.map(body) })
      }
      var outputs: [Output] = []
      for future in futures { outputs += try await future.result() }
      return outputs
    } catch {
      for future in futures { future.cancel() }
      throw error
    }
  }

  // MARK: The end

  /// Takes no more work; what waits is done or cancelled.
  public func shutDown(_ kind: Shutdown = .draining) {
    core.queue.close()
    if kind == .cancelling {
      while let work = core.queue.tryTake() { work.cancel() }
    }
  }

  /// Blocks the calling thread until all threads have ended; the pool must be shut down for that.
  ///
  /// - Throws: ``WaitFailure/timedOut``.
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func join(within limit: Duration) throws(WaitFailure) {
    if hasThreads { try core.ended.wait(within: limit) }
  }

  /// Suspends the calling coroutine until all threads have ended; the pool must be shut down for that.
  ///
  /// - Throws: ``WaitFailure``.
  public func join(within limit: Duration? = nil) async throws(WaitFailure) {
    if hasThreads { try await core.ended.wait(within: limit) }
  }

  // MARK: Steps

  private var hasThreads: Bool {
    precondition(core.queue.isClosed, "a pool is joined that nobody has shut down")
    return core.threadCount.load(ordering: .acquiring) > 0
  }

  /// Puts work into the queue, or does otherwise with it what the pool does when that is full.
  ///
  /// - Returns: false when it must be waited for room.
  private func isSubmitted(_ work: some PoolWork) throws(PoolFailure) -> Bool {
    if core.idleCount.load(ordering: .relaxed) <= core.queue.count { try startThread() }
    if core.queue.tryPut(work) { return true }
    if core.queue.isClosed { throw .shutDown }
    switch overflow {
    case .wait: return false
    case .refuse: throw .full
    case .callerRuns:
      work.run()
      return true
    }
  }

  private func startThread() throws(PoolFailure) {
    guard core.threadCount.load(ordering: .relaxed) < threadLimit, !core.queue.isClosed else {
      return
    }
    guard core.threadCount.add(1, ordering: .acquiringAndReleasing).newValue <= threadLimit else {
      core.threadCount.subtract(1, ordering: .acquiringAndReleasing)
      return
    }
    let core = core
    do throws(SystemError) {
      try Thread.start { core.work() }
    } catch {
      let rest = core.threadCount.subtract(1, ordering: .acquiringAndReleasing).newValue
      guard rest > 0 else { throw .noThread(error) }
    }
  }
}

/// A sequence in pieces of one size, the last of which may be shorter.
struct Chunks<Base: Sequence>: Sequence, IteratorProtocol {
  private var base: Base.Iterator
  private let size: Int

  init(_ base: Base, size: Int) {
    precondition(size > 0, "a chunk has one input or more")
    self.base = base.makeIterator()
    self.size = size
  }

  mutating func next() -> [Base.Element]? {
    var chunk: [Base.Element] = []
    while chunk.count < size, let element = base.next() { chunk.append(element) }
    return chunk.isEmpty ? nil : chunk
  }
}
