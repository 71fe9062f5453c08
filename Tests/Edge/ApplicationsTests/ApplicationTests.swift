import Applications
import MartletSystem
import Testing

extension Application {
  /// Does something for a loop, and sends what it gives to workers as the loop would at the end of its turn.
  fileprivate func turn<Result>(_ work: (Application, inout WorkerOutbox) -> Result) -> Result {
    var outbox = WorkerOutbox()
    defer { outbox.send(for: self) }
    return work(self, &outbox)
  }

  fileprivate func submit(_ request: WorkerRequest, at now: Int64) -> Submission {
    turn { $0.submit(request, at: now, into: &$1) }
  }

  fileprivate func complete(_ number: UInt64, of process: Int32, at now: Int64) {
    turn { $0.complete(number, of: process, at: now, into: &$1) }
  }

  fileprivate func noteReady(_ number: Int32, at now: Int64) {
    turn { $0.noteReady(number, at: now, into: &$1) }
  }
}

@Suite("Applications")
struct ApplicationTests {
  private func request(
    _ number: UInt64,
    priority: Int = 5,
    body: [UInt8] = [],
    stream: OpenFile? = nil
  ) throws -> WorkerRequest {
    var context = WorkerRequest.Context()
    context.priority = priority
    let head = Array("GET /a%20b?c=d HTTP/1.1\r\nHost: x:81\r\nA: 1\r\na: 2\r\n\r\n".utf8)
    return try WorkerRequest(
      number: number,
      loop: 0,
      head: head.span,
      context: context,
      body: body,
      attachment: stream.map { WorkerRequest.Attachment($0, for: .stream) },
      contentLength: stream == nil ? UInt64(body.count) : nil,
      known: KnownFields()
    )
  }

  private func process(_ number: Int32) throws -> (ApplicationProcess, OpenFile) {
    let (own, its) = try OpenFile.messagePair()
    let (output, _) = try OpenFile.socketPair()
    let (answers, _) = try OpenFile.socketPair()
    return (try ApplicationProcess(number: number, files: [own, output, answers]), its)
  }

  /// An application on these terms, with one worker that is ready, and the worker's end.
  private func ready(
    _ number: Int32,
    _ change: (inout ApplicationTerms) -> Void
  ) throws -> (Application, OpenFile) {
    let application = Application()
    var terms = ApplicationTerms()
    change(&terms)
    application.use(terms)
    let (worker, its) = try process(number)
    application.add(worker)
    application.noteReady(number, at: 0)
    return (application, its)
  }

  /// The numbers in the message that a worker has got; none: it has got none.
  private func message(_ file: OpenFile) -> [UInt64] {
    var bytes = [UInt8](repeating: 0, count: 128 << 10)
    do {
      try file.descriptor.setNonblocking()
      let count = try file.descriptor.receiveMessage(into: &bytes).count
      var numbers: [UInt64] = []
      var start = 0
      func number(_ range: Range<Int>) -> UInt64 {
        bytes[range].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      }
      while start < count {
        numbers.append(number(start + 8..<start + 16))
        let content = bytes[start + 2] == 0 ? number(start + 16..<start + 24) : 0
        start += 24 + Int(number(start + 4..<start + 6) + number(start + 6..<start + 8))
        start += Int(content)
      }
      #expect(start == count)
      return numbers
    } catch {
      return []
    }
  }

  /// The number of the one request in a message.
  private func received(_ file: OpenFile) -> UInt64? {
    let numbers = message(file)
    #expect(numbers.count < 2)
    return numbers.first
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
    for number: UInt64 in 1...4 {
      #expect(try application.submit(request(number), at: 0) == .given)
    }
    #expect([received(itsFirst), received(itsFirst), received(itsFirst)] == [1, 3, nil])
    #expect([received(itsSecond), received(itsSecond)] == [2, 4])
    application.retire(1)
    application.complete(1, of: 1, at: 1)
    application.complete(2, of: 2, at: 1)
    #expect(try application.submit(request(5), at: 1) == .given)
    #expect(received(itsSecond) == 5)
  }

  @Test("a worker that waits for a client's body gets nothing ahead, and is no slower for it")
  func streamed() throws {
    let application = Application()
    let (worker, its) = try process(7)
    application.add(worker)
    application.noteReady(7, at: 0)
    let (body, end) = try OpenFile.messagePair()
    #expect(try application.submit(request(1, stream: end), at: 0) == .given)
    #expect(try application.submit(request(2), at: 0) == .waits)
    application.complete(1, of: 7, at: 60_000_000_000)
    #expect([received(its), received(its)] == [1, 2])
    #expect(application.figures.workers[0].requestTime == 0)
    #expect(try application.submit(request(3), at: 60_000_000_000) == .given)
    _ = body
  }

  @Test("a worker whose requests take next to nothing has more ahead, for each thread")
  func instant() throws {
    let (application, its) = try ready(7) { $0.threadCount = 2 }
    var number: UInt64 = 0
    /// How many it is given when more than enough wait, once so many have taken so long.
    func given(behind count: Int, nanoseconds: Int64) throws -> Int {
      for _ in 0..<count {
        number += 1
        #expect(try application.submit(request(number), at: 0) == .given)
        application.complete(number, of: 7, at: nanoseconds)
      }
      let first = number + 1
      number += 30
      for other in first...number { _ = try application.submit(request(other), at: 0) }
      let given = application.figures.activeCount
      for other in first...number where !application.withdraw(other) {
        application.complete(other, of: 7, at: 0)
      }
      while !message(its).isEmpty {}
      return given
    }
    #expect(try given(behind: 0, nanoseconds: 0) == 5)
    #expect(try given(behind: 40, nanoseconds: 10_000) == 8)
    #expect(try given(behind: 40, nanoseconds: 3_000_000) == 5)
    #expect(try given(behind: 40, nanoseconds: 9_000_000) == 2)
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
    let (application, its) = try ready(3) { $0.requestTime = 100 }
    #expect(try application.submit(request(9), at: 0) == .given)
    #expect(application.overdue(at: 100).isEmpty)
    #expect(application.overdue(at: 101).map(\.request) == [9])
    #expect(received(its) == 9)
  }

  @Test("what goes to a worker in one turn is one message, up to a length; a file goes alone")
  func together() throws {
    let (application, its) = try ready(3) { $0.threadCount = 16 }
    let long = [UInt8](repeating: 0x61, count: 30 << 10)
    let (file, _) = try OpenFile.socketPair()
    let requests = [
      try request(1), try request(2), try request(3, body: [1, 2, 3]), try request(4, stream: file),
      try request(5), try request(6, body: long), try request(7, body: long),
      try request(8, body: long), try request(9),
    ]
    application.turn { application, outbox in
      for request in requests {
        #expect(application.submit(request, at: 0, into: &outbox) == .given)
      }
    }
    #expect(message(its) == [1, 2, 3])
    #expect(message(its) == [4])
    #expect(message(its) == [5, 6, 7])
    #expect(message(its) == [8, 9])
    #expect(message(its) == [])
  }

  @Test("what a worker does not take is in line again, before all others")
  func takesBack() throws {
    let (application, its) = try ready(3) { $0.threadCount = 100 }
    let long = [UInt8](repeating: 0x61, count: 32 << 10)
    for number: UInt64 in 1...50 {
      #expect(try application.submit(request(number, body: long), at: 0) != .isFull)
    }
    let waiting = application.figures.waitingCount
    #expect(waiting > 0)
    var numbers: [UInt64] = []
    while numbers.count < 50 {
      let more = message(its)
      if more.isEmpty {
        application.turn { $0.tend(at: 1, into: &$1) }
      }
      numbers += more
    }
    #expect(numbers == Array(1...50))
    #expect(application.figures.waitingCount == 0)
  }

  @Test("what a worker has not got that has ended goes to another one")
  func ended() throws {
    let application = Application()
    // Nobody keeps the other end.
    let first = try process(1).0
    application.add(first)
    application.noteReady(1, at: 0)
    let requests = try [request(1), request(2), request(3)]
    application.turn { application, outbox in
      for request in requests {
        #expect(application.submit(request, at: 0, into: &outbox) == .given)
      }
    }
    #expect(application.figures.readyCount == 0)
    let (second, itsSecond) = try process(2)
    application.add(second)
    application.noteReady(2, at: 1)
    #expect(message(itsSecond) == [1, 2, 3])
    #expect(application.remove(1) == [])
  }
}
