import Foundation
import MartletProcess
import MartletQueues
import MartletSync
import MartletSystem
import TestCrowd
import TestPeers
import Testing

/// What `TestProgram` does when it is a worker; the bodies here are never called.
private enum Tasks {
  struct Crash: Codable, Sendable {
    var number: Int
    var way: Int
    var tries: Int
  }

  static let echo = WorkerTask<[UInt8], [UInt8]>("echo") { $0 }
  static let square = WorkerTask<Int, Int>("square") { $0 }
  static let process = WorkerTask<Int, Int32>("process") { _ in 0 }
  static let fail = WorkerTask<Int, Int>("fail") { $0 }
  static let big = WorkerTask<Int, [UInt8]>("big") { _ in [] }
  static let crash = WorkerTask<Crash, Int>("crash") { $0.number }
  static let hang = WorkerTask<Int, Int>("hang") { $0 }
  static let start = WorkerTask<Int, Int>("start") { $0 }
  static let eat = WorkerTask<Int, Int>("eat") { $0 }
  static let swell = WorkerTask<Int, Int32>("swell") { _ in 0 }
  static let unknown = WorkerTask<Int, Int>("unknown") { $0 }
}

@Suite("Process pool", .serialized, .timeLimit(.minutes(5)))
struct ProcessPoolTests {
  private func pool(
    _ processes: Int = 2,
    queue: Int = 4096,
    whenFull: ThreadPool.Overflow = .wait,
    _ limits: ProcessPool.Limits = ProcessPool.Limits()
  ) throws -> ProcessPool {
    var program = Program(Companion.path.path, arguments: ["pool"])
    // A crash that is meant needs no picture, which would take a second.
    program.set("SWIFT_BACKTRACE", to: "enable=no")
    return try ProcessPool(
      processLimit: processes,
      queueLimit: queue,
      whenFull: whenFull,
      limits: limits,
      program: program
    )
  }

  private func isGone(_ process: Int32) -> Bool {
    Files.names(in: "/proc/\(process)").isEmpty
  }

  @Test("does work and tells results and errors, to threads and to tasks")
  func results() async throws {
    let pool = try pool()
    #expect(try await pool.submit(Tasks.square, 12).result() == 144)
    await #expect(throws: WorkerFailure.threw("Wrong()")) {
      try await pool.submit(Tasks.fail, 1).result()
    }
    await #expect(throws: WorkerFailure.unknownTask("unknown")) {
      try await pool.submit(Tasks.unknown, 1).result()
    }
    try await Crowd.threads(4) { number in
      do {
        for round in 0..<200 {
          let input = number + round
          #expect(try pool.submit(Tasks.square, input).result() == input * input)
        }
      } catch { Issue.record(error) }
    }
    let processes = pool.processes
    #expect(pool.counts.processes <= 2 && pool.counts.crashes == 0)
    pool.shutDown()
    try await pool.join(within: .seconds(30))
    #expect(processes.filter { !isGone($0) } == [])
  }

  @Test("gives results of many inputs in their order, in chunks and as they are done")
  func maps() async throws {
    let pool = try pool(3, queue: 4)
    for chunk in [1, 7, 5000] {
      let squares = try await pool.map(Tasks.square, 0..<1000, chunk: chunk)
      #expect(squares == (0..<1000).map { $0 * $0 })
    }
    await #expect(throws: WorkerFailure.threw("Wrong()")) {
      try await pool.map(Tasks.fail, 0..<10, chunk: 2)
    }
    var futures: [Future<Int>] = []
    for number in 0..<20 { futures.append(try await pool.submit(Tasks.square, number)) }
    var places: Set<Int> = []
    for await (place, future) in futures.inOrderOfCompletion() {
      #expect(try await future.result() == place * place)
      places.insert(place)
    }
    #expect(places.count == 20)
  }

  @Test(
    "carries what is longer than a pipe, in both directions",
    arguments: [64 << 10, 64 << 10 + 1, 5_000_000]
  )
  func long(count: Int) async throws {
    let pool = try pool()
    let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
    let isSame = try await pool.submit(Tasks.echo, bytes).result() == bytes
    #expect(isSame)
    #expect(try await pool.submit(Tasks.big, count).result().count == count)
  }

  @Test("a thousand crashes lose no result and double none")
  func crashes() async throws {
    let pool = try pool(4, ProcessPool.Limits(tries: 3))
    let (told, wrong) = (Tally(), Tally())
    let counts = (0..<3000).map { _ in Tally() }
    var futures: [Future<Int>] = []
    for number in 0..<3000 {
      // Every third one ends its process in its first try, in one of five ways.
      let order = Tasks.Crash(number: number, way: number / 3, tries: number % 3 == 0 ? 1 : 0)
      let future = try await pool.submit(Tasks.crash, order)
      future.whenDone { result in
        counts[number].add()
        told.add()
        if (try? result.get()) != number { wrong.add() }
      }
      futures.append(future)
    }
    for (number, future) in futures.enumerated() {
      #expect(try await future.result(within: .seconds(120)) == number)
    }
    // A result is seen before those are called back that wait for it.
    try await Crowd.until { told.value == 3000 }
    #expect(wrong.value == 0)
    #expect(counts.allSatisfy { $0.value == 1 })
    #expect(pool.counts.crashes == 1000)
    pool.shutDown()
    try await pool.join(within: .seconds(30))
    #expect(pool.counts == (0, 0, 1000))
  }

  @Test("processes that are killed from outside, at any moment, lose no result and double none")
  func kills() async throws {
    let pool = try pool(3, ProcessPool.Limits(tries: 1000))
    for _ in 0..<200 {
      async let squares = pool.map(Tasks.square, 0..<200)
      if let process = pool.processes.randomElement() {
        try Processes.send(.kill, to: process)
      }
      #expect(try await squares == (0..<200).map { $0 * $0 })
    }
    #expect(pool.counts.crashes > 0)
  }

  @Test("work whose process ends under it fails when its tries are used up")
  func fails() async throws {
    let pool = try pool(1, ProcessPool.Limits(tries: 2))
    for (way, end) in [(1, ProcessEnd.code(0)), (2, .code(3)), (3, .signal(.kill))] {
      let order = Tasks.Crash(number: 1, way: way, tries: 2)
      let other = try await pool.submit(Tasks.square, 5)
      await #expect(throws: WorkerFailure.crashed(end)) {
        try await pool.submit(Tasks.crash, order).result()
      }
      #expect(try await other.result() == 25)
    }
    #expect(pool.counts.crashes == 6)
  }

  @Test("what hangs is killed with those that it has started, and tried again or fails")
  func hangs() async throws {
    let pool = try pool(1, ProcessPool.Limits(tries: 2, time: .milliseconds(300)))
    #expect(try await pool.submit(Tasks.hang, 1).result() == 2)
    await #expect(throws: WorkerFailure.hung) { try await pool.submit(Tasks.hang, 9).result() }
    let future = try await pool.submit(Tasks.start, 1, within: .seconds(1))
    var sleepers: [Int32] = []
    try await Crowd.until {
      sleepers = pool.processes.flatMap { Processes.children(of: $0) }
      return !sleepers.isEmpty
    }
    await #expect(throws: WorkerFailure.hung) { try await future.result() }
    // The next try has started another one.
    let sleeper = sleepers[0]
    try await Crowd.until {
      let text = (try? Files.read("/proc/\(sleeper)/stat", limit: 4096)) ?? []
      return text.isEmpty || String(decoding: text, as: UTF8.self).contains(") Z ")
    }
  }

  // A sanitizer takes more addresses than any limit leaves.
  @Test(
    "a process with too much memory is killed at its work, and replaced behind it",
    .enabled(if: !isSanitized)
  )
  func memory() async throws {
    let pool = try pool(1, ProcessPool.Limits(tries: 1, memoryBytes: 200 << 20))
    await #expect(throws: WorkerFailure.tooMuchMemory) {
      try await pool.submit(Tasks.eat, 300 << 20).result()
    }
    let first = try await pool.submit(Tasks.process, 0).result()
    do {
      _ = try await pool.submit(Tasks.swell, 250 << 20).result()
    } catch WorkerFailure.tooMuchMemory {
      // It was looked at just then.
    }
    #expect(try await pool.submit(Tasks.process, 0).result() != first)
  }

  @Test("a process is replaced when it has done its share")
  func shares() async throws {
    let pool = try pool(1, ProcessPool.Limits(workCount: 3))
    var processes: [Int32] = []
    for _ in 0..<9 { processes.append(try await pool.submit(Tasks.process, 0).result()) }
    #expect(Set(processes).count == 3)
    #expect(pool.counts.crashes == 0)
  }

  @Test("does with what has no room what it was told to, and cancels what waits")
  func overflows() async throws {
    let refusing = try pool(1, queue: 1, whenFull: .refuse)
    let hanging = try await refusing.submit(Tasks.hang, 1)
    try await Crowd.until { refusing.counts.processes == 1 && refusing.counts.waiting == 0 }
    let waiting = try await refusing.submit(Tasks.square, 2)
    await #expect(throws: PoolFailure.full) { try await refusing.submit(Tasks.square, 3) }
    #expect(!hanging.cancel())
    #expect(waiting.cancel())
    await #expect(throws: FutureFailure.cancelled) { try await waiting.result() }
    await #expect(throws: FutureFailure.timedOut) {
      try await hanging.result(within: .milliseconds(1))
    }
    refusing.shutDown(.killing)
    await #expect(throws: WorkerFailure.killed) { try await hanging.result() }
    try await refusing.join(within: .seconds(30))
    let helping = try pool(1, queue: 1, whenFull: .callerRuns)
    _ = try await helping.submit(Tasks.hang, 1)
    try await Crowd.until { helping.counts.waiting == 0 }
    _ = try await helping.submit(Tasks.square, 2)
    // Here the work is another one than in the workers' program: 3, not 9.
    #expect(try await helping.submit(Tasks.square, 3).result() == 3)
    helping.shutDown(.killing)
    try await helping.join(within: .seconds(30))
  }

  @Test("ends with its work done, or cancelled", arguments: [true, false])
  func shutsDown(drains: Bool) async throws {
    let pool = try pool()
    var futures: [Future<Int>] = []
    for number in 0..<200 { futures.append(try await pool.submit(Tasks.square, number)) }
    pool.shutDown(drains ? .draining : .cancelling)
    await #expect(throws: PoolFailure.shutDown) { try await pool.submit(Tasks.square, 1) }
    try await pool.join(within: .seconds(30))
    #expect(futures.allSatisfy { $0.isDone })
    if drains {
      for (number, future) in futures.enumerated() {
        #expect(try await future.result() == number * number)
      }
    }
    #expect(pool.counts.processes == 0)
  }

  @Test(
    "work fails when no process can be started, or none becomes ready",
    .disabled(if: forksAlways)
  )
  func starts() async throws {
    for path in ["/nowhere/program", "/bin/false"] {
      let pool = try ProcessPool(processLimit: 1, program: Program(path))
      let failure = await #expect(throws: WorkerFailure.self) {
        try await pool.submit(Tasks.square, 1).result(within: .seconds(60))
      }
      guard case .cannotStart(let why) = failure else {
        Issue.record("\(path): \(String(describing: failure))")
        continue
      }
      #expect(why.contains(path == "/bin/false" ? "ended with code 1" : "execve"))
    }
  }

  @Test("no process outlives the one that has the pool, be that killed")
  func orphans() async throws {
    let companion = try Companion("pool-holder")
    let workers = companion.line().split(separator: " ").compactMap { Int32($0) }
    #expect(workers.count == 2)
    try companion.send(.kill)
    companion.process.waitUntilExit()
    try await Crowd.until { workers.allSatisfy { isGone($0) } }
  }
}
