import MartletQueues
import MartletSync
import MartletSystem
import TestCrowd
import Testing

@Suite("Queue")
struct QueueTests {
  @Test("gives elements in its order")
  func orders() {
    let fifo = Queue<Int>(capacity: 3)
    let lifo = Queue<Int>(.lastIn, capacity: 3)
    let least = Queue<Int>(.priority { $0 / 10 < $1 / 10 }, capacity: 5)
    for value in [1, 2, 3] {
      #expect(fifo.tryPut(value))
      #expect(lifo.tryPut(value))
    }
    #expect(!fifo.tryPut(4) && !lifo.tryPut(4))
    #expect((0..<4).map { _ in fifo.tryTake() } == [1, 2, 3, nil])
    #expect((0..<4).map { _ in lifo.tryTake() } == [3, 2, 1, nil])
    // Those of one rank come in the order of their coming.
    for value in [21, 35, 11, 28, 12] { #expect(least.tryPut(value)) }
    #expect((0..<6).map { _ in least.tryTake() } == [11, 12, 21, 28, 35, nil])
  }

  @Test("behaves as its model through many random calls", arguments: [1, 2, 3, 7, 64])
  func model(capacity: Int) {
    var random = Seeded(state: UInt64(capacity))
    let queues = [
      Queue<Int>(capacity: capacity), Queue(.lastIn, capacity: capacity),
      Queue(.priority { $0 / 10 < $1 / 10 }, capacity: capacity),
    ]
    for (kind, queue) in queues.enumerated() {
      var model: [Int] = []
      for step in 0..<3000 {
        // Runs of one kind, so that it gets full and empty.
        if Int.random(in: 0..<100, using: &random) < (step / 100 % 2 == 0 ? 70 : 30) {
          let value = Int.random(in: 0..<1000, using: &random)
          #expect(queue.tryPut(value) == (model.count < capacity))
          if model.count < capacity { model.append(value) }
        } else {
          let place =
            switch kind {
            case 0: 0
            case 1: model.count - 1
            // Of those of one rank the first.
            default: model.indices.min { model[$0] / 10 < model[$1] / 10 }
            }
          let expected = model.isEmpty ? nil : place.map { model.remove(at: $0) }
          #expect(queue.tryTake() == expected)
        }
        #expect(queue.count == model.count)
      }
    }
  }

  @Test("loses and doubles nothing among many, and keeps each one's order", arguments: [1, 3, 256])
  func conserves(capacity: Int) async throws {
    let queue = Queue<Int>(capacity: capacity)
    let taken = (0..<4).map { _ in Unprotected<[Int]>([]) }
    let producers = Latch(4)
    async let tasks: Void = withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<2 {
        group.addTask {
          for value in 0..<1000 { try await queue.put(number * 10_000 + value) }
          producers.countDown()
        }
        group.addTask {
          for await value in queue {
            taken[number].value.append(value)
            queue.taskDone()
          }
        }
      }
      group.addTask {
        try await producers.wait(within: .seconds(60))
        try await queue.join(within: .seconds(60))
        queue.close()
      }
      try await group.waitForAll()
    }
    try await Crowd.threads(4) { number in
      if number < 2 {
        while let value = queue.next() {
          taken[number + 2].value.append(value)
          queue.taskDone()
        }
      } else {
        for value in 0..<1000 {
          do { try queue.put(number * 10_000 + value) } catch { Issue.record(error) }
        }
        producers.countDown()
      }
    }
    try await tasks
    let all = taken.flatMap(\.value)
    #expect(all.count == 4000)
    #expect(Set(all).count == 4000)
    for list in taken.map(\.value) {
      for producer in 0..<4 {
        let own = list.filter { $0 / 10_000 == producer }
        #expect(own == own.sorted())
      }
    }
  }

  @Test("answers calls of several threads as if each happened at one moment", arguments: [1, 2])
  func linearizable(capacity: Int) async throws {
    enum Operation: Sendable { case put(Int), take, close }
    struct Model: Hashable {
      var values: [Int] = []
      var isClosed = false
    }
    for round in 0..<150 {
      let queue = Queue<Int>(capacity: capacity)
      let history = History<Operation, Int?>()
      let together = Barrier(3)
      try await Crowd.threads(3) { number in
        var random = Seeded(state: UInt64(round * 3 + number))
        do { try together.wait() } catch { Issue.record(error) }
        for step in 0..<5 {
          if round % 5 == 0, number == 0, step == 3 {
            history.call(.close) {
              queue.close()
              return nil
            }
          } else if Bool.random(using: &random) {
            let value = number * 10 + step
            history.call(.put(value)) { queue.tryPut(value) ? 1 : 0 }
          } else {
            history.call(.take) { queue.tryTake() }
          }
        }
      }
      let isFine = isLinearizable(history.all, on: Model()) { model, operation -> Int? in
        switch operation {
        case .put(let value):
          guard model.values.count < capacity, !model.isClosed else { return 0 }
          model.values.append(value)
          return 1
        case .take:
          return model.values.isEmpty ? nil : model.values.removeFirst()
        case .close:
          model.isClosed = true
          return nil
        }
      }
      #expect(isFine, "\(history.all)")
    }
  }

  @Test("the checker of that refuses a queue which forgets an order")
  func checkerWorks() {
    enum Operation: Sendable { case put(Int), take }
    let calls: [Call<Operation, Int?>] = [
      Call(operation: .put(1), answer: 1, began: 1, ended: 2),
      Call(operation: .put(2), answer: 1, began: 3, ended: 4),
      Call(operation: .take, answer: 2, began: 5, ended: 6),
    ]
    func apply(_ values: inout [Int], _ operation: Operation) -> Int? {
      switch operation {
      case .put(let value):
        values.append(value)
        return 1
      case .take: return values.isEmpty ? nil : values.removeFirst()
      }
    }
    #expect(!isLinearizable(calls, on: [Int](), apply))
    // Had both been put in at the same time, either could be first.
    var together = calls
    together[1].began = 1
    #expect(isLinearizable(together, on: [Int](), apply))
  }

  @Test("waits no longer than the limit, and not when the task is cancelled")
  func limits() async throws {
    let queue = Queue<Int>(capacity: 1)
    await #expect(throws: QueueFailure.timedOut) { try await queue.take(within: .milliseconds(1)) }
    try await queue.put(1)
    await #expect(throws: QueueFailure.timedOut) {
      try await queue.put(2, within: .milliseconds(1))
    }
    await #expect(throws: QueueFailure.timedOut) { try await queue.join(within: .milliseconds(1)) }
    let putter = Task { try await queue.put(3) }
    try await Crowd.until { queue.waitingCounts.putters == 1 }
    putter.cancel()
    await #expect(throws: QueueFailure.cancelled) { try await putter.value }
    #expect(queue.tryTake() == 1)
    let taker = Task { await queue.next() }
    try await Crowd.until { queue.waitingCounts.takers == 1 }
    taker.cancel()
    #expect(await taker.value == nil)
    try await Crowd.threads(1) { _ in
      #expect(throws: QueueFailure.timedOut) { try queue.take(within: .milliseconds(1)) }
      #expect(queue.tryPut(4))
      #expect(throws: QueueFailure.timedOut) { try queue.put(5, within: .milliseconds(1)) }
      #expect(throws: QueueFailure.timedOut) { try queue.join(within: .milliseconds(1)) }
    }
    #expect(queue.waitingCounts == (0, 0))
  }

  @Test("gives out what is there when it is closed, and then ends all waits")
  func closes() async throws {
    let queue = Queue<Int>(capacity: 2)
    try await queue.put(1)
    try await queue.put(2)
    let putter = Task { try await queue.put(3) }
    try await Crowd.until { queue.waitingCounts.putters == 1 }
    queue.close()
    await #expect(throws: QueueFailure.closed) { try await putter.value }
    #expect(queue.isClosed)
    #expect(!queue.tryPut(4))
    #expect(await queue.next() == 1)
    #expect(await queue.next() == 2)
    await #expect(throws: QueueFailure.closed) { try await queue.take() }
    let other = Queue<Int>(.lastIn, capacity: 1)
    let takers = (0..<3).map { _ in Task { await other.next() } }
    try await Crowd.until { other.waitingCounts.takers == 3 }
    other.close()
    for taker in takers { #expect(await taker.value == nil) }
    #expect(!other.tryPut(1))
  }

  @Test("is joined when all that was put in is done")
  func joins() async throws {
    let queue = Queue<Int>(capacity: 4)
    try await queue.join()
    for value in 0..<3 { try await queue.put(value) }
    let joiner = Task { try await queue.join() }
    for left in [2, 1, 0] {
      #expect(queue.tryTake() != nil)
      queue.taskDone()
      #expect(queue.unfinishedCount == left)
    }
    try await joiner.value
  }

  @Test("lets go of what is left in it")
  func releases() {
    final class Element: Sendable {
      let tally: Tally
      init(_ tally: Tally) { self.tally = tally }
      deinit { tally.add() }
    }
    let tally = Tally()
    do {
      let queue = Queue<Element>(capacity: 8)
      for _ in 0..<5 { _ = queue.tryPut(Element(tally)) }
      _ = queue.tryTake()
      #expect(tally.value == 1)
    }
    #expect(tally.value == 5)
  }

  @Test("waits that end early lose nothing", arguments: [1, 2])
  func survivesLimits(seed: UInt64) async throws {
    let queue = Queue<Int>(capacity: 2)
    let (put, taken) = (Tally(), Tally())
    try await Crowd.threads(4) { number in
      var random = Seeded(state: seed &* 10 &+ UInt64(number))
      for _ in 0..<1000 {
        let limit = Duration.microseconds(Int.random(in: 0...50, using: &random))
        do throws(QueueFailure) {
          if number < 2 {
            try queue.put(1, within: limit)
            put.add()
          } else {
            taken.add(try queue.take(within: limit))
          }
        } catch {
          if error != .timedOut { Issue.record(error) }
        }
      }
    }
    #expect(put.value == taken.value + queue.count)
    #expect(queue.waitingCounts == (0, 0))
  }
}

@Suite("Delay queue")
struct DelayQueueTests {
  @Test("gives elements at their time, the earliest first")
  func delays() async throws {
    let queue = DelayQueue<Int>(capacity: 4)
    let clock = ContinuousClock()
    let start = clock.now
    #expect(queue.tryPut(3, after: .milliseconds(30)))
    #expect(queue.tryPut(1, after: .zero))
    #expect(queue.tryPut(2, after: .milliseconds(10)))
    #expect(queue.tryTake() == 1)
    #expect(queue.tryTake() == nil)
    await #expect(throws: QueueFailure.timedOut) { try await queue.take(within: .zero) }
    queue.close()
    #expect(try await queue.take() == 2)
    #expect(clock.now - start >= .milliseconds(10))
    try await Crowd.threads(1) { _ in
      do { #expect(try queue.take() == 3) } catch { Issue.record(error) }
      #expect(throws: QueueFailure.closed) { try queue.take() }
    }
    #expect(clock.now - start >= .milliseconds(30))
    #expect(!queue.tryPut(4, after: .zero))
  }

  @Test("wakes one that waits for a later element")
  func wakes() async throws {
    let queue = DelayQueue<Int>(capacity: 2)
    #expect(queue.tryPut(2, after: .seconds(3600)))
    let taker = Task { try await queue.take() }
    #expect(queue.tryPut(1, after: .milliseconds(1)))
    #expect(!queue.tryPut(0, after: .zero))
    #expect(try await taker.value == 1)
    let other = Task { try await queue.take() }
    other.cancel()
    await #expect(throws: QueueFailure.cancelled) { try await other.value }
    #expect(queue.count == 1)
  }
}
