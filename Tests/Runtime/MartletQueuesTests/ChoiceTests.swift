import MartletQueues
import MartletSync
import Testing

@Suite("Choices between queues", .timeLimit(.minutes(5)))
struct ChoiceTests {
  private let numbers = Queue<Int>(capacity: 2)
  private let words = Queue<String>(capacity: 2)

  private func next(within limit: Duration? = nil) async throws -> String {
    try await select(
      .take(from: numbers) { "number \($0)" },
      .take(from: words) { "word \($0)" },
      within: limit
    )
  }

  @Test("take what is there, and nothing else")
  func ready() async throws {
    #expect(words.tryPut("a"))
    #expect(try await next() == "word a")
    #expect(numbers.tryPut(1) && words.tryPut("b"))
    let both = [try await next(), try await next()]
    #expect(both.sorted() == ["number 1", "word b"])
    #expect(numbers.count == 0 && words.count == 0)
    #expect(numbers.waitingCounts == (0, 0) && words.waitingCounts == (0, 0))
  }

  @Test("prefer none of several that are always there")
  func fairness() async throws {
    var counts = [0, 0]
    for _ in 0..<2000 {
      _ = (numbers.tryPut(1), words.tryPut("a"))
      if try await next().hasPrefix("number") { counts[0] += 1 } else { counts[1] += 1 }
    }
    #expect(counts.allSatisfy { $0 > 500 }, "\(counts)")
  }

  @Test("wait for the first, and leave the other lines")
  func waiting() async throws {
    async let first = next()
    while numbers.waitingCounts.takers == 0 || words.waitingCounts.takers == 0 {
      await Task.yield()
    }
    #expect(numbers.tryPut(7))
    #expect(try await first == "number 7")
    #expect(numbers.waitingCounts.takers == 0 && words.waitingCounts.takers == 0)
    // The next one in the other line is served, and not the place of who has left.
    async let word = words.take()
    while words.waitingCounts.takers == 0 { await Task.yield() }
    #expect(words.tryPut("b"))
    #expect(try await word == "b")
  }

  @Test("put in where there is room")
  func putting() async throws {
    #expect(numbers.tryPut(1) && numbers.tryPut(2))
    func put() async throws -> String {
      try await select(
        .put(3, into: numbers) { "put" },
        .take(from: words) { "word \($0)" }
      )
    }
    async let result = put()
    while numbers.waitingCounts.putters == 0 { await Task.yield() }
    #expect(numbers.tryTake() == 1)
    #expect(try await result == "put")
    #expect(numbers.tryTake() == 2 && numbers.tryTake() == 3)
  }

  @Test("forget a queue that is closed, and fail when all are")
  func closing() async throws {
    #expect(numbers.tryPut(1))
    numbers.close()
    #expect(try await next() == "number 1")
    async let later = next()
    while words.waitingCounts.takers == 0 { await Task.yield() }
    #expect(words.tryPut("a"))
    #expect(try await later == "word a")
    let last = Task { try await next() }
    while words.waitingCounts.takers == 0 { await Task.yield() }
    words.close()
    await #expect(throws: QueueFailure.closed) { try await last.value }
  }

  @Test("end with a limit and with their task")
  func ends() async throws {
    await #expect(throws: QueueFailure.timedOut) { try await next(within: .milliseconds(5)) }
    let task = Task { try await next() }
    while words.waitingCounts.takers == 0 { await Task.yield() }
    task.cancel()
    await #expect(throws: QueueFailure.cancelled) { try await task.value }
    #expect(numbers.waitingCounts == (0, 0) && words.waitingCounts == (0, 0))
  }

  @Test("lose nothing and double nothing in a crowd, with others who take from one queue alone")
  func crowd() async throws {
    let queues = (0..<3).map { _ in Queue<Int>(capacity: 3) }
    let (count, sum, open) = (Locked(0), Locked(0), Locked(3))
    try await withThrowingTaskGroup(of: Void.self) { group in
      for queue in queues {
        group.addTask {
          for number in 1...3000 { try await queue.put(number) }
          queue.close()
          open.withLock { $0 -= 1 }
        }
        group.addTask {
          for await number in queue {
            count.withLock { $0 += 1 }
            sum.withLock { $0 += number }
          }
        }
      }
      for _ in 0..<3 {
        group.addTask {
          do {
            while true {
              let number = try await select(
                .take(from: queues[0]) { $0 },
                .take(from: queues[1]) { $0 },
                .take(from: queues[2]) { $0 },
                within: .seconds(100)
              )
              count.withLock { $0 += 1 }
              sum.withLock { $0 += number }
            }
          } catch QueueFailure.closed {}
        }
      }
      try await group.waitForAll()
    }
    #expect(count.withLock { $0 } == 9000 && sum.withLock { $0 } == 3 * 3000 * 3001 / 2)
    for queue in queues { #expect(queue.waitingCounts == (0, 0)) }
  }
}
