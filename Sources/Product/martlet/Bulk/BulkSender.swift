import Certificates
import HTTP1
import HTTPMessage
import JSON
import MartletBytes
import MartletLoop
import MartletNet
import MartletQueues
import MartletSystem
import Supervision

/// How batches are sent.
struct BulkPlan: Sendable {
  var url: WebPlace
  var fields: [String]
  var workerCount: Int
  var tryCount: Int
  /// What the keys of batches begin with, by which a server knows one that it has had.
  var key: String
  /// Where values go that the server has refused.
  var deadLetters: String
  var column: String
}

/// Takes batches and posts them, some at a time, until all are acknowledged.
final class BulkSender {
  /// What became of the batches.
  struct Tally: Sendable {
    var sentCount = 0
    var rowCount = 0
    var deadCount = 0
    var retryCount = 0
  }

  private enum Outcome {
    case acknowledged
    /// The server does not want it, now or ever.
    case refused(String)
    /// It may be taken later.
    case failed(String, isReached: Bool)
  }

  private struct BrokenOff: Error, CustomStringConvertible {
    var description: String { "the answer breaks off" }
  }

  private static let patience = Timeout(.seconds(60))

  private let loop: EventLoop
  private let plan: BulkPlan
  private let source: BulkSource
  private let journal: BulkJournal
  private let connector: WebConnector
  private let ended: Signal
  private var activeCount = 0
  private var deadLetters: OpenFile?
  private(set) var tally = Tally()
  /// Why sending has ended before all was sent.
  private(set) var problem: String?

  init(
    on loop: EventLoop,
    _ plan: BulkPlan,
    _ source: BulkSource,
    _ journal: BulkJournal
  ) throws(CommandFailure) {
    guard let ended = Signal(on: loop) else { throw CommandFailure(.failure, "no timer is left") }
    self.loop = loop
    self.plan = plan
    self.source = source
    self.journal = journal
    self.ended = ended
    connector = try WebConnector(on: loop, place: nil)
  }

  /// Sends until the source is at its end, or the server cannot be reached.
  func run(_ show: @escaping @Sendable (Tally, Bool) -> Void) async {
    activeCount = plan.workerCount
    let sender = self
    for _ in 0..<plan.workerCount { loop.spawn(named: "send batches") { await sender.work() } }
    while activeCount > 0 {
      do throws(WaitError) {
        try await ended.wait(by: loop.deadline(after: Timeout(.milliseconds(200))))
      } catch {}
      show(tally, activeCount == 0)
    }
  }

  private func work() async {
    var connection: MartletNet.Stream?
    while problem == nil, let batch = await source.batches.next() {
      await deliver(batch, over: &connection)
    }
    // Nobody takes any more: the reader need not wait for room.
    if problem != nil { source.batches.close() }
    activeCount -= 1
    if activeCount == 0 { ended.set() }
  }

  private func deliver(_ batch: BulkBatch, over connection: inout MartletNet.Stream?) async {
    let request = request(for: batch)
    var pause = Duration.milliseconds(100)
    for attempt in 1...plan.tryCount where problem == nil {
      switch await post(request, over: &connection) {
      case .acknowledged:
        settle(batch)
        tally.sentCount += 1
        tally.rowCount += batch.rowCount
        return
      case .refused(let why):
        return bury(batch, why)
      case .failed(let why, let isReached):
        if attempt == plan.tryCount {
          if isReached { return bury(batch, why) }
          problem = problem ?? why
          return
        }
        tally.retryCount += 1
        do throws(WaitError) {
          // Up to half as long again, so that workers do not come back together.
          try await loop.sleep(for: pause * Double.random(in: 1...1.5))
        } catch {}
        pause = min(pause * 2, .seconds(30))
      }
    }
  }

  private func settle(_ batch: BulkBatch) {
    do throws(SystemError) { try journal.note(batch.number) } catch {
      problem = problem ?? "the journal: \(error)"
    }
  }

  /// Keeps the values of a batch that was refused, as a table that can be sent again.
  private func bury(_ batch: BulkBatch, _ why: String) {
    do {
      let file: OpenFile
      if let deadLetters {
        file = deadLetters
      } else {
        file = OpenFile(try Descriptor.open(plan.deadLetters, .appendSecret))
        deadLetters = file
        if try file.descriptor.facts().byteCount == 0 {
          try file.descriptor.writeAll(Self.quoted(Array(plan.column.utf8)))
        }
      }
      // First here and then in the journal: what a kill comes between is sent again.
      let limits = JSONLimits(byteCount: .max)
      let values = try JSONValue(parsing: batch.body, limits: limits).list ?? []
      try file.descriptor.writeAll(values.flatMap { Self.quoted(Array(($0.text ?? "").utf8)) })
    } catch {
      problem = problem ?? "\(plan.deadLetters): \(error)"
      return
    }
    settle(batch)
    tally.deadCount += 1
    Console.complain("batch \(batch.number): \(why)")
  }

  private static func quoted(_ value: [UInt8]) -> [UInt8] {
    [0x22] + value.flatMap { $0 == 0x22 ? [0x22, 0x22] : [$0] } + [0x22, 0x0A]
  }

  // MARK: The request

  private func request(for batch: BulkBatch) -> [UInt8] {
    let lines =
      [
        "POST \(plan.url.target) HTTP/1.1", "Host: \(plan.url.authority)",
        "Content-Type: application/json", "Content-Length: \(batch.body.count)",
        "Idempotency-Key: \"\(plan.key)-\(batch.number)\"",
      ] + plan.fields
    return Array((lines + ["", ""]).joined(separator: "\r\n").utf8) + batch.body
  }

  private func post(
    _ request: [UInt8],
    over connection: inout MartletNet.Stream?
  ) async -> Outcome {
    let wasKept = connection != nil
    var answer = ResponseReader(answering: "POST")
    do {
      try await exchange(request, over: &connection, &answer)
    } catch {
      connection = nil
      // A server may close a connection that it keeps at any time: that is no failure of this batch.
      if wasKept, answer.isUntouched { return await post(request, over: &connection) }
      return .failed(Self.words(for: error), isReached: !answer.isUntouched)
    }
    if !answer.head.keepsAlive { connection = nil }
    switch answer.head.status {
    case 200..<300: return .acknowledged
    case 408, 425, 429, 500...:
      return .failed("the answer is \(answer.head.status)", isReached: true)
    default: return .refused("the answer is \(answer.head.status)")
    }
  }

  private static func words(for error: any Error) -> String {
    switch error {
    case StreamError.failed(let failure): "\(failure)"
    case StreamError.timedOut: "no answer came in a minute"
    case let failure as CommandFailure: failure.message
    default: "\(error)"
    }
  }

  private func exchange(
    _ request: [UInt8],
    over connection: inout MartletNet.Stream?,
    _ answer: inout ResponseReader
  ) async throws {
    let deadline = loop.deadline(after: Self.patience)
    let stream: MartletNet.Stream
    if let connection {
      stream = connection
    } else {
      stream = try await connector.connect(to: plan.url, by: deadline)
    }
    connection = stream
    try await stream.write(request, by: deadline)
    while !answer.isWhole {
      let part = try await stream.read(.head, by: deadline)
      if part.isEmpty {
        guard answer.end() else { throw BrokenOff() }
        return
      }
      try answer.take([UInt8](copying: part.bytes))
    }
  }
}
