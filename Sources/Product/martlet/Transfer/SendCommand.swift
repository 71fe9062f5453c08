import ArgumentParser
import CLinux
import Directives
import JSON
import MartletLoop
import MartletProcess
import MartletSync
import MartletSystem
import Supervision
import TLS

/// `martlet send`.
struct SendCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "send",
    abstract: "Send files and folders to `martlet receive`.",
    discussion: """
      Files go in blocks, each with its digest, over several connections at once; each is acknowledged when it \
      has come as it was sent. Started again after whatever has ended it, the command goes on with what is missing.
      """
  )

  @Argument(
    help: ArgumentHelp("What is sent; folders with all that is below them.", valueName: "path"),
    completion: .file()
  )
  var paths: [String]

  @Option(
    name: .long,
    help: ArgumentHelp(
      "Where `martlet receive` listens, as `127.0.0.1:7070`.",
      valueName: "address"
    )
  )
  var to: String

  @Option(
    name: .long,
    help: ArgumentHelp("How many connections, 1 to 32.", valueName: "number")
  )
  var parallel = 2

  @Option(
    name: .long,
    help: ArgumentHelp("How often a connection is tried in vain, 1 to 100.", valueName: "number")
  )
  var tries = 5

  @Option(
    name: .long,
    help: ArgumentHelp(
      "How blocks are verified: `gmac` finds whatever networks and disks change, `sha-256` costs more.",
      valueName: "name"
    )
  )
  var digest = BlockVerification.gmac

  @Flag(name: .long, help: "Speak TLS.")
  var tls = false

  @Option(
    name: .long,
    help: ArgumentHelp("Authorities that vouch for the receiver.", valueName: "file"),
    completion: .file()
  )
  var ca: String?

  @OptionGroup var options: TransferOptions

  func validate() throws {
    guard !paths.isEmpty else { throw ValidationError("name what is to be sent") }
    guard 1...32 ~= parallel else {
      throw ValidationError("--parallel: write a number from 1 to 32")
    }
    guard 1...100 ~= tries else { throw ValidationError("--tries: write a number from 1 to 100") }
    guard tls || (ca == nil && options.certificate == nil) else {
      throw ValidationError("--ca and --certificate need --tls")
    }
    _ = try Address(option: "--to", to)
    _ = try named()
  }

  func run() throws {
    let writesJSON = options.json
    let plan = SendPlan(connectionCount: parallel) { file, digest in
      if writesJSON { Console.say(TransferText.line(file, digest)) }
    }
    let target = try target()
    let progress = SendProgress(plan)
    let ended = Latch(parallel)
    try plan.start(try named())
    for _ in 0..<parallel {
      try Thread.start {
        do throws(SystemError) {
          let loop = try EventLoop()
          loop.run(until: { await Self.work(on: loop, target, plan) })
        } catch {
          plan.fail("no connection can be made: \(error)")
        }
        ended.countDown()
      }
    }
    while ended.count > 0 {
      do throws(WaitFailure) { try ended.wait(within: .milliseconds(200)) } catch {}
      progress.show(isOver: ended.count == 0)
    }
    try report(plan, progress.elapsed)
  }

  private static func work(on loop: EventLoop, _ target: SendTarget, _ plan: SendPlan) async {
    do throws(SystemError) {
      let worker = try SendWorker(on: loop, target, plan)
      await worker.run()
    } catch {
      plan.fail("no connection can be made: \(error)")
    }
  }

  private func target() throws -> SendTarget {
    let own = try options.identity()
    var context: TLSContext?
    if tls {
      let authorities = try TransferFiles.authorities(ca) ?? TLSAuthorities(ofSystem: ())
      context = try TLSContext(
        clientBelieving: authorities,
        policy: .intermediate,
        identity: own,
        protocols: [TransferFile.protocolName]
      )
    }
    return SendTarget(
      address: try Address(option: "--to", to),
      context: context,
      session: String(UInt64.random(in: 0 ... .max), radix: 16),
      token: try options.token(),
      verification: digest,
      tryCount: tries
    )
  }

  /// The paths with the names that they get where they go to.
  private func named() throws -> [(path: String, name: String)] {
    var names: Set<String> = []
    return try paths.map { text in
      var path = text
      while path.hasSuffix("/"), path.count > 1 { path.removeLast() }
      if path == "." { path = try Files.target(of: "/proc/self/cwd") }
      guard let name = path.split(separator: "/").last.map(String.init), name != ".." else {
        throw ValidationError("\(text): name a file or a folder, and not the way to it")
      }
      guard names.insert(name).inserted else {
        throw ValidationError("\(text): something of the name \(name) is sent already")
      }
      return (path, name)
    }
  }

  private func report(_ plan: SendPlan, _ elapsed: Duration) throws {
    let tally = plan.tally
    for problem in tally.problems { Console.complain(problem) }
    if tally.problemCount > tally.problems.count {
      Console.complain("and \(tally.problemCount - tally.problems.count) more")
    }
    let rate = Int(Double(tally.byteCount) / max(elapsed / .seconds(1), 0.001))
    if options.json {
      let line: JSONValue = .object([
        "files": .number(tally.fileCount), "bytes": .number(tally.byteCount),
        "present_files": .number(tally.presentCount), "present_bytes": .number(tally.presentBytes),
        "passed_over": .number(tally.skippedCount), "failed": .number(tally.problemCount),
        "milliseconds": .number(Int(elapsed / .milliseconds(1))),
      ])
      Console.say(line.compact)
    } else {
      Console.say(
        "\(tally.fileCount) files, \(TransferText.bytes(tally.byteCount)) sent in "
          + "\(TransferText.seconds(elapsed)) s, \(TransferText.bytes(rate))/s; "
          + "\(tally.presentCount) files and \(TransferText.bytes(tally.presentBytes)) were there, "
          + "\(tally.skippedCount) links and the like passed over, \(tally.problemCount) problems"
      )
    }
    if let problem = plan.problem { throw CommandFailure(.failure, problem) }
    if tally.problemCount > 0 { throw CommandFailure(.failure, "not all was sent") }
  }
}

extension BlockVerification: ExpressibleByArgument {}

/// Shows how far it is, on a terminal.
final class SendProgress {
  private let plan: SendPlan
  private let start = ContinuousClock.now
  private let isShown = isatty(2) == 1

  init(_ plan: SendPlan) { self.plan = plan }

  var elapsed: Duration { ContinuousClock.now - start }

  func show(isOver: Bool) {
    guard isShown else { return }
    let tally = plan.tally
    let done = tally.byteCount + tally.presentBytes
    let share = tally.foundBytes > 0 ? min(Double(done) / Double(tally.foundBytes), 1) : 1
    let filled = Int(share * 30)
    let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: 30 - filled)
    let rate = Double(tally.byteCount) / max(elapsed / .seconds(1), 0.001)
    var rest = ""
    if tally.isFound, rate > 0 { rest = "\(Int(Double(tally.foundBytes - done) / rate)) s left" }
    let text =
      "\r[\(bar)] \(Int(share * 100)) %  \(tally.fileCount) files  "
      + "\(TransferText.bytes(Int(rate)))/s  \(rest) \u{1B}[K"
    Console.complainText(isOver ? text + "\n" : text)
  }
}
