import MartletQueues
public import MartletSync
public import MartletSystem

/// A bounded number of processes that do work, and a bounded queue of what waits for one.
///
/// The processes are this program, started anew, and know the work by its name: see ``WorkerTask`` and
/// ``WorkerProcess/serveIfAsked(_:)-(RegisteredTask...)``. They are started when work waits for them, up to the limit, and stay. One that
/// crashes, hangs or has too much memory is replaced, and its work is tried again or fails, as
/// ``Limits`` say; a result comes once, whatever happens. No process outlives the pool, be this process
/// killed.
public final class ProcessPool: Sendable {
  /// What a worker and its work may take.
  public struct Limits: Sendable {
    /// How often work is tried whose process ends under it.
    ///
    /// Work that is tried more than once may be done more than once, with one result: it should not matter.
    public var tries = 1
    /// How long work may take, counted from when its worker begins it.
    public var time: Duration?
    /// How much memory a worker may have, looked at every 50 ms and behind each work.
    public var memoryBytes: Int?
    /// After how much work a process is replaced.
    public var workCount: Int?
    /// How long a process may take to be ready.
    public var startTime = Duration.seconds(30)

    /// One try, and no limits.
    public init(
      tries: Int = 1,
      time: Duration? = nil,
      memoryBytes: Int? = nil,
      workCount: Int? = nil
    ) {
      precondition(tries > 0, "work is tried once or more")
      self.tries = tries
      self.time = time
      self.memoryBytes = memoryBytes
      self.workCount = workCount
    }
  }

  /// How a pool ends.
  public enum Shutdown: Sendable {
    /// What waits is done.
    case draining
    /// What waits is cancelled; what runs goes on to its end.
    case cancelling
    /// What waits is cancelled; what runs is killed, with ``WorkerFailure/killed``.
    case killing
  }

  private let core: ProcessPoolCore
  private let overflow: ThreadPool.Overflow

  /// Creates a pool; no process is started before the first work.
  ///
  /// The workers run `program`; nil: this program, with the arguments that it was given.
  ///
  /// - Throws: ``SystemError`` when no descriptor is to be had.
  public init(
    processLimit: Int,
    queueLimit: Int = 1024,
    whenFull overflow: ThreadPool.Overflow = .wait,
    limits: Limits = Limits(),
    program: Program? = nil
  ) throws(SystemError) {
    precondition(1...1024 ~= processLimit, "a pool has 1 to 1024 processes")
    precondition(
      !WorkerProcess.isAsked,
      "a worker makes a pool: call WorkerProcess.serveIfAsked(…) at the beginning of the program"
    )
    self.overflow = overflow
    core = ProcessPoolCore(
      processLimit,
      queueLimit,
      limits,
      program ?? Program("/proc/self/exe", arguments: Array(CommandLine.arguments.dropFirst())),
      bell: try EventCounter()
    )
  }

  deinit { core.close(.draining) }

  /// How many processes run, how much waits for one, and how many ended without being told to.
  public var counts: (processes: Int, waiting: Int, crashes: Int) { core.counts }

  /// The numbers of the processes.
  public var processes: [Int32] { core.processes }

  // MARK: Submitting

  /// Has work done; blocks the calling thread for room where the pool says so.
  ///
  /// - Throws: ``PoolFailure``, or what packing the input throws.
  @discardableResult
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func submit<Input, Output>(
    _ task: WorkerTask<Input, Output>,
    _ input: Input,
    within time: Duration? = nil
  ) throws -> Future<Output> {
    let (future, job) = try prepare(task.name, input, isChunk: false, time) { try task.body(input) }
    if let job { try put(job) }
    return future
  }

  /// Has work done; suspends the calling coroutine for room where the pool says so.
  ///
  /// The work may take as long as `time`, or what the pool says.
  ///
  /// - Throws: ``PoolFailure``, or what packing the input throws.
  @discardableResult
  public func submit<Input, Output>(
    _ task: WorkerTask<Input, Output>,
    _ input: Input,
    within time: Duration? = nil
  ) async throws -> Future<Output> {
    let (future, job) = try prepare(task.name, input, isChunk: false, time) { try task.body(input) }
    if let job { try await put(job) }
    return future
  }

  /// The results of all inputs, in their order; blocks the calling thread.
  ///
  /// - Throws: As the form that suspends.
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func map<Input, Output>(
    _ task: WorkerTask<Input, Output>,
    _ inputs: some Sequence<Input>,
    chunk: Int = 1
  ) throws -> [Output] {
    var futures: [Future<[Output]>] = []
    do {
      for part in Chunks(inputs, size: chunk) {
        let (future, job) = try prepare(task.name, part, isChunk: true, nil) {
          try part.map(task.body)
        }
        futures.append(future)
        if let job { try put(job) }
      }
      return try futures.flatMap { try $0.result() }
    } catch {
      for future in futures { future.cancel() }
      throw error
    }
  }

  /// The results of all inputs, in their order; suspends the calling coroutine.
  ///
  /// Inputs are taken as there is room: of an endless sequence no more is held than the pool's queue and its
  /// processes. `chunk` inputs go in one message, and are one piece of work for the limits.
  ///
  /// - Throws: ``PoolFailure``, ``WorkerFailure``, or the first failure in the order of the inputs; what has
  ///   not begun is cancelled then.
  public func map<Input, Output>(
    _ task: WorkerTask<Input, Output>,
    _ inputs: some Sequence<Input>,
    chunk: Int = 1
  ) async throws -> [Output] {
    var futures: [Future<[Output]>] = []
    do {
      for part in Chunks(inputs, size: chunk) {
        let (future, job) = try prepare(task.name, part, isChunk: true, nil) {
          try part.map(task.body)
        }
        futures.append(future)
        if let job { try await put(job) }
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
  public func shutDown(_ kind: Shutdown = .draining) { core.close(kind) }

  /// Blocks the calling thread until all processes have ended; the pool must be shut down for that.
  ///
  /// - Throws: ``WaitFailure/timedOut``.
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func join(within limit: Duration) throws(WaitFailure) {
    precondition(core.queue.isClosed, "a pool is joined that nobody has shut down")
    try core.ended.wait(within: limit)
  }

  /// Suspends the calling coroutine until all processes have ended; the pool must be shut down for that.
  ///
  /// - Throws: ``WaitFailure``.
  public func join(within limit: Duration? = nil) async throws(WaitFailure) {
    precondition(core.queue.isClosed, "a pool is joined that nobody has shut down")
    try await core.ended.wait(within: limit)
  }

  // MARK: Steps

  private func put(_ job: PoolJob) throws(PoolFailure) {
    do throws(QueueFailure) { try core.queue.put(job) } catch { throw .shutDown }
    core.serve()
  }

  private func put(_ job: PoolJob) async throws(PoolFailure) {
    do throws(QueueFailure) {
      try await core.queue.put(job)
    } catch {
      throw error == .cancelled ? .cancelled : .shutDown
    }
    core.serve()
  }

  /// Packs work and puts it into the queue; where it must wait for room, it is given back for that.
  private func prepare<Input: Encodable, Output: Decodable & Sendable>(
    _ name: String,
    _ input: Input,
    isChunk: Bool,
    _ time: Duration?,
    _ here: @escaping @Sendable () throws -> Output
  ) throws -> (Future<Output>, PoolJob?) {
    try core.start()
    let future = Future<Output>()
    let job = try PoolJob(
      name,
      try Packing.pack(input),
      isChunk: isChunk,
      time ?? core.limits.time,
      for: future
    )
    if core.queue.tryPut(job) {
      core.serve()
      return (future, nil)
    }
    if core.queue.isClosed { throw PoolFailure.shutDown }
    switch overflow {
    case .wait: return (future, job)
    case .refuse: throw PoolFailure.full
    case .callerRuns:
      if future.begin() { future.finish(Result { try here() }) }
      return (future, nil)
    }
  }
}

/// Work on its way to a process.
final class PoolJob: Sendable {
  let message: [UInt8]
  let file: OpenFile?
  let frame: PoolFrame
  let timeLimit: Int64?
  let begin: @Sendable () -> Bool
  let cancel: @Sendable () -> Void
  let finish: @Sendable (Result<ArraySlice<UInt8>, any Error>) -> Void

  init<Output: Decodable & Sendable>(
    _ name: String,
    _ input: [UInt8],
    isChunk: Bool,
    _ time: Duration?,
    for future: Future<Output>
  ) throws {
    var frame = PoolFrame(.run)
    frame.isChunk = isChunk
    let message: PoolMessage
    do throws(SystemError) {
      message = try PoolMessage(frame, name: name, content: input)
    } catch {
      throw WorkerFailure.noMemory(error)
    }
    self.message = message.bytes
    file = message.file
    // As it was written: the one before knew nothing of the name.
    self.frame = PoolFrame(message.bytes[...]) ?? frame
    timeLimit = time.map { Int64($0 / .nanoseconds(1)) }
    begin = { future.begin() }
    cancel = { future.cancel() }
    finish = { outcome in
      future.finish(outcome.flatMap { bytes in Result { try Packing.unpack(from: bytes) } })
    }
  }
}
