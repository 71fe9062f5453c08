import Applications
import MartletSystem
import Testing

@Suite("Applications")
struct ApplicationTests {
  private func request(_ number: UInt64, priority: Int = 5) throws -> WorkerRequest {
    var context = WorkerRequest.Context()
    context.priority = priority
    let head = Array("GET /a%20b?c=d HTTP/1.1\r\nHost: x:81\r\nA: 1\r\na: 2\r\n\r\n".utf8)
    return try WorkerRequest(
      number: number,
      loop: 0,
      head: head.span,
      context: context,
      body: [],
      bodyLength: 0
    )
  }

  private func process(_ number: Int32) throws -> (ApplicationProcess, OpenFile) {
    let (own, its) = try OpenFile.messagePair()
    let (output, _) = try OpenFile.socketPair()
    let (answers, _) = try OpenFile.socketPair()
    return (try ApplicationProcess(number: number, files: [own, output, answers]), its)
  }

  /// The number in a request that a worker has got; nil: it has got none.
  private func received(_ file: OpenFile) -> UInt64? {
    var bytes = [UInt8](repeating: 0, count: 4096)
    do {
      try file.descriptor.setNonblocking()
      let count = try file.descriptor.receiveMessage(into: &bytes).count
      guard count > 24 else { return nil }
      return bytes[8..<16].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    } catch {
      return nil
    }
  }

  @Test("requests wait until a worker is ready, and go out in their order")
  func waits() throws {
    let application = Application()
    var terms = ApplicationTerms()
    terms.aheadCount = 0
    application.use(terms)
    #expect(try application.submit(request(1), at: 0) == .waits)
    #expect(try application.submit(request(2), at: 0) == .waits)
    let (worker, its) = try process(7)
    application.add(worker)
    #expect(received(its) == nil)
    application.noteReady(7, at: 1)
    #expect(received(its) == 1)
    #expect(received(its) == nil)
    application.complete(1, of: 7, at: 2)
    #expect(received(its) == 2)
    #expect(application.figures.activeCount == 1)
    #expect(application.remove(7) == [2])
  }

  @Test("of those that wait the most important is next, and among equals the one that came first")
  func priorities() throws {
    let application = Application()
    var terms = ApplicationTerms()
    terms.aheadCount = 0
    application.use(terms)
    for (number, priority) in [(1, 5), (2, 5), (3, 9), (4, 0), (5, 9), (6, 1)] {
      #expect(try application.submit(request(UInt64(number), priority: priority), at: 0) == .waits)
    }
    let (worker, its) = try process(7)
    application.add(worker)
    application.noteReady(7, at: 1)
    for number: UInt64 in [3, 5, 1, 2, 6, 4] {
      #expect(received(its) == number)
      application.complete(number, of: 7, at: 2)
    }
  }

  @Test("the worker with least to do is next")
  func balances() throws {
    let application = Application()
    let (first, itsFirst) = try process(1)
    let (second, itsSecond) = try process(2)
    application.add(first)
    application.add(second)
    application.noteReady(1, at: 0)
    application.noteReady(2, at: 0)
    for number: UInt64 in 1...4 { #expect(try application.submit(request(number), at: 0) == .sent) }
    #expect([received(itsFirst), received(itsFirst), received(itsFirst)] == [1, 3, nil])
    #expect([received(itsSecond), received(itsSecond)] == [2, 4])
    application.retire(1)
    application.complete(1, of: 1, at: 1)
    application.complete(2, of: 2, at: 1)
    #expect(try application.submit(request(5), at: 1) == .sent)
    #expect(received(itsSecond) == 5)
  }

  @Test("as many wait as may, and not for longer")
  func bounds() throws {
    let application = Application()
    var terms = ApplicationTerms()
    terms.queueLength = 2
    terms.queueTime = 10
    application.use(terms)
    #expect(try application.submit(request(1), at: 0) == .waits)
    #expect(try application.submit(request(2), at: 5) == .waits)
    #expect(try application.submit(request(3), at: 5) == .isFull)
    #expect(application.takeExpired(of: 0, at: 10) == [])
    #expect(application.takeExpired(of: 0, at: 11) == [1])
    #expect(application.withdraw(2))
    #expect(!application.withdraw(2))
  }

  @Test("who takes too long is named")
  func overdue() throws {
    let application = Application()
    var terms = ApplicationTerms()
    terms.requestTime = 100
    application.use(terms)
    let (worker, its) = try process(3)
    application.add(worker)
    application.noteReady(3, at: 0)
    #expect(try application.submit(request(9), at: 0) == .sent)
    #expect(application.overdue(at: 100).isEmpty)
    #expect(application.overdue(at: 101).map(\.request) == [9])
    #expect(received(its) == 9)
  }
}
