import ArgumentParser
import Crawling
import JSON
import MartletLoop
import MartletProcess
import MartletSync
import MartletSystem
import Supervision

/// `martlet crawl`.
struct CrawlCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "crawl",
    abstract: "Ask for pages and for those that they link to, and list them.",
    discussion: """
      Each host is first asked for its robots.txt (RFC 9309), which is kept to, and is asked for one page at a \
      time, with a pause between two. Links are followed to the hosts of the URLs that are named, unless \
      --other-hosts. Pages are listed in the order in which they come.
      """
  )

  /// How pages are listed.
  enum Format: String, ExpressibleByArgument, CaseIterable {
    case csv, json
  }

  @Argument(help: ArgumentHelp("As `https://example.org/`.", valueName: "url"))
  var urls: [String]

  @Option(name: .long, help: ArgumentHelp("How many links deep, 0 to 100.", valueName: "number"))
  var depth = 2

  @Option(name: .long, help: ArgumentHelp("The most pages, 1 to 1000000.", valueName: "number"))
  var limit = 1000

  @Option(
    name: .long,
    help: ArgumentHelp("How many requests at once, 1 to 256.", valueName: "number")
  )
  var workers = 16

  @Option(
    name: .long,
    help: ArgumentHelp("How many of them to one host, 1 to 16.", valueName: "number")
  )
  var perHost = 1

  @Option(
    name: .long,
    help: ArgumentHelp(
      "Milliseconds between two requests to one host, or what it asks for, if that is more.",
      valueName: "number"
    )
  )
  var delay = 500

  @Flag(name: .long, help: "Follow links to other hosts, too.")
  var otherHosts = false

  @Option(name: .long, help: ArgumentHelp("csv, or a JSON object a line.", valueName: "form"))
  var format = Format.csv

  func validate() throws {
    guard !urls.isEmpty else { throw ValidationError("name a URL to begin with") }
    for url in urls where PageAddress(url) == nil {
      throw ValidationError("\(url) is no URL: write it as `https://example.org/`")
    }
    let bounds: [(String, Int, ClosedRange<Int>)] = [
      ("depth", depth, 0...100), ("limit", limit, 1...1_000_000), ("workers", workers, 1...256),
      ("per-host", perHost, 1...16), ("delay", delay, 0...60_000),
    ]
    for (name, value, range) in bounds where !range.contains(value) {
      throw ValidationError(
        "--\(name): write a number from \(range.lowerBound) to \(range.upperBound)"
      )
    }
  }

  func run() throws {
    let plan = CrawlPlan(
      starts: urls.compactMap { PageAddress($0) },
      depth: depth,
      pageLimit: limit,
      workerCount: workers,
      hostLimit: perHost,
      delay: .milliseconds(delay),
      leavesHosts: otherHosts
    )
    let (format, counts) = (format, Locked((pages: 0, failed: 0, refused: 0)))
    let failure = Locked<CommandFailure?>(nil)
    if format == .csv { Console.say("url,depth,status,bytes,milliseconds,title,location,problem") }
    let loop = try EventLoop()
    loop.run(until: {
      do {
        let crawler = try Crawler(on: loop, plan) { page in
          Console.say(format == .csv ? CrawlRow.csv(page) : CrawlRow.json(page))
          counts.withLock { counts in
            counts.pages += 1
            if page.problem != nil || page.status >= 400 { counts.failed += 1 }
          }
        }
        try await crawler.run()
        let refused = crawler.refusedCount
        counts.withLock { $0.refused = refused }
      } catch {
        let found = error as? CommandFailure ?? CommandFailure(.failure, "\(error)")
        failure.withLock { $0 = found }
      }
    })
    if let failure = failure.withLock({ $0 }) { throw failure }
    let (pages, failed, refused) = counts.withLock { $0 }
    Console.complain(
      "\(pages) pages, \(failed) of them failed, \(refused) that robots.txt forbids were not asked for"
    )
    guard pages > 0 else { throw CommandFailure(.failure, "nothing could be asked for") }
  }
}

/// A page as it is listed.
enum CrawlRow {
  /// A record of RFC 4180, which does nothing to whoever opens it in a spreadsheet.
  static func csv(_ page: CrawledPage) -> String {
    [
      page.address.description, "\(page.depth)", "\(page.status)", "\(page.byteCount)",
      "\(page.milliseconds)", page.title ?? "", page.location ?? "", page.problem ?? "",
    ].map(field).joined(separator: ",")
  }

  private static func field(_ text: String) -> String {
    // What begins so is taken for a formula.
    let isFormula = text.first.map { "=+-@".contains($0) } ?? false
    let text = isFormula ? "'\(text)" : text
    guard text.contains(where: { $0 == "," || $0 == "\"" || $0.isNewline }) else { return text }
    return "\""
      + text.split(separator: "\"", omittingEmptySubsequences: false)
      .joined(separator: "\"\"") + "\""
  }

  static func json(_ page: CrawledPage) -> String {
    JSONValue.object([
      "url": .text(page.address.description), "depth": .number(page.depth),
      "status": .number(page.status), "bytes": .number(page.byteCount),
      "milliseconds": .number(page.milliseconds), "title": page.title.map { .text($0) } ?? .null,
      "location": page.location.map { .text($0) } ?? .null,
      "problem": page.problem.map { .text($0) } ?? .null,
    ]).compact
  }
}
