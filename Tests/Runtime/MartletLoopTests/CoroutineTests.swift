import MartletLoop
import MartletSystem
import Synchronization
import Testing
import TestLoop

@Suite("Coroutines of a loop", .timeLimit(.minutes(5)))
struct CoroutineTests {
  static let modes = [EventLoop.WaitMode.parking, .continuation]

  @Test("keep a signal that comes before the wait, and take several as one", arguments: modes)
  func signals(mode: EventLoop.WaitMode) throws {
    let driven = try DrivenLoop(mode)
    let notes = Notes()
    let signal = try #require(Signal(on: driven.loop))
    signal.set()
    signal.set()
    driven.start {
      await signal.untilSet()
      notes.lines.append("first")
      await signal.untilSet()
      notes.lines.append("second")
    }
    #expect(notes.lines == ["first"])
    driven.start { signal.set() }
    #expect(notes.lines == ["first", "second"])
  }

  @Test("wait for a signal until a deadline, and a signal in that moment counts", arguments: modes)
  func signalDeadline(mode: EventLoop.WaitMode) throws {
    let driven = try DrivenLoop(mode)
    let (loop, notes) = (driven.loop, Notes())
    let signal = try #require(Signal(on: loop))
    driven.start {
      for _ in 0..<2 {
        do throws(WaitError) {
          try await signal.wait(by: loop.deadline(after: Timeout(.seconds(1))))
          notes.lines.append("set")
        } catch {
          notes.lines.append("\(error)")
        }
      }
    }
    driven.advance(by: .seconds(2))
    driven.start { signal.set() }
    #expect(notes.lines == ["timedOut", "set"])
  }

  @Test("have timers and signals in a bounded number, which come back", arguments: modes)
  func timerCount(mode: EventLoop.WaitMode) throws {
    let driven = try DrivenLoop(mode)
    let (loop, notes) = (driven.loop, Notes())
    var signals: [Signal] = []
    while let signal = Signal(on: loop) { signals.append(signal) }
    #expect(signals.count == 65_536)
    driven.start { await notes.rest(on: loop) }
    #expect(notes.lines == ["cancelled"])
    signals = []
    driven.start { await notes.rest(on: loop) }
    driven.advance(by: .seconds(2))
    #expect(notes.lines == ["cancelled", "awake"])
  }

  @Test("run in the order in which they were spawned, when the present one waits", arguments: modes)
  func spawning(mode: EventLoop.WaitMode) throws {
    let driven = try DrivenLoop(mode)
    let (loop, notes) = (driven.loop, Notes())
    driven.start {
      for name in ["a", "b", "c"] {
        loop.spawn {
          #expect(loop.isCurrent)
          notes.lines.append(name)
        }
      }
      notes.lines.append("first")
    }
    #expect(notes.lines == ["first", "a", "b", "c"])
  }

  @Test("let others run when they yield, and do not keep events waiting", arguments: modes)
  func yielding(mode: EventLoop.WaitMode) throws {
    let driven = try DrivenLoop(mode)
    let (loop, notes, socket) = (driven.loop, Notes(), driven.kernel.descriptor())
    try loop.watch(socket)
    var yields = 0
    loop.spawn {
      while notes.lines.count < 2, yields < 1_000_000 {
        await loop.yield()
        yields += 1
      }
    }
    loop.spawn { notes.lines.append("other") }
    loop.spawn { await notes.read(socket, on: loop) }
    driven.kernel.happen([.readable], on: socket)
    for _ in 0..<10 { loop.turn(waitingAtMost: 0) }
    #expect(notes.lines == ["other", "readable"])
    #expect(yields < 20)
    loop.forget(socket)
  }

  @Test("that spawn for ever do not keep events waiting", arguments: modes)
  func spawningForEver(mode: EventLoop.WaitMode) throws {
    let driven = try DrivenLoop(mode)
    let chain = Chain(driven.loop)
    chain.goOn()
    driven.loop.turn(waitingAtMost: -1)
    #expect(driven.kernel.waits.last == 0)
    chain.hasEnded = true
    driven.settle()
  }

  private final class Chain {
    let loop: EventLoop
    var hasEnded = false

    init(_ loop: EventLoop) { self.loop = loop }

    func goOn() {
      loop.spawn { if !self.hasEnded { self.goOn() } }
    }
  }

  @Test("are seen with what they wait for, and for how long", arguments: modes)
  func views(mode: EventLoop.WaitMode) throws {
    let driven = try DrivenLoop(mode)
    let (loop, notes, socket) = (driven.loop, Notes(), driven.kernel.descriptor())
    try loop.watch(socket)
    var views: [CoroutineView] = []
    driven.start {
      loop.spawn(named: "reader") { await notes.read(socket, on: loop) }
      loop.spawn(named: "writer") { try? await loop.writable(socket, by: .never) }
      loop.spawn(named: "sleeper") { try? await loop.sleep(for: .seconds(30)) }
      loop.spawn { await notes.rest(on: loop) }
    }
    driven.advance(by: .seconds(10))
    driven.start {
      loop.spawn(named: "beginner", about: { "what comes" }) {}
      views = loop.coroutineViews().filter { $0.name.hasSuffix("er") }
    }
    #expect(views.map(\.name) == ["reader", "writer", "sleeper", "beginner"])
    #expect(views.map(\.subject) == [nil, nil, nil, "what comes"])
    let waits: [CoroutineView.Wait] = [.readable(socket), .writable(socket), .signal, .elsewhere]
    #expect(views.map(\.wait) == waits)
    for view in views {
      #expect(view.age == (view.name == "beginner" ? .zero : .seconds(10)))
      let isKnown = view.waited.map { $0 > .seconds(9) && $0 < .seconds(11) } ?? false
      #expect(isKnown == (view.name != "beginner"))
      let isLimited = view.remaining.map { $0 > .seconds(19) && $0 < .seconds(21) } ?? false
      #expect(isLimited == (view.name == "sleeper"))
    }
    #expect(Set(views.map(\.number)).count == 4)
    driven.happen([.readable], on: socket)
    driven.advance(by: .seconds(30))
    loop.cancelPresentWrite(of: socket)
    driven.settle()
    #expect(loop.coroutineViews().isEmpty)
    loop.forget(socket)
  }

  @Test("give their buffers back", arguments: modes)
  func buffers(mode: EventLoop.WaitMode) throws {
    let driven = try DrivenLoop(mode)
    let (loop, notes, socket) = (driven.loop, Notes(), driven.kernel.descriptor())
    try loop.watch(socket)
    #expect(loop.lentCount == 0)
    driven.start {
      let head = loop.lend(.head)
      let body = loop.lend(.body)
      await notes.read(socket, on: loop)
      notes.lines.append("\(head.capacity + body.capacity)")
    }
    #expect(loop.lentCount == 2)
    driven.happen([.readable], on: socket)
    #expect(notes.lines == ["readable", "81920"] && loop.lentCount == 0)
    loop.forget(socket)
  }

  @Test("have as many buffers kept as were used in the last seconds")
  func surplusBuffers() throws {
    let driven = try DrivenLoop(.parking)
    let (loop, notes) = (driven.loop, Notes())
    driven.start { await notes.hold(.head, 600, on: loop) }
    #expect(loop.lentCount == 0 && loop.freeBufferCount == 600)
    // What is used again is kept; all of it was, since it was looked last.
    driven.advance(by: .seconds(1))
    driven.start { await notes.hold(.head, 500, on: loop) }
    driven.advance(by: .seconds(1))
    #expect(loop.freeBufferCount == 500)
    driven.advance(by: .seconds(1))
    driven.advance(by: .seconds(1))
    #expect(loop.lentCount == 0 && loop.freeBufferCount == 256)
    // More than is ever kept.
    driven.start { await notes.hold(.head, 1100, on: loop) }
    #expect(loop.lentCount == 0 && loop.freeBufferCount == 1024)
  }

  @Test("come from other threads and go back there", arguments: modes)
  func performing(mode: EventLoop.WaitMode) async throws {
    let worker = try TestWorker(kind: LoopKind(mode: mode))
    let loop = worker.loop
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<50 {
        group.addTask {
          for _ in 0..<20 {
            await loop.perform {
              #expect(loop.isCurrent)
              await loop.yield()
              #expect(loop.isCurrent)
            }
            #expect(!loop.isCurrent)
          }
        }
      }
    }
    #expect(!loop.isCurrent)
  }

  @Test("reach a value of the loop, which is made, used and ended there", arguments: modes)
  func locals(mode: EventLoop.WaitMode) async throws {
    let worker = try TestWorker(kind: LoopKind(mode: mode))
    let loop = worker.loop
    let ended = try ThreadSignal()
    do {
      let local = LoopLocal(on: loop) { Guest(loop, ended) }
      #expect(await local.perform { $0.visit() } == 1)
      #expect(await local.perform { $0.visit() } == 2)
    }
    ended.wait()
  }

  /// Something that must not leave its loop.
  private final class Guest {
    private let loop: EventLoop
    private let ended: ThreadSignal
    private var visits = 0

    init(_ loop: EventLoop, _ ended: ThreadSignal) {
      self.loop = loop
      self.ended = ended
      #expect(loop.isCurrent)
    }

    func visit() -> Int {
      #expect(loop.isCurrent)
      visits += 1
      return visits
    }

    deinit {
      #expect(loop.isCurrent)
      ended.set()
    }
  }

  @Test("are woken by tokens from other threads, once for each", arguments: modes)
  func tokens(mode: EventLoop.WaitMode) async throws {
    let worker = try TestWorker(kind: LoopKind(mode: mode))
    let pool = try BlockingPool(threadLimit: 4, queueLimit: 64)
    let rounds = try await worker.run { worker -> Int in
      var rounds = 0
      for _ in 0..<2000 {
        // The answer often comes while the loop is about to sleep, or has just gone to sleep.
        rounds += try await pool.run(on: worker.loop, by: worker.loop.deadline(after: .none)) { 1 }
      }
      return rounds
    }
    #expect(rounds == 2000)
  }

  @Test("that wait for a blocking call leave at their deadline, and are not woken later")
  func blockingDeadline() async throws {
    let worker = try TestWorker(kind: LoopKind())
    let pool = try BlockingPool(threadLimit: 1, queueLimit: 4)
    let (entered, open) = (try ThreadSignal(), try ThreadSignal())
    let refusal = await worker.refusal(from: pool, within: .milliseconds(20)) {
      entered.set()
      open.wait()
    }
    #expect(refusal == .timedOut)
    entered.wait()
    open.set()
    // The late answer finds nobody; the next call has its own.
    #expect(try await worker.run { try await pool.run(on: $0.loop) { 7 } } == 7)
  }

  @Test("use no more threads than a pool may have", arguments: [1, 3])
  func threadLimit(limit: Int) async throws {
    let pool = try BlockingPool(threadLimit: limit, queueLimit: 100)
    let (present, most) = (Meter(), Meter())
    let (entered, open) = (try ThreadSignal(), try ThreadSignal())
    for _ in 0..<20 {
      try pool.submit {
        most.atLeast(present.add(1))
        entered.set()
        open.wait()
        _ = present.add(-1)
      }
    }
    for _ in 0..<limit { entered.wait() }
    #expect(present.value.load(ordering: .relaxed) == limit)
    for _ in 0..<20 { open.set() }
    for _ in limit..<20 { entered.wait() }
    #expect(most.value.load(ordering: .relaxed) == limit)
  }

  private final class Meter: Sendable {
    let value = Atomic<Int>(0)

    func add(_ number: Int) -> Int {
      value.add(number, ordering: .acquiringAndReleasing).newValue
    }

    func atLeast(_ number: Int) { value.max(number, ordering: .acquiringAndReleasing) }
  }
}

extension TestWorker {
  /// Why a blocking call was not waited for, or nil if it came back in time.
  func refusal(
    from pool: BlockingPool,
    within duration: Duration,
    _ call: @escaping @Sendable () -> Void
  ) async -> BlockingPool.Refusal? {
    do throws(BlockingPool.Refusal) {
      try await pool.run(on: loop, by: loop.deadline(after: Timeout(duration)), call)
      return nil
    } catch {
      return error
    }
  }
}

extension Notes {
  func rest(on loop: EventLoop) async {
    do throws(WaitError) {
      try await loop.sleep(until: loop.deadline(after: Timeout(.seconds(1))))
      lines.append("awake")
    } catch {
      lines.append("\(error)")
    }
  }

  /// Holds many buffers at once, each in a frame of its own.
  func hold(_ size: BufferSize, _ count: Int, on loop: EventLoop) async {
    let buffer = loop.lend(size)
    if count > 1 { await hold(size, count - 1, on: loop) }
    if buffer.isEmpty && loop.lentCount < 1 { lines.append("lost") }
  }
}
