import Foundation
import MartletProcess
import MartletSync
import MartletSystem
import TestCrowd
import Testing

/// Memory with a name of its own for a test.
private final class Named {
  let name = "/martlet-test-\(UInt64.random(in: 0 ... .max))"
  let memory: SharedMemory

  init(_ byteCount: Int) throws { memory = try SharedMemory.make(name, byteCount: byteCount) }

  deinit { try? SharedMemory.remove(name) }

  /// Starts a process that takes something in it, kills that and waits for its end.
  func killHolder(of kind: String) throws {
    let holder = try Companion("hold", kind, name)
    #expect(holder.line() == "held")
    try holder.send(.kill)
    holder.process.waitUntilExit()
  }
}

@Suite("Shared memory", .timeLimit(.minutes(5)))
struct SharedTests {
  private func soon(_ seconds: Int64 = 60) -> Int64 {
    SystemClock.monotonicNanoseconds() + seconds * 1_000_000_000
  }

  @Test("is the same for all that open it, and bounded")
  func memory() throws {
    let named = try Named(100)
    let other = try SharedMemory.open(named.name)
    named.memory.write([1, 2, 3], at: 97)
    #expect(other.read(97..<100) == [1, 2, 3] && other.byteCount == 100)
    #expect(throws: SystemError(.shmOpen, 17)) { try SharedMemory.make(named.name, byteCount: 1) }
    #expect(throws: SystemError(.shmOpen, 2)) { try SharedMemory.open("/martlet-test-nothing") }
    let unnamed = try SharedMemory(byteCount: 64)
    let passed = try SharedMemory(adopting: unnamed.file)
    passed.setNumber(.max, at: 8)
    #expect(unnamed.number(at: 8) == .max)
  }

  @Test("a lock lets one in, of all threads")
  func excludes() async throws {
    let memory = try SharedMemory(byteCount: 64)
    let lock = SharedLock(in: memory, at: 0)
    try lock.prepare()
    let count = Unprotected(0)
    try await Crowd.threads(4) { _ in
      for _ in 0..<2000 { lock.withLock { _ in count.value += 1 } }
    }
    #expect(count.value == 8000)
    try await Crowd.threads(1) { _ in
      #expect(lock.tryLock() == .free)
      lock.unlock()
    }
  }

  @Test("a lock whose holder was killed goes to the next one, who is told")
  func death() async throws {
    let named = try Named(64)
    let lock = SharedLock(in: named.memory, at: 0)
    try lock.prepare()
    try named.killHolder(of: "lock")
    let until = soon()
    try await Crowd.threads(1) { _ in
      #expect(lock.lock(until: until) == .fromTheDead)
      lock.unlock()
      #expect(lock.tryLock() == .free)
      lock.unlock()
    }
  }

  @Test("permits of a process that was killed are given to others")
  func permits() async throws {
    let named = try Named(SharedSemaphore.byteCount(permits: 2))
    let permits = SharedSemaphore(permits: 2, in: named.memory, at: 0)
    try permits.prepare()
    let holder = try Companion("hold", "semaphore", named.name)
    #expect(holder.line() == "held")
    #expect(permits.tryAcquire() == nil && permits.available == 0)
    let (taken, until) = (Event(), soon())
    try Thread.start {
      #expect(permits.acquire(until: until) != nil)
      taken.set()
    }
    try holder.send(.kill)
    holder.process.waitUntilExit()
    try await taken.wait(within: .seconds(60))
    let second = try #require(permits.tryAcquire())
    #expect(permits.tryAcquire() == nil)
    permits.release(second)
    #expect(permits.available == 1)
  }

  @Test("a condition wakes those that wait for it")
  func condition() async throws {
    let memory = try SharedMemory(byteCount: 128)
    let lock = SharedLock(in: memory, at: 0)
    let changed = SharedCondition(of: lock, in: memory, at: 64)
    try lock.prepare()
    let (count, until) = (Unprotected(0), soon())
    try await Crowd.threads(4) { number in
      lock.lock()
      if number == 0 {
        count.value = 1
        changed.broadcast()
      }
      while count.value == 0 { #expect(changed.wait(until: until)) }
      lock.unlock()
    }
  }

  @Test("a ring carries messages of any length, around its end, from many to many")
  func ring() async throws {
    let memory = try SharedMemory(byteCount: SharedRing.byteCount(capacity: 100))
    let ring = SharedRing(capacity: 100, in: memory)
    try ring.prepare()
    let (sum, takers) = (Tally(), Latch(2))
    for _ in 0..<2 {
      try Thread.start {
        while case .message(let message) = ring.take() {
          #expect(message.allSatisfy { $0 == UInt8(message.count) })
          sum.add(message.count)
        }
        takers.countDown()
      }
    }
    try await Crowd.threads(2) { _ in
      for round in 0..<2000 {
        let count = round % 97
        #expect(ring.put([UInt8](repeating: UInt8(count), count: count)) == .done)
      }
    }
    ring.close()
    try await takers.wait(within: .seconds(60))
    #expect(sum.value == 2 * (0..<2000).reduce(0) { $0 + $1 % 97 })
    #expect(ring.put([1]) == .closed)
  }

  @Test(
    "a ring that is full says so, and what a killed process has put in is whole",
    arguments: 0..<5
  )
  func killed(round: Int) throws {
    let named = try Named(SharedRing.byteCount(capacity: 1000))
    let ring = SharedRing(capacity: 1000, in: named.memory)
    try ring.prepare()
    let filler = try Companion("hold", "ring", named.name)
    #expect(filler.line() == "held")
    let channel = ProcessChannel<[Int]>(over: RingCarrier(ring))
    var next = 0
    for _ in 0..<(100 + 50 * round) {
      #expect(try channel.receive(within: .seconds(60)) == Array(repeating: next, count: 20))
      next += 1
    }
    try filler.send(.kill)
    filler.process.waitUntilExit()
    while let bytes = try channel.carrier.tryReceive() {
      #expect(try Packing.unpack([Int].self, from: bytes) == Array(repeating: next, count: 20))
      next += 1
    }
    while ring.put([1], until: 0) == .done {}
    #expect(ring.put([1], until: 0) == .full)
    #expect(throws: ChannelFailure.timedOut) { try channel.send([1], within: .milliseconds(1)) }
  }

  @Test("parts of a file are locked among processes, and free when the holder is killed")
  func parts() throws {
    let path =
      FileManager.default.temporaryDirectory.path + "/martlet-part-\(UInt64.random(in: 0 ... .max))"
    let file = OpenFile(try Descriptor.openShared(path))
    defer { try? Files.remove(path) }
    let holder = try Companion("hold", "part", path)
    #expect(holder.line() == "held")
    #expect(try !file.descriptor.lock(part: 5..<20, .shared))
    #expect(try file.descriptor.lock(part: 10..<20, .exclusive))
    let again = OpenFile(try Descriptor.openShared(path))
    #expect(try !again.descriptor.lock(part: 10..<11, .shared))
    #expect(try file.descriptor.lock(part: 10..<20, .shared))
    #expect(try again.descriptor.lock(part: 10..<11, .shared))
    try holder.send(.kill)
    holder.process.waitUntilExit()
    #expect(try file.descriptor.lock(part: 0..<10, .exclusive, waits: true))
    #expect(try file.descriptor.lock(part: 0..<20, .none))
  }
}
