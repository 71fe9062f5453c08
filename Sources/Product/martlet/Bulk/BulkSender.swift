import Certificates
import JSON
import MartletLoop
import MartletQueues
import MartletSystem
import Supervision

/// How batches are sent.
struct BulkPlan: Sendable {
  /// Where they go.
  enum Target: Sendable {
    /// To a server, by POST with these fields.
    case url(WebPlace, fields: [String])
    /// To a program, on its standard input.
    case program(Program)
  }

  var target: Target
  var workerCount: Int
  /// How many batches a worker has under way at once.
  var pipelineCount: Int
  var tryCount: Int
  /// How long a try may take.
  var patience: Duration
  /// What the keys of batches begin with, by which whoever gets one knows that it has had it.
  var key: String
  /// Where values go that were refused.
  var deadLetters: String
  var column: String
}

/// What became of a batch.
enum BulkOutcome: Sendable {
  case acknowledged
  /// It is not wanted, now or ever.
  case refused(String)
  /// It may be taken later.
  case failed(String, isReached: Bool)
}

/// Takes batches to where they go.
protocol BulkCarrier: AnyObject {
  /// Tries some batches, one or more, once.
  ///
  /// What became of them is told in their order, of each as soon as it is known. A carrier that gives up before it has
  /// tried all of them has told of the first of those at least which failed.
  func carry(_ batches: ArraySlice<BulkBatch>, _ tell: ([BulkOutcome]) -> Void) async
}

/// Takes batches and has them carried, some at a time, until all are acknowledged.
final class BulkSender {
  /// What became of the batches.
  struct Tally: Sendable {
    var sentCount = 0
    var rowCount = 0
    var deadCount = 0
    var retryCount = 0
  }

  private let loop: EventLoop
  private let plan: BulkPlan
  private let source: BulkSource
  private let journal: BulkJournal
  private let carrier: any BulkCarrier
  private var deadLetters: OpenFile?
  private(set) var tally = Tally()
  /// Why sending has ended before all was sent.
  private(set) var problem: String? {
    // Nobody takes any more: the reader need not wait for room.
    didSet { source.bundles.close() }
  }

  init(
    on loop: EventLoop,
    _ plan: BulkPlan,
    _ source: BulkSource,
    _ journal: BulkJournal
  ) throws(CommandFailure) {
    self.loop = loop
    self.plan = plan
    self.source = source
    self.journal = journal
    carrier =
      switch plan.target {
      case .url(let url, let fields):
        try BulkPoster(on: loop, to: url, fields: fields, key: plan.key, within: plan.patience)
      case .program(let program):
        BulkRunner(on: loop, program, key: plan.key, within: plan.patience)
      }
  }

  /// Sends until the source is at its end, or nobody can be reached.
  func run(_ show: @escaping (Tally, Bool) -> Void) async {
    let sender = self
    let shown = loop.start(named: "show progress") { () async throws in
      while true {
        try await sender.loop.sleep(for: .milliseconds(200))
        show(sender.tally, false)
      }
    }
    do {
      let groups = BulkGroups(source, ofAtMost: plan.pipelineCount)
      try await loop.forEach(groups, atMost: plan.workerCount, named: "send batches") {
        await sender.deliver($0)
      }
    } catch {
      problem = problem ?? "\(error)"
    }
    shown.cancel()
    show(tally, true)
  }

  /// Has batches carried together; what fails of them is tried again alone.
  private func deliver(_ batches: ArraySlice<BulkBatch>) async {
    var rest = batches
    while !rest.isEmpty, problem == nil {
      for (batch, outcome) in await tried(&rest) { await insist(on: batch, after: outcome) }
    }
  }

  /// Tries batches once, takes those off that were tried, and notes what was acknowledged at once.
  ///
  /// - Returns: What was not acknowledged.
  private func tried(
    _ rest: inout ArraySlice<BulkBatch>
  ) async -> [(batch: BulkBatch, outcome: BulkOutcome)] {
    var others: [(batch: BulkBatch, outcome: BulkOutcome)] = []
    let batches = rest
    var next = batches.startIndex
    await carrier.carry(batches) { outcomes in
      var settled: [Int] = []
      for outcome in outcomes {
        let batch = batches[next]
        next += 1
        guard case .acknowledged = outcome else {
          others.append((batch, outcome))
          continue
        }
        settled.append(batch.number)
        tally.sentCount += 1
        tally.rowCount += batch.rowCount
      }
      settle(settled)
    }
    rest = batches[next...]
    return others
  }

  /// Tries a batch again until it is acknowledged, refused or was tried often enough.
  private func insist(on batch: BulkBatch, after first: BulkOutcome) async {
    var (outcome, attempt) = (first, 1)
    var pause = Duration.milliseconds(100)
    while problem == nil {
      switch outcome {
      case .acknowledged: return
      case .refused(let why): return bury(batch, why)
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
      var again: ArraySlice<BulkBatch> = [batch]
      outcome = await tried(&again).first?.outcome ?? .acknowledged
      attempt += 1
    }
  }

  private func settle(_ numbers: [Int]) {
    guard !numbers.isEmpty else { return }
    do throws(SystemError) { try journal.note(numbers) } catch {
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
    settle([batch.number])
    tally.deadCount += 1
    Console.complain("batch \(batch.number): \(why)")
  }

  private static func quoted(_ value: [UInt8]) -> [UInt8] {
    [0x22] + value.flatMap { $0 == 0x22 ? [0x22, 0x22] : [$0] } + [0x22, 0x0A]
  }
}
