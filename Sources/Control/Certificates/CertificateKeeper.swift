import ACME
public import Configuration
public import Edge
public import MartletLoop
import MartletSystem
import TLS

/// Keeps certificates for the servers that are in force, on one loop.
public final class CertificateKeeper {
  /// How many certificates are obtained at once.
  static let orderCount = 4
  /// How long at most nothing is looked at, in seconds: another node may have put something there.
  private static let longestRest: Int64 = 3600

  /// One certificate.
  struct Entry {
    var report: CertificateReport
    /// Chosen once, so that many nodes do not come at one moment and one does not change its mind.
    var random: UInt64
    /// When something is to be done, in seconds since 1970.
    var due: Int64
    /// Whether it is obtained although it is not the time.
    var isForced = false
    /// What the authority has said about the time.
    var suggested: RenewalInformation?
    /// When it is asked again for that.
    var askAt: Int64 = 0
    /// Where the certificate came from.
    var source = ""
    /// When it was obtained here; nil: it was not.
    var obtainedAt: Int64?
    /// How many were obtained within a day of the one before.
    var hastyCount = 0
    /// Before this nothing is renewed, whatever anybody says.
    var earliest: Int64 = 0

    /// Plans the renewal.
    mutating func plan() {
      guard let validity = report.validity else { return }
      due = max(RenewalTime.next(validity, suggested: suggested, random: random), earliest)
      report.next = due
    }

    /// Notes that a certificate comes: an authority that wants each renewed at once is not followed
    /// all the time.
    mutating func noteObtained(at now: Int64) {
      report.obtainedCount += 1
      hastyCount = obtainedAt.map { now - $0 < 86_400 } ?? false ? hastyCount + 1 : 0
      obtainedAt = now
      earliest = now + RenewalTime.pause(afterFailures: hastyCount + 1, random: random)
    }
  }

  let loop: EventLoop
  let table: AutomaticCertificates
  let note: (CertificateEvent) -> Void
  let show: () -> Void
  let clock: () -> Int64
  private let makeRandom: () -> UInt64
  var entries: [CertificateNeed: Entry] = [:]
  private var order: [CertificateNeed] = []
  private(set) var configuration = EdgeConfiguration()
  private(set) var trust: [String: [UInt8]] = [:]
  private(set) var storage: CertificateStorage?
  private var place = CertificateStorage("")
  private var machine = ""
  private(set) var authority: LocalAuthority?
  /// How the authority serves others, if it does.
  private(set) var service: AuthorityServiceSettings?
  /// What does so, and the certificate that it was made for.
  var serving: (service: AuthorityService, mark: String)?
  private(set) var accountKey: TLSKey?
  private var running: Set<CertificateNeed> = []
  /// The authorities with which an account is being made, and who waits for that.
  var introductions: [String: [Signal]] = [:]
  /// What people want to know, until they have been told.
  var trials: [CertificateNeed: Trial] = [:]
  private var waitingEvents: [CertificateEvent] = []
  private var signal: Signal?
  /// Wakes who looks at the names of others.
  var looking: Signal?
  private var isOver = false
  /// Threads for what blocks; nil while nothing is obtained.
  private(set) var threads: BlockingPool?

  /// Creates a keeper that keeps nothing yet.
  ///
  /// - Parameters:
  ///   - loop: Where it runs.
  ///   - table: Where it puts what it has.
  ///   - clock: The seconds since 1970; nil: the machine's.
  ///   - random: Any numbers; nil: the machine's.
  ///   - note: Told of what happens.
  ///   - show: Shows clients what is in the table.
  public init(
    on loop: EventLoop,
    _ table: AutomaticCertificates,
    clock: (() -> Int64)? = nil,
    random: (() -> UInt64)? = nil,
    note: @escaping (CertificateEvent) -> Void,
    show: @escaping () -> Void
  ) {
    self.loop = loop
    self.table = table
    self.clock = clock ?? { SystemClock.wallMicroseconds() / 1_000_000 }
    makeRandom = random ?? { UInt64.random(in: 0 ... .max) }
    self.note = note
    self.show = show
  }

  // MARK: What is kept

  /// Takes over what a configuration needs, so far as it is there or this machine can give it: what is
  /// compiled after that is served with it.
  ///
  /// What is wrong is noted when ``follow()`` is called; nothing of it is in the way.
  ///
  /// - Parameters:
  ///   - configuration: What is about to be in force.
  ///   - path: The storage.
  ///   - trust: The certificates by which authorities are believed, by the paths of their files.
  ///   - machine: What this machine is called.
  public func prepare(
    _ configuration: EdgeConfiguration,
    storage path: String,
    trust: [String: [UInt8]],
    machine: String = ""
  ) {
    guard !isOver else { return }
    self.configuration = configuration
    self.trust = trust
    let needs = configuration.certificateNeeds
    order = needs
    table.keep(needs)
    let kept = Set(needs)
    entries = entries.filter { kept.contains($0.key) }
    defer { tell() }
    service = configuration.authorityService
    guard !needs.isEmpty || service != nil else {
      storage = nil
      table.thumbprint = nil
      table.authority = nil
      return
    }
    place = CertificateStorage(path)
    self.machine = machine
    let problem = openStorage()
    for need in needs where entries[need] == nil {
      entries[need] = Entry(
        report: CertificateReport(need),
        random: makeRandom(),
        due: clock()
      )
      if let problem {
        fail(need, problem)
      } else if need.isLocal {
        issue(need)
      } else {
        load(need)
      }
    }
  }

  /// Opens the storage, and takes from it what all certificates need.
  ///
  /// - Returns: What is wrong, or nil.
  func openStorage() -> String? {
    storage = nil
    let (needs, next) = (order, place)
    do throws(CertificateFault) {
      try next.open()
      storage = next
      if threads == nil { threads = try Self.makeThreads() }
      if needs.contains(where: { !$0.isLocal }) {
        let key = try next.accountKey()
        accountKey = key
        table.thumbprint = ACMEKey(key)?.thumbprint
      } else {
        table.thumbprint = nil
      }
      let local = needs.filter(\.isLocal).flatMap(\.names)
      guard !local.isEmpty || service != nil else { return nil }
      let found = try LocalAuthority.found(in: next, for: local, machine: machine, now: clock())
      authority = found.authority
      authority?.revocations = service?.revocations
      authority?.responder = service?.responder
      switch found.origin {
      case .kept: break
      case .made:
        event(
          .noted,
          "local authority",
          "it was made: `martlet trust` lets this machine believe it"
        )
      case .replaced:
        event(
          .noted,
          "local authority",
          "it was made anew, for other names or because its time is over: `martlet trust` lets this "
            + "machine believe it"
        )
        for need in needs where need.isLocal && entries[need] != nil { issue(need) }
      }
      if let authority { serve(authority) }
      return nil
    } catch {
      storage = nil
      return "\(error)"
    }
  }

  private static func makeThreads() throws(CertificateFault) -> BlockingPool {
    do throws(SystemError) {
      return try BlockingPool(threadLimit: 4, queueLimit: 256)
    } catch {
      throw CertificateFault("no thread can be started: \(error)")
    }
  }

  /// Takes what is in the storage.
  private func load(_ need: CertificateNeed) {
    guard let storage else { return }
    do throws(CertificateFault) {
      guard let kept = try storage.certificate(for: need) else { return }
      take(kept.identity, from: kept.source, for: need)
      // Its authority may have changed its mind about the time meanwhile.
      entries[need]?.askAt = clock()
    } catch {
      event(.noted, need.name, "\(error)")
    }
  }

  /// Has the authority of this machine give a certificate.
  func issue(_ need: CertificateNeed) {
    guard let authority else { return fail(need, "there is no authority of this machine") }
    do throws(TLSError) {
      let identity = try authority.issue(for: need.names, now: clock())
      entries[need]?.noteObtained(at: clock())
      take(identity, from: "local", for: need)
    } catch {
      fail(need, "\(error)")
    }
  }

  /// Lets a certificate be served, and plans the next.
  func take(_ identity: TLSIdentity, from source: String, for need: CertificateNeed) {
    guard var entry = entries[need] else { return }
    let certificates = identity.certificates
    entry.report.state = .good
    entry.report.issuer = certificates.issuer
    entry.report.validity = certificates.validity
    entry.report.fingerprint = certificates.fingerprint
    entry.report.failureCount = 0
    entry.report.problem = ""
    entry.source = source
    entry.suggested = nil
    entry.askAt = 0
    entry.isForced = false
    entry.plan()
    entries[need] = entry
    table.install(identity, for: need)
  }

  /// Notes a try in vain, and plans the next; what is served goes on.
  func fail(_ need: CertificateNeed, _ problem: String, retryAfter: Int? = nil) {
    guard var entry = entries[need] else { return }
    entry.isForced = false
    entry.report.state = .failing
    entry.report.failureCount += 1
    entry.report.failedCount += 1
    entry.report.problem = problem
    entry.due =
      clock()
      + RenewalTime.pause(
        afterFailures: entry.report.failureCount,
        retryAfter: retryAfter,
        random: makeRandom()
      )
    entry.report.next = entry.due
    entries[need] = entry
    event(.failed, need.name, problem)
  }

  // MARK: What goes on

  /// Obtains what is missing from now on, and renews what is there in time.
  public func follow() {
    guard !isOver else { return }
    let events = waitingEvents
    waitingEvents = []
    for event in events { note(event) }
    tell()
    lookForOthers()
    if let signal { return signal.set() }
    guard !entries.isEmpty, let made = Signal(on: loop) else { return }
    signal = made
    let keeper = self
    loop.spawn(named: "renew certificates") { await keeper.run(made) }
  }

  /// Whether it is over.
  var hasEnded: Bool { isOver }

  /// Obtains nothing more.
  public func end() {
    isOver = true
    signal?.set()
    looking?.set()
  }

  private func run(_ signal: Signal) async {
    while !isOver {
      let now = clock()
      for need in order where running.count < Self.orderCount {
        guard let entry = entries[need], !running.contains(need),
          entry.due <= now || entry.askAt > 0 && entry.askAt <= now
        else { continue }
        start(need)
      }
      let idle = entries.filter { !running.contains($0.key) }.values
      let next = idle.flatMap { [$0.due] + ($0.askAt > 0 ? [$0.askAt] : []) }.min()
      let seconds = max(1, min((next ?? .max) - now, Self.longestRest))
      let rest = running.count < Self.orderCount ? seconds : Self.longestRest
      do throws(WaitError) {
        try await signal.wait(by: loop.deadline(after: Timeout(.seconds(rest))))
      } catch {
        guard error == .timedOut else { return }
      }
    }
  }

  private func start(_ need: CertificateNeed) {
    running.insert(need)
    let keeper = self
    loop.spawn(named: "attend to a certificate") {
      await keeper.attend(to: need)
      keeper.running.remove(need)
      keeper.tell()
      keeper.signal?.set()
    }
  }

  /// Lets a certificate be obtained although it is not the time.
  ///
  /// - Returns: Whether there is one of this name.
  public func renew(_ name: String) -> Bool {
    let found = order.filter { $0.name == name || $0.names.contains(name) }
    for need in found {
      entries[need]?.isForced = true
      entries[need]?.due = clock()
      entries[need]?.report.next = nil
    }
    tell()
    signal?.set()
    return !found.isEmpty
  }

  /// The needs in which a name stands.
  func needs(named name: String) -> [CertificateNeed] {
    order.filter { $0.name == name || $0.names.contains(name) }
  }

  // MARK: What is told

  /// Tells what happened: at once, or when there is somebody to tell.
  func event(_ kind: CertificateEvent.Kind, _ name: String, _ detail: String) {
    let event = CertificateEvent(kind, name, detail)
    if signal == nil { waitingEvents.append(event) } else { note(event) }
  }

  /// Lets those who look see what is known.
  func tell() { table.reports = order.compactMap { entries[$0]?.report } }
}
