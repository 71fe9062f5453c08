import MartletLoop
import MartletSystem
import Synchronization
import TestLoop
import Testing

/// An actor on a loop that runs on a thread of its own.
actor TestWorker {
  nonisolated let loop: EventLoop
  nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

  init(kind: LoopKind) throws {
    loop = try kind.makeLoop()
    try loop.startThread()
  }

  func run<Result: Sendable>(
    _ body: @Sendable (isolated TestWorker) async throws -> Result
  ) async rethrows -> Result {
    try await body(self)
  }

  /// Lets a coroutine wait, and cancels that wait right behind it, so many times.
  ///
  /// - Returns: How many waits were cancelled.
  func cancelledWaits(of reader: Int32, rounds: Int) async -> Int {
    var count = 0
    for _ in 0..<rounds {
      let wait = Task { await self.outcome(ofReading: reader) }
      let cancellation = Task { self.loop.cancelWaits(of: reader) }
      if await wait.value == .cancelled { count += 1 }
      await cancellation.value
    }
    return count
  }

  /// How a wait ended that has no limit; nil: by its event.
  func outcome(ofReading reader: Int32) async -> WaitError? {
    do throws(WaitError) {
      try await loop.readable(reader, by: .never)
      return nil
    } catch {
      return error
    }
  }

  /// Starts sleepers for 0 to 199 ms, and returns their times in the order in which they woke.
  func sleepers(count: Int) async throws -> [Int] {
    let sleepers = Sleepers(count: count, done: try #require(Signal(on: loop)), loop: loop)
    for index in 0..<count { sleepers.start(milliseconds: (index * 7919) % 200) }
    try await sleepers.done.wait()
    return sleepers.woke
  }

  private final class Sleepers {
    let count: Int
    let done: Signal
    let loop: EventLoop
    var woke: [Int] = []

    init(count: Int, done: Signal, loop: EventLoop) {
      self.count = count
      self.done = done
      self.loop = loop
    }

    func start(milliseconds: Int) {
      loop.spawn {
        try? await self.loop.sleep(for: .milliseconds(milliseconds))
        self.woke.append(milliseconds)
        if self.woke.count == self.count { self.done.set() }
      }
    }
  }

  deinit { loop.stop() }
}

@Suite("Event loop", .timeLimit(.minutes(5)))
struct EventLoopTests {
  @Test("parks on this machine")
  func parks() throws {
    #expect(try EventLoop().mode == .parking)
  }

  @Test("wakes a reader when bytes come", arguments: LoopKind.all)
  func wakesReader(kind: LoopKind) async throws {
    let worker = try TestWorker(kind: kind)
    let pipe = try Descriptor.pipe()
    let reader = pipe.first.number
    try await worker.run { worker in try worker.loop.watch(reader) }
    async let woken: Void = worker.run { worker in
      try await worker.loop.readable(reader, by: .never)
    }
    #expect(try pipe.second.write([1, 2, 3].span) == 3)
    try await woken
    #expect(try pipe.first.read(upTo: 16) == [1, 2, 3])
    await worker.run { $0.loop.forget(reader) }
  }

  @Test("ends a wait at its deadline, and not before", arguments: LoopKind.all)
  func deadline(kind: LoopKind) async throws {
    let worker = try TestWorker(kind: kind)
    let pipe = try Descriptor.pipe()
    let reader = pipe.first.number
    let nanoseconds = try await worker.run { worker -> Int64 in
      try worker.loop.watch(reader)
      let start = SystemClock.monotonicNanoseconds()
      await #expect(throws: WaitError.timedOut) {
        try await worker.loop.readable(
          reader,
          by: worker.loop.deadline(after: Timeout(.milliseconds(50)))
        )
      }
      worker.loop.forget(reader)
      return SystemClock.monotonicNanoseconds() - start
    }
    #expect(nanoseconds >= 50_000_000)
  }

  @Test("ends a wait when it is cancelled", arguments: LoopKind.all)
  func cancellation(kind: LoopKind) async throws {
    let worker = try TestWorker(kind: kind)
    let pipe = try Descriptor.pipe()
    let reader = pipe.first.number
    try await worker.run { worker in try worker.loop.watch(reader) }
    async let outcome = worker.outcome(ofReading: reader)
    await worker.run { worker in worker.loop.cancelWaits(of: reader) }
    #expect(await outcome == .cancelled)
    await worker.run { $0.loop.forget(reader) }
  }

  @Test("ends a wait that was cancelled right behind its beginning", arguments: LoopKind.all)
  func promptCancellation(kind: LoopKind) async throws {
    let worker = try TestWorker(kind: kind)
    let pipe = try Descriptor.pipe()
    let reader = pipe.first.number
    try await worker.run { worker in try worker.loop.watch(reader) }
    #expect(await worker.cancelledWaits(of: reader, rounds: 200) == 200)
    await worker.run { $0.loop.forget(reader) }
  }

  @Test("runs a blocking call elsewhere and comes back", arguments: LoopKind.all)
  func blocking(kind: LoopKind) async throws {
    let worker = try TestWorker(kind: kind)
    let pool = try BlockingPool(threadLimit: 2, queueLimit: 10_000)
    let sum = try await worker.run { worker in
      var sum = 0
      for number in 0..<1000 {
        sum += try await pool.run(on: worker.loop) { worker.loop.isCurrent ? -1 : number }
        worker.preconditionIsolated()
      }
      return sum
    }
    #expect(sum == 499_500)
  }

  @Test("refuses a blocking call when the queue is full")
  func fullQueue() throws {
    let pool = try BlockingPool(threadLimit: 1, queueLimit: 1)
    let entered = try Gate()
    let open = try Gate()
    try pool.submit {
      entered.open()
      open.pass()
    }
    entered.pass()
    try pool.submit {}
    #expect(throws: BlockingPool.Refusal.queueFull) { try pool.submit {} }
    open.open()
  }

  /// A place where a thread waits until another opens it.
  private final class Gate: Sendable {
    let listener: Descriptor
    let address: SocketAddress

    init() throws {
      // A blocking datagram socket: receiving waits until something was sent.
      listener = try Descriptor.datagram(for: .ipv4(0x7F00_0001, port: 0))
      try listener.bind(to: .ipv4(0x7F00_0001, port: 0))
      address = try listener.localAddress()
    }

    func open() {
      guard let sender = try? Descriptor.datagram(for: address) else { return }
      _ = try? sender.connect(to: address)
      _ = try? sender.write([1].span)
    }

    func pass() {
      while (try? listener.read(upTo: 1)) == nil {}
    }
  }

  @Test("takes jobs from many threads without losing one", arguments: LoopKind.all)
  func foreignJobs(kind: LoopKind) async throws {
    let worker = try TestWorker(kind: kind)
    let count = Count()
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<200 {
        group.addTask {
          for _ in 0..<50 {
            await worker.run { worker in
              worker.preconditionIsolated()
              count.value.add(1, ordering: .relaxed)
            }
          }
        }
      }
    }
    #expect(count.value.load(ordering: .relaxed) == 10_000)
  }

  private final class Count: Sendable {
    let value = Atomic<Int>(0)
  }

  @Test("keeps thousands of sleepers in order of their deadlines", arguments: LoopKind.all)
  func sleepers(kind: LoopKind) async throws {
    let worker = try TestWorker(kind: kind)
    let order = try await worker.sleepers(count: 2000)
    #expect(order.count == 2000)
    // Two ticks of 17 ms: the wheel is no finer.
    for (earlier, later) in zip(order, order.dropFirst()) { #expect(later >= earlier - 34) }
  }
}
