import Foundation
import MartletLoop
import MartletProcess
import MartletSync
import MartletSystem
import TestCrowd
import TestPeers
import Testing

/// A tree on a loop of its own, whose reports are kept.
private actor Grove {
  nonisolated let loop: EventLoop
  nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }
  nonisolated let reports = Record<SupervisionReport>()
  private var tree: SupervisionTree?

  init() throws {
    loop = try EventLoop()
    try loop.startThread()
  }

  deinit { loop.stop() }

  func run(_ plan: SupervisionPlan) async throws -> SupervisionOutcome {
    let reports = reports
    let tree = try SupervisionTree(plan, on: loop) { reports.append($0) }
    self.tree = tree
    return await tree.run()
  }

  func stop() { tree?.stop() }

  func process(_ name: String) -> Int32? { tree?.processes.first { $0.name == name }?.process }

  func kill(_ name: String) throws {
    guard let number = process(name) else { return }
    try Processes.send(.kill, to: number)
  }

  /// The names of those that were started, in their order.
  nonisolated var started: [String] {
    reports.all.compactMap { if case .started(let name, _) = $0 { name } else { nil } }
  }
}

@Suite("Supervision", .timeLimit(.minutes(5)))
struct SupervisionTreeTests {
  private static let sleeper = Program("/bin/sleep", arguments: ["1000"])

  private func plan(
    _ strategy: SupervisionPlan.Strategy,
    restarts: Int = 5
  ) -> SupervisionPlan {
    SupervisionPlan(
      strategy,
      intensity: SupervisionPlan.Intensity(restarts: restarts, period: .seconds(60)),
      children: ["a", "b", "c"].map { .process($0, Self.sleeper) }
    )
  }

  @Test(
    "starts those anew that the plan names",
    arguments: [
      (SupervisionPlan.Strategy.oneForOne, ["a", "b", "c", "b"], ["c", "b", "a"]),
      (.oneForAll, ["a", "b", "c", "a", "b", "c"], ["c", "a", "c", "b", "a"]),
      (.restForOne, ["a", "b", "c", "b", "c"], ["c", "c", "b", "a"]),
    ]
  )
  func strategies(
    strategy: SupervisionPlan.Strategy,
    started: [String],
    stopped: [String]
  ) async throws {
    let grove = try Grove()
    async let outcome = grove.run(plan(strategy))
    try await Crowd.until { grove.started.count == 3 }
    let first = try #require(await grove.process("a"))
    try await grove.kill("b")
    try await Crowd.until { grove.started.count == started.count }
    #expect(grove.started == started)
    #expect((await grove.process("a") == first) == (strategy != .oneForAll))
    await grove.stop()
    #expect(try await outcome == .stopped)
    let ends = grove.reports.all.compactMap {
      if case .stopped(let name) = $0 { name } else { nil }
    }
    #expect(ends == stopped)
    #expect(grove.reports.all.contains(.ended(name: "b", .signal(.kill))))
  }

  @Test("gives up when it starts anew too often, and nothing is left")
  func intensity() async throws {
    let grove = try Grove()
    async let outcome = grove.run(plan(.oneForOne, restarts: 3))
    for count in 3..<7 {
      try await Crowd.until { grove.started.count == count }
      try await grove.kill("a")
    }
    #expect(try await outcome == .gaveUp(name: "a"))
    let all = grove.reports.all.compactMap { report -> Int32? in
      if case .started(_, let process) = report { process } else { nil }
    }
    #expect(all.allSatisfy { Processes.startTicks(of: $0) == nil })
  }

  @Test(
    "starts anew what is to be, by how it ended, and ends when nothing is left",
    .disabled(if: forksAlways)
  )
  func restarts() async throws {
    let grove = try Grove()
    let file =
      "\(FileManager.default.temporaryDirectory.path)/martlet-\(UInt64.random(in: 0 ... .max))"
    defer { try? Files.remove(file) }
    // Fails in its first run.
    let script = "test -e \(file) || { touch \(file); exit 3; }"
    let outcome = try await grove.run(
      SupervisionPlan(children: [
        .process("once", Program("/bin/false"), restart: .never),
        .process("twice", Program("/bin/sh", arguments: ["-c", script]), restart: .afterFailure),
        .process("nowhere", Program("/nowhere/program"), restart: .never),
      ])
    )
    #expect(outcome == .finished)
    #expect(grove.started.filter { $0 == "twice" }.count == 2)
    #expect(grove.started.filter { $0 == "once" }.count == 1)
    #expect(grove.reports.all.contains(.notStarted(name: "nowhere", SystemError(.execve, 2))))
  }

  @Test("a tree below one that gives up is started anew as a whole")
  func nested() async throws {
    let grove = try Grove()
    let below = plan(.oneForOne, restarts: 0)
    async let outcome = grove.run(
      SupervisionPlan(children: [.tree("below", below), .process("beside", Self.sleeper)])
    )
    try await Crowd.until { grove.started.count == 4 }
    try await grove.kill("b")
    try await Crowd.until { grove.started.count == 7 }
    #expect(grove.reports.all.contains(.gaveUp(name: "below")))
    #expect(grove.started.filter { $0 == "beside" }.count == 1)
    await grove.stop()
    #expect(try await outcome == .stopped)
  }

  @Test("one that does not end when it is told to is killed")
  func stubborn() async throws {
    let grove = try Grove()
    let script = "trap '' TERM; while true; do sleep 1000; done"
    async let outcome = grove.run(
      SupervisionPlan(children: [
        .process(
          "stubborn",
          Program("/bin/sh", arguments: ["-c", script]),
          stopLimit: .milliseconds(100)
        )
      ])
    )
    try await Crowd.until { grove.started.count == 1 }
    let number = try #require(await grove.process("stubborn"))
    try await Crowd.until { !Processes.children(of: number).isEmpty }
    let sleeper = try #require(Processes.children(of: number).first)
    await grove.stop()
    #expect(try await outcome == .stopped)
    try await Crowd.until {
      Processes.startTicks(of: number) == nil && Processes.startTicks(of: sleeper) == nil
    }
  }

  @Test("a pace makes no pause for the first quick ends, and then longer ones")
  func pace() {
    var pace = RestartPace(first: .milliseconds(50), most: .seconds(1), freeCount: 1)
    let pauses = (0..<8).map { _ in
      pace.noteEnd(after: .seconds(1))
      return pace.pause
    }
    #expect(pauses == [0, 50, 100, 200, 400, 800, 1000, 1000].map { .milliseconds($0) })
    pace.noteEnd(after: .seconds(10))
    #expect(pace.pause == .zero)
  }
}

@Suite("Starting processes", .timeLimit(.minutes(10)))
struct StartTests {
  private func output(of program: Program) throws -> String {
    let (reading, writing) = try OpenFile.pipe()
    var program = program
    program.standard.output = .descriptor(writing.number)
    program.standard.error = .descriptor(writing.number)
    let number = try program.spawn()
    var awaited = [AwaitedDescriptor(try Processes.watch(number).release())]
    defer { _ = OpenFile(adopting: awaited[0].number) }
    try AwaitedDescriptor.wait(for: &awaited, milliseconds: 60_000)
    #expect(try Processes.reap(number) != nil)
    return String(decoding: try reading.descriptor.read(upTo: 65_536), as: UTF8.self)
  }

  private func shell(_ script: String) -> Program {
    Program("/bin/sh", arguments: ["-c", script])
  }

  @Test("a folder, limits, a session and the standard descriptors are what was asked for")
  func plans() throws {
    var program = shell("pwd; ulimit -n; ulimit -f; cat; ps -o sid= -p $$ | tr -d ' '; echo $$")
    program.folder = "/usr"
    program.limits = [ResourceLimit(.descriptors, 50), ResourceLimit(.fileBytes, 1024, hard: 4096)]
    program.hasOwnSession = true
    program.standard.input = .nothing
    let lines = try output(of: program).split(separator: "\n").map(String.init)
    #expect(lines.count == 5 && lines[0] == "/usr" && lines[1] == "50")
    #expect(lines[3] == lines[4])
  }

  @Test("rights are given up", .enabled(if: Processes.ownUser == 0))
  func rights() throws {
    var program = shell("id -u; id -G")
    program.rights = try UserRights(user: "nobody")
    let rights = try UserRights(user: "nobody")
    #expect(try output(of: program) == "\(rights.user)\n\(rights.group)\n")
  }

  @Test("what fails is named", .disabled(if: forksAlways))
  func failures() throws {
    var program = shell("true")
    program.folder = "/nowhere"
    #expect(throws: SystemError(.chdir, 2)) { try program.spawn() }
    program.folder = nil
    program.limits = [ResourceLimit(.descriptors, 10, hard: 5)]
    #expect(throws: SystemError(.setrlimit, 22)) { try program.spawn() }
    #expect(throws: SystemError(.execve, 13)) { try Program("/etc/passwd").spawn() }
  }

  @Test("a tree is killed with all that it has started")
  func trees() async throws {
    let number = try shell("sleep 1000 & (sleep 1000 & sleep 1000 & wait) & wait").spawn()
    var all: [Int32] = []
    try await Crowd.until {
      all = Processes.children(of: number)
      all += all.flatMap { Processes.children(of: $0) }
      return all.count == 4
    }
    Processes.killTree(number)
    try await Crowd.until { all.allSatisfy { Processes.startTicks(of: $0) == nil } }
    try await Crowd.until { (try? Processes.reap(number)) != ProcessEnd?.none }
  }

  @Test("orphans are adopted and reaped")
  func orphans() throws {
    let companion = try Companion("adopt")
    #expect(companion.line() == "true")
    #expect(companion.line() == "[]")
    companion.process.waitUntilExit()
  }

  @Test("a daemon is ready when it is said to be, and has a session of its own")
  func daemon() async throws {
    let file =
      "\(FileManager.default.temporaryDirectory.path)/martlet-\(UInt64.random(in: 0 ... .max))"
    defer { try? Files.remove(file) }
    let starter = try Companion("detach", file)
    let number = try #require(Int32(starter.line()))
    starter.process.waitUntilExit()
    let written = String(decoding: try Files.read(file, limit: 100), as: UTF8.self)
    #expect(written == "\(number)\n")
    #expect(try Files.target(of: "/proc/\(number)/cwd") == "/")
    #expect(try Files.target(of: "/proc/\(number)/fd/1") == "/dev/null")
    try Processes.send(.kill, to: number)
    let failing = try Companion("detach", "none")
    #expect(failing.line() == #"ended(ended with code 7, words: "no file")"#)
    failing.process.waitUntilExit()
  }

  @Test("many starts leave no zombie")
  func zombies() async throws {
    let count = Int(ProcessInfo.processInfo.environment["MARTLET_SPAWNS"] ?? "") ?? 500
    let parent = try Parent()
    let numbers = try await parent.startMany(count)
    #expect(numbers.count == count)
    let left = Set(Processes.children(of: Processes.own)).intersection(numbers)
    #expect(left.isEmpty)
  }
}

extension Parent {
  /// Starts so many programs, some at a time, and waits for the end of each.
  func startMany(_ count: Int) async throws -> [Int32] {
    var numbers: [Int32] = []
    while numbers.count < count {
      let children = try (0..<min(20, count - numbers.count)).map { _ in
        try ChildProcess.start(Program("/bin/true"), on: loop)
      }
      for child in children {
        #expect(try await child.ended(by: loop.deadline(after: Timeout(.seconds(60)))) == .code(0))
        numbers.append(child.number)
      }
    }
    return numbers
  }
}
