import ArgumentParser
import Certificates
import CLinux
import Directives
import MartletLoop
import MartletProcess
import MartletQueues
import MartletSync
import MartletSystem
import Supervision

/// `martlet bulk`.
struct BulkCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bulk",
    abstract: "Send the values of a column of a CSV file to a server or a command, in batches.",
    discussion: """
      Each batch is a JSON list of strings: posted with an Idempotency-Key that is the same whenever it is sent, or \
      given to a command as its standard input, with that key in MARTLET_BATCH. What was acknowledged, by an answer \
      of 2xx or by an end with 0, is noted beside the file at once: started again after whatever has ended it, this \
      goes on with what is missing. 408, 425, 429 and 5xx, and a command that does not end with 0, are tried again \
      after a pause that doubles; a batch that is refused, by another answer or by an end with 65, or that was tried \
      as often as --tries, goes to the file of dead letters, which is a CSV file that can be sent itself. When the \
      server cannot be reached, or the command not be started, this ends with 1.
      """
  )

  @Argument(help: ArgumentHelp("A CSV file with a first record of names.", valueName: "file"))
  var file: String

  @Option(
    name: .long,
    help: ArgumentHelp("The name of a column, or its number.", valueName: "name")
  )
  var column: String

  @Option(
    name: .long,
    help: ArgumentHelp("Where to post, as `http://127.0.0.1:8080/rows`.", valueName: "url")
  )
  var post: String?

  @Option(
    name: .long,
    help: ArgumentHelp(
      "What to run for each batch, as `/usr/bin/load --table names`.",
      valueName: "command"
    )
  )
  var command: String?

  @Flag(name: .long, help: "Have the command run by a shell.")
  var shell = false

  @Option(
    name: .long,
    help: ArgumentHelp("How many rows a batch has, 1 to 10000.", valueName: "number")
  )
  var batch = 100

  @Option(name: .long, help: ArgumentHelp("How many at once, 1 to 256.", valueName: "number"))
  var workers = 8

  @Option(
    name: .long,
    help: ArgumentHelp(
      "How many requests of one connection are under way at once, 1 to 64.",
      valueName: "number"
    )
  )
  var pipeline = 1

  @Option(
    name: .long,
    help: ArgumentHelp("How often a batch is tried, 1 to 100.", valueName: "number")
  )
  var tries = 5

  @Option(
    name: .long,
    help: ArgumentHelp("How many seconds a try may take, 1 to 86400.", valueName: "number")
  )
  var timeout = 60

  @Option(
    name: .long,
    help: ArgumentHelp(
      "A field of the requests, as `Authorization: Bearer x`; may be repeated.",
      valueName: "field"
    )
  )
  var header: [String] = []

  @Option(
    name: .long,
    help: ArgumentHelp("What was sent; FILE.sent else.", valueName: "file"),
    completion: .file()
  )
  var state: String?

  @Option(
    name: .long,
    help: ArgumentHelp("Where refused values go; FILE.dead else.", valueName: "file"),
    completion: .file()
  )
  var dead: String?

  func validate() throws {
    guard 1...10_000 ~= batch else {
      throw ValidationError("--batch: write a number from 1 to 10000")
    }
    guard 1...256 ~= workers else {
      throw ValidationError("--workers: write a number from 1 to 256")
    }
    guard 1...64 ~= pipeline else {
      throw ValidationError("--pipeline: write a number from 1 to 64")
    }
    guard post != nil || pipeline == 1 else { throw ValidationError("--pipeline needs --post") }
    guard 1...100 ~= tries else { throw ValidationError("--tries: write a number from 1 to 100") }
    guard 1...86_400 ~= timeout else {
      throw ValidationError("--timeout: write a number from 1 to 86400")
    }
    guard command != nil || !shell else { throw ValidationError("--shell needs --command") }
    guard post != nil || header.isEmpty else { throw ValidationError("--header needs --post") }
    _ = try target()
    for field in header where !CacheCommand.WarmCommand.isField(field) {
      throw ValidationError("--header: write it as `Authorization: Bearer x`")
    }
  }

  func run() throws {
    let (source, journal, key) = try opened()
    let plan = BulkPlan(
      target: try target(),
      workerCount: workers,
      pipelineCount: pipeline,
      tryCount: tries,
      patience: .seconds(timeout),
      key: key,
      deadLetters: dead ?? "\(file).dead",
      column: column
    )
    let before = journal.count
    let progress = BulkProgress(source, before: before, batchSize: batch)
    let outcome = Locked<(tally: BulkSender.Tally, problem: String?)>((BulkSender.Tally(), nil))
    let loop = try EventLoop()
    try source.start(column: column)
    loop.run(until: {
      do throws(CommandFailure) {
        let sender = try BulkSender(on: loop, plan, source, journal)
        await sender.run { tally, isOver in progress.show(tally, isOver: isOver) }
        let end = (sender.tally, sender.problem)
        outcome.withLock { $0 = end }
      } catch {
        source.bundles.close()
        let message = error.message
        outcome.withLock { $0.problem = message }
      }
    })
    let (tally, problem) = outcome.withLock { ($0.tally, $0.problem) }
    let seconds = progress.seconds
    Console.say(
      "\(tally.sentCount) batches with \(tally.rowCount) rows sent in \(seconds) s, \(before) were sent before, "
        + "\(tally.deadCount) refused, \(tally.retryCount) tries repeated"
    )
    if let problem = problem ?? source.problem {
      throw CommandFailure(.failure, "\(file): \(problem)")
    }
    if tally.deadCount > 0 {
      throw CommandFailure(.failure, "refused values are in \(plan.deadLetters)")
    }
  }

  /// Where the batches go.
  private func target() throws -> BulkPlan.Target {
    switch (post, command) {
    case (let post?, nil):
      guard let url = WebPlace(post) else { throw ValidationError("--post: \(post) is no URL") }
      return .url(url, fields: header)
    case (nil, let command?):
      if shell { return .program(Program("/bin/sh", arguments: ["-c", command])) }
      guard let words = CommandWords.split(command) else {
        throw ValidationError("--command: a quote is not closed")
      }
      guard let path = words.first, path.contains("/") else {
        throw ValidationError(
          "--command: write the program with its path, as `/usr/bin/load`, or add --shell"
        )
      }
      return .program(Program(path, arguments: Array(words.dropFirst())))
    default: throw ValidationError("write one of --post and --command")
    }
  }

  /// The source, the journal of what it need not give, and what the keys of batches begin with.
  private func opened() throws -> (BulkSource, BulkJournal, String) {
    do {
      let input = try Descriptor.open(file, .read)
      let byteCount = try input.facts().byteCount
      let name = file.split(separator: "/").last.map(String.init) ?? file
      let run = "\(name) of \(byteCount) bytes, column \(column), \(batch) rows"
      // The same for the same run, whenever it is started.
      var hash: UInt64 = 0xCBF2_9CE4_8422_2325
      for byte in run.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
      let journal = try BulkJournal(state ?? "\(file).sent", of: run)
      let source = BulkSource(
        input,
        byteCount: byteCount,
        batchSize: batch,
        past: journal
      )
      return (source, journal, String(hash, radix: 16))
    } catch let failure as CommandFailure {
      throw failure
    } catch {
      throw CommandFailure(.failure, "\(file): \(error)")
    }
  }
}

/// Shows how far it is, on a terminal.
final class BulkProgress: Sendable {
  private let source: BulkSource
  private let before: Int
  private let batchSize: Int
  private let start = ContinuousClock.now
  private let isShown = isatty(2) == 1

  init(_ source: BulkSource, before: Int, batchSize: Int) {
    self.source = source
    self.before = before
    self.batchSize = batchSize
  }

  /// How long it has taken, with one digit behind the point.
  var seconds: String {
    let tenths = Int((ContinuousClock.now - start) / .milliseconds(100))
    return "\(tenths / 10).\(tenths % 10)"
  }

  func show(_ tally: BulkSender.Tally, isOver: Bool) {
    guard isShown else { return }
    let read = source.readBytes
    let share = source.byteCount > 0 ? min(Double(read) / Double(source.byteCount), 1) : 1
    let elapsed = max((ContinuousClock.now - start) / .seconds(1), 0.001)
    let filled = Int(share * 30)
    let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: 30 - filled)
    let rest = share > 0 ? Int(elapsed / share - elapsed) : 0
    let text =
      "\r[\(bar)] \(Int(share * 100)) %  \(Int(Double(tally.rowCount) / elapsed)) rows/s  "
      + "\(rest) s left  \(tally.deadCount) refused \u{1B}[K"
    Console.complainText(isOver ? text + "\n" : text)
  }
}
