import Certificates
import Crawling
import MartletBytes
import MartletLoop
import MartletNet
import MartletSystem
import Supervision

/// How a crawl goes.
struct CrawlPlan: Sendable {
  var starts: [PageAddress]
  var depth: Int
  var pageLimit: Int
  var workerCount: Int
  /// How many requests to one host may be under way.
  var hostLimit: Int
  /// How long to wait between the beginnings of two requests to one host.
  var delay: Duration
  /// Whether links to other hosts than those of the starts are followed.
  var leavesHosts: Bool
}

/// What became of a page.
struct CrawledPage: Sendable {
  var address: PageAddress
  var depth: Int
  /// The status; 0 without an answer.
  var status = 0
  var byteCount = 0
  var milliseconds = 0
  var title: String?
  /// Where the answer says to ask instead.
  var location: String?
  var problem: String?
}

/// Asks for pages and for those that they link to, many hosts at once, and each of them no faster than it likes.
final class Crawler {
  /// What is known of a host.
  private final class Host {
    var rules: RobotRules?
    var isAskingForRules = false
    var waiting: [(address: PageAddress, depth: Int)] = []
    /// How many of those were taken.
    var taken = 0
    var activeCount = 0
    var delay: Duration
    var next = ContinuousClock.now

    init(delay: Duration) { self.delay = delay }

    var hasWork: Bool { taken < waiting.count }
  }

  /// What is asked for.
  private enum Job {
    case rules(site: String)
    case page(PageAddress, depth: Int)
  }

  /// What is to be done next.
  private enum Step {
    case ask(Job, of: Host)
    /// Nothing before this moment, unless something comes.
    case wait(until: ContinuousClock.Instant?)
    case end
  }

  private static let product = "martlet"
  private static let patience = Timeout(.seconds(30))
  /// How much of a page is read.
  private static let pageBytes = 2 << 20
  /// The most addresses that are remembered, and the most hosts.
  private static let addressLimit = 1_000_000
  private static let hostCount = 10_000
  /// A site that wants to be asked more seldom than this is asked this often.
  private static let longestDelay = 30.0
  /// RFC 9309, section 2.3.1.2.
  private static let redirectLimit = 5

  private let loop: EventLoop
  private let plan: CrawlPlan
  private let connector: WebConnector
  private let changed: Signal
  private let tell: (CrawledPage) -> Void
  private var hosts: [String: Host] = [:]
  /// The sites with something to do, in the order in which they are looked at.
  private var order: [String] = []
  private var seen: Set<PageAddress> = []
  private let allowedSites: Set<String>
  private var begunCount = 0
  private var activeCount = 0
  private(set) var refusedCount = 0

  init(
    on loop: EventLoop,
    _ plan: CrawlPlan,
    telling tell: @escaping (CrawledPage) -> Void
  ) throws(CommandFailure) {
    guard let changed = Signal(on: loop) else { throw CommandFailure(.failure, "no timer is left") }
    self.loop = loop
    self.plan = plan
    self.changed = changed
    self.tell = tell
    allowedSites = Set(plan.starts.map(\.site))
    connector = try WebConnector(on: loop, place: nil)
  }

  /// Crawls until nothing is left, or as many pages were asked for as may be.
  func run() async throws {
    for start in plan.starts { add(start, depth: 0) }
    let crawler = self
    try await loop.forEach(jobs, atMost: plan.workerCount, named: "ask for pages") { job, host in
      switch job {
      case .rules(let site): await crawler.askForRules(site, host)
      case .page(let address, let depth): await crawler.visit(address, depth, host)
      }
      crawler.end(host)
    }
  }

  /// What is asked for, as soon as it may be.
  private var jobs: Generator<(Job, Host)> {
    let crawler = self
    return Generator(on: loop, named: "wait for hosts") { output in
      while true {
        switch crawler.nextStep() {
        case .ask(let job, let host):
          crawler.begin(host)
          try await output.yield((job, host))
        case .wait(let moment):
          var deadline = Deadline.never
          if let moment { deadline = crawler.loop.deadline(after: Timeout(moment - .now)) }
          do throws(WaitError) {
            try await crawler.changed.wait(by: deadline)
          } catch {
            guard error == .timedOut else { throw error }
          }
        case .end: return
        }
      }
    }
  }

  private func begin(_ host: Host) {
    host.activeCount += 1
    host.next = .now + host.delay
    activeCount += 1
  }

  private func end(_ host: Host) {
    host.activeCount -= 1
    activeCount -= 1
    changed.set()
  }

  private func add(_ address: PageAddress, depth: Int) {
    guard seen.count < Self.addressLimit, plan.leavesHosts || allowedSites.contains(address.site),
      seen.insert(address).inserted
    else { return }
    if hosts[address.site] == nil {
      guard hosts.count < Self.hostCount else { return }
      hosts[address.site] = Host(delay: plan.delay)
      order.append(address.site)
    }
    hosts[address.site]?.waiting.append((address, depth))
  }

  private func nextStep() -> Step {
    if begunCount >= plan.pageLimit { return .end }
    let now = ContinuousClock.now
    var earliest: ContinuousClock.Instant?
    for (place, site) in order.enumerated() {
      guard let host = hosts[site], host.hasWork, !host.isAskingForRules,
        host.activeCount < plan.hostLimit
      else { continue }
      guard host.next <= now else {
        earliest = min(earliest ?? host.next, host.next)
        continue
      }
      // The others come first next time.
      order.remove(at: place)
      order.append(site)
      guard let rules = host.rules else {
        host.isAskingForRules = true
        return .ask(.rules(site: site), of: host)
      }
      while host.hasWork {
        let (address, depth) = host.waiting[host.taken]
        host.taken += 1
        if host.taken > 1000 {
          host.waiting.removeFirst(host.taken)
          host.taken = 0
        }
        if rules.allow(address.target) {
          begunCount += 1
          return .ask(.page(address, depth: depth), of: host)
        }
        refusedCount += 1
      }
      return nextStep()
    }
    if earliest == nil, activeCount == 0 { return .end }
    return .wait(until: earliest)
  }

  // MARK: Asking

  private func askForRules(_ site: String, _ host: Host) async {
    host.rules = await rules(of: site)
    if let delay = host.rules?.delaySeconds {
      host.delay = max(host.delay, .seconds(min(delay, Self.longestDelay)))
    }
    host.isAskingForRules = false
    host.next = .now + host.delay
  }

  /// RFC 9309, section 2.3.1: who cannot be asked is not crawled, who has no rules is.
  private func rules(of site: String) async -> RobotRules {
    guard var address = PageAddress("\(site)/robots.txt") else { return .allowingNothing }
    for _ in 0...Self.redirectLimit {
      do {
        let answer = try await answer(to: address, limit: RobotRules.byteLimit)
        switch answer.status {
        case 200..<300: return RobotRules(answer.body, for: Self.product)
        case 300..<400:
          guard let next = answer.location.flatMap({ address.resolving($0) }) else {
            return .allowingAll
          }
          address = next
        case 400..<500: return .allowingAll
        default: return .allowingNothing
        }
      } catch {
        return .allowingNothing
      }
    }
    return .allowingAll
  }

  private func visit(_ address: PageAddress, _ depth: Int, _ host: Host) async {
    var page = CrawledPage(address: address, depth: depth)
    let start = ContinuousClock.now
    do {
      let answer = try await answer(to: address, limit: Self.pageBytes)
      page.status = answer.status
      page.byteCount = answer.byteCount
      if 300..<400 ~= answer.status, let next = answer.location.flatMap({ address.resolving($0) }) {
        page.location = next.description
        // As deep as this one, which is no page.
        add(next, depth: depth)
      }
      if answer.contentType.lowercased().hasPrefix("text/html") {
        let scan = PageScan(answer.body)
        page.title = scan.title
        if depth < plan.depth, !scan.asksNotToFollow { follow(scan, from: address, depth + 1) }
      }
      // Who is asked too much says so: RFC 6585, section 4.
      if answer.status == 429 || answer.status == 503 {
        host.delay = min(max(host.delay * 2, .seconds(1)), .seconds(Self.longestDelay))
        host.next = .now + host.delay
      }
    } catch {
      page.problem = (error as? CommandFailure)?.message ?? "\(error)"
    }
    page.milliseconds = Int((ContinuousClock.now - start) / .milliseconds(1))
    tell(page)
  }

  private func follow(_ scan: PageScan, from address: PageAddress, _ depth: Int) {
    let base = scan.base.flatMap { address.resolving($0) } ?? address
    for link in scan.links {
      if let next = base.resolving(link) { add(next, depth: depth) }
    }
  }

  private func answer(to address: PageAddress, limit: Int) async throws -> CrawlAnswer {
    guard let place = WebPlace(address.description) else {
      throw CommandFailure(.failure, "this is no address that can be asked for")
    }
    let deadline = loop.deadline(after: Self.patience)
    let stream = try await connector.connect(to: place, by: deadline)
    let lines = [
      "GET \(place.target) HTTP/1.1", "Host: \(place.authority)", "Connection: close",
      "User-Agent: \(Self.product)/\(Version.text)", "Accept: text/html, */*;q=0.1", "", "",
    ]
    try await stream.write(Array(lines.joined(separator: "\r\n").utf8), by: deadline)
    var answer = CrawlAnswer(limit: limit)
    while !answer.isOver {
      let part = try await stream.read(.body, by: deadline)
      if part.isEmpty {
        guard answer.end() else { throw CommandFailure(.failure, "the answer breaks off") }
        break
      }
      try answer.take([UInt8](copying: part.bytes))
    }
    return answer
  }
}
