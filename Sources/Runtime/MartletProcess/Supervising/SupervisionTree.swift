public import MartletLoop
public import MartletSystem

/// Keeps processes running by a plan, on a loop, whatever becomes of them.
///
/// One coroutine decides, one end after the other: what a report tells of is over before the next thing begins.
public final class SupervisionTree {
  /// One that runs.
  private final class Running {
    enum Body {
      case process(ChildProcess)
      case tree(SupervisionTree)
    }

    let body: Body
    let done: Signal
    /// Whether it ended as if it had failed; nil while it runs.
    var isFailure: Bool?

    init(_ body: Body, _ done: Signal) {
      self.body = body
      self.done = done
    }
  }

  private let plan: SupervisionPlan
  private let loop: EventLoop
  private let report: (SupervisionReport) -> Void
  private let news: Signal
  private var running: [Running?]
  /// Which have ended, or could not be started, and were not looked at.
  private var ended: [Int] = []
  private var restarts: [Int64] = []
  private var isStopping = false

  /// Creates a tree; nothing is started yet.
  ///
  /// - Throws: ``SystemError`` when the loop has no place left.
  public init(
    _ plan: SupervisionPlan,
    on loop: EventLoop,
    report: @escaping (SupervisionReport) -> Void = { _ in }
  ) throws(SystemError) {
    guard let news = Signal(on: loop) else { throw SystemError(.epollControl, 28) }
    self.plan = plan
    self.loop = loop
    self.report = report
    self.news = news
    running = Array(repeating: nil, count: plan.children.count)
  }

  /// The processes that run, by the names of their plan, those of trees below among them.
  public var processes: [(name: String, process: Int32)] {
    running.enumerated().flatMap { place, running -> [(name: String, process: Int32)] in
      switch running?.body {
      case .process(let child): [(plan.children[place].name, child.number)]
      case .tree(let tree): tree.processes
      case nil: []
      }
    }
  }

  /// Ends the supervision, and all that runs, in the order in which it was not started.
  public func stop() {
    isStopping = true
    news.set()
  }

  /// Starts what is to run, and keeps it running, until it is told to stop, nothing is left to run, or it gives up;
  /// nothing runs when it returns.
  public func run() async -> SupervisionOutcome {
    for place in plan.children.indices { start(place) }
    while true {
      while !isStopping, let place = ended.first {
        ended.removeFirst()
        if let name = await settle(place) {
          await stopAll(from: 0)
          return .gaveUp(name: name)
        }
      }
      if isStopping {
        await stopAll(from: 0)
        return .stopped
      }
      if running.allSatisfy({ $0 == nil }), ended.isEmpty { return .finished }
      await news.untilSet()
    }
  }

  // MARK: Starting

  private func start(_ place: Int) {
    let child = plan.children[place]
    do throws(SystemError) {
      guard let done = Signal(on: loop) else { throw SystemError(.epollControl, 28) }
      let tree = self
      switch child.kind {
      case .process(var program):
        program.hasOwnGroup = true
        program.endsWithParent = true
        let process = try ChildProcess.start(program, on: loop)
        let running = Running(.process(process), done)
        self.running[place] = running
        report(.started(name: child.name, process: process.number))
        loop.spawn { await tree.watch(running, process, at: place) }
      case .tree(let plan):
        let below = try SupervisionTree(plan, on: loop, report: report)
        let running = Running(.tree(below), done)
        self.running[place] = running
        loop.spawn { await tree.watch(running, below, at: place) }
      }
    } catch {
      report(.notStarted(name: child.name, error))
      running[place] = nil
      ended.append(place)
      news.set()
    }
  }

  private func watch(_ running: Running, _ process: ChildProcess, at place: Int) async {
    do throws(WaitError) {
      let end = try await process.ended()
      note(running, isFailure: end != .code(0), at: place) { .ended(name: $0, end) }
    } catch {
      // Nobody cancels this wait.
    }
  }

  private func watch(_ running: Running, _ tree: SupervisionTree, at place: Int) async {
    let outcome = await tree.run()
    let isFailure = if case .gaveUp = outcome { true } else { false }
    note(running, isFailure: isFailure, at: place) {
      isFailure ? .gaveUp(name: $0) : .stopped(name: $0)
    }
  }

  private func note(
    _ running: Running,
    isFailure: Bool,
    at place: Int,
    _ report: (String) -> SupervisionReport
  ) {
    running.isFailure = isFailure
    running.done.set()
    // One that was stopped is no news.
    guard self.running[place] === running else { return }
    self.report(report(plan.children[place].name))
    ended.append(place)
    news.set()
  }

  // MARK: Ending

  /// Does what the plan says about one that has ended.
  ///
  /// - Returns: Its name when that happens too often.
  private func settle(_ place: Int) async -> String? {
    let child = plan.children[place]
    // One that could not be started has failed.
    let isFailure = running[place]?.isFailure ?? true
    running[place] = nil
    switch child.restart {
    case .never: return nil
    case .afterFailure: if !isFailure { return nil }
    case .always: break
    }
    let now = SystemClock.monotonicNanoseconds()
    restarts.append(now)
    let period = Int64(plan.intensity.period / .nanoseconds(1))
    restarts.removeAll { $0 < now - period }
    if restarts.count > plan.intensity.restarts { return child.name }
    switch plan.strategy {
    case .oneForOne:
      start(place)
    case .oneForAll:
      await stopAll(from: 0)
      if !isStopping { for place in plan.children.indices { start(place) } }
    case .restForOne:
      await stopAll(from: place + 1)
      if !isStopping { for place in place..<plan.children.count { start(place) } }
    }
    return nil
  }

  /// Stops those that run from a place on, the last one first.
  private func stopAll(from first: Int) async {
    ended.removeAll { $0 >= first }
    for place in (first..<max(first, running.count)).reversed() {
      guard let running = running[place] else { continue }
      // From here on its end is no news.
      self.running[place] = nil
      await stop(running, within: plan.children[place].stopLimit)
      report(.stopped(name: plan.children[place].name))
    }
  }

  private func stop(_ running: Running, within limit: Duration) async {
    guard running.isFailure == nil else { return }
    switch running.body {
    case .tree(let tree): tree.stop()
    case .process(let child):
      child.send(.terminate)
      do throws(WaitError) {
        try await running.done.wait(by: loop.deadline(after: Timeout(limit)))
        return
      } catch {
        // It, and what it has started.
        child.sendToGroup(.kill)
      }
    }
    if running.isFailure == nil { await running.done.untilSet() }
  }
}
