import ACME
public import Configuration
public import Edge
public import MartletLoop
import MartletSystem
import TLS

/// Sees to it that clients are shown, with each certificate, what its authority says of it.
///
/// A response that was fetched is shown for as long as it counts, whatever becomes of the next question, and
/// is kept in the storage for the next start. What is not in form, about another certificate, not signed by
/// who may, or over, is never shown.
public final class StapleKeeper {
  /// How many responders are asked at once.
  private static let questionCount = 4
  /// How long at most nothing is looked at, in seconds: clocks are set.
  private static let longestRest: Int64 = 3600

  /// One certificate: renewed, it is another one.
  private struct Subject: Hashable {
    var name: String
    var fingerprint: String
  }

  /// What an entry was made of: with other settings it is made anew.
  private struct Basis: Hashable {
    var responder: String?
    var file: [UInt8]?
  }

  private struct Entry {
    let basis: Basis
    /// All that show the certificate.
    var identities: [TLSIdentity]
    var report: StapleReport
    /// What the responder is asked; nil: nothing.
    var question: [UInt8]?
    /// What is shown.
    var response: [UInt8]?
    /// When the responder is asked; nil: it is not.
    var due: Int64?
    var random: UInt64
    /// Whether our own authority has given it.
    var isOwn = false
    /// Whether its owner was told that it was revoked.
    var wasTold = false
  }

  private let loop: EventLoop
  private let table: AutomaticCertificates
  private let note: (CertificateEvent) -> Void
  private let replace: (String) -> Void
  private let clock: () -> Int64
  private let makeRandom: () -> UInt64
  private var configuration = EdgeConfiguration()
  private var files = TLSFiles.none
  private var entries: [Subject: Entry] = [:]
  private var order: [Subject] = []
  private var storage: CertificateStorage?
  private var running: Set<Subject> = []
  private var threads: BlockingPool?
  private var client: AuthorityClient?
  private var signal: Signal?
  private var waitingEvents: [CertificateEvent] = []
  private var isFollowing = false
  private var isOver = false

  /// Creates a keeper that keeps nothing yet.
  ///
  /// - Parameters:
  ///   - loop: Where it runs.
  ///   - table: Where certificates are that are obtained, and where it tells what it knows.
  ///   - clock: The seconds since 1970; nil: the machine's.
  ///   - random: Any numbers; nil: the machine's.
  ///   - note: Told of what happens.
  ///   - replace: Told which certificate that is obtained was revoked, once for each.
  public init(
    on loop: EventLoop,
    _ table: AutomaticCertificates,
    clock: (() -> Int64)? = nil,
    random: (() -> UInt64)? = nil,
    note: @escaping (CertificateEvent) -> Void,
    replace: @escaping (String) -> Void
  ) {
    self.loop = loop
    self.table = table
    self.clock = clock ?? { SystemClock.wallMicroseconds() / 1_000_000 }
    makeRandom = random ?? { UInt64.random(in: 0 ... .max) }
    self.note = note
    self.replace = replace
  }

  // MARK: What is kept

  /// Takes over the certificates of a configuration; what is known of them is shown before it is in force.
  ///
  /// - Parameters:
  ///   - configuration: What is about to be in force.
  ///   - files: The certificates of files.
  ///   - path: The storage.
  public func prepare(_ configuration: EdgeConfiguration, _ files: TLSFiles, storage path: String) {
    guard !isOver else { return }
    self.configuration = configuration
    self.files = files
    storage = CertificateStorage(path)
    look()
  }

  /// Looks which certificates are shown now, and asks about those that are new.
  public func look() {
    guard !isOver else { return }
    let wanted = wanted()
    order = []
    var next: [Subject: Entry] = [:]
    for (name, identity, settings, isOwn) in wanted {
      let subject = Subject(name: name, fingerprint: identity.certificates.fingerprint)
      if next[subject] == nil {
        let basis = Basis(
          responder: settings.responder ?? identity.certificates.responder,
          file: files.stapledResponse(settings)
        )
        let known = entries[subject].flatMap { $0.basis == basis ? $0 : nil }
        guard var entry = known ?? entry(name, identity, settings, basis) else { continue }
        entry.identities = []
        entry.isOwn = isOwn
        next[subject] = entry
        order.append(subject)
      }
      next[subject]?.identities.append(identity)
      if let entry = next[subject] {
        identity.staple(entry.response, until: entry.report.validity?.upperBound ?? 0)
      }
    }
    entries = next
    tell()
    signal?.set()
  }

  private typealias Wanted = (
    name: String, identity: TLSIdentity, settings: TLSSettings, isOwn: Bool
  )

  private func wanted() -> [Wanted] {
    var result: [Wanted] = []
    for server in configuration.servers
    where server.tls.staples && server.listeners.contains(where: \.isTLS) {
      for settings in server.certificates {
        guard let identity = files.identity(settings) else { continue }
        result.append((settings.certificates, identity, server.tls, false))
      }
      var obtained = server.tls
      // These are of other authorities.
      obtained.responder = nil
      obtained.stapledResponse = nil
      for need in server.certificateNeeds {
        guard let identity = table.installed(for: need) else { continue }
        result.append(("auto \(need.name)", identity, obtained, need.isLocal))
      }
    }
    return result
  }

  /// What is known of a certificate; nil: it has no responder, and needs none.
  private func entry(
    _ name: String,
    _ identity: TLSIdentity,
    _ settings: TLSSettings,
    _ basis: Basis
  ) -> Entry? {
    let certificates = identity.certificates
    let responder = basis.responder
    let isRequired = certificates.mustStaple
    guard responder != nil || basis.file != nil || isRequired else { return nil }
    var entry = Entry(
      basis: basis,
      identities: [identity],
      report: StapleReport(name, responder: responder ?? "", isRequired: isRequired),
      question: responder == nil ? nil : certificates.statusRequest,
      due: nil,
      random: makeRandom()
    )
    if let path = settings.stapledResponse, let file = basis.file,
      take(file, from: path, certificates, into: &entry)
    {
      entry.report.responder = path
      return entry
    }
    if responder == nil {
      if entry.report.problem.isEmpty { entry.report.problem = "it names no responder" }
    } else if entry.question == nil {
      entry.report.problem = "the certificate of who has signed it does not stand behind it"
    }
    guard entry.question != nil else {
      entry.report.state = .failing
      event(.unasked, name, entry.report.problem)
      return entry
    }
    entry.due = clock()
    if let kept = kept(name), take(kept, from: nil, certificates, into: &entry),
      let validity = entry.report.validity
    {
      entry.due = StapleTime.next(validity, now: clock(), random: entry.random)
    }
    entry.report.next = entry.due
    return entry
  }

  private func kept(_ name: String) -> [UInt8]? {
    do throws(CertificateFault) { return try storage?.response(about: name) } catch {
      // It is asked for again.
      return nil
    }
  }

  /// Takes a response that was there, if it says that the certificate is good and is not over.
  private func take(
    _ response: [UInt8],
    from path: String?,
    _ certificates: TLSCertificates,
    into entry: inout Entry
  ) -> Bool {
    do throws(TLSError) {
      let status = try certificates.status(in: response)
      guard status.verdict == .good else {
        throw TLSError("it says that the certificate is \(status.verdict.rawValue)")
      }
      guard status.validity.upperBound > clock() else { throw TLSError("its time is over") }
      entry.response = response
      entry.report.validity = status.validity
      entry.report.state = .good
      return true
    } catch {
      if let path { entry.report.problem = "\(path): \(error)" }
      return false
    }
  }

  // MARK: What goes on

  /// Asks responders from now on.
  public func follow() {
    guard !isOver else { return }
    isFollowing = true
    let events = waitingEvents
    waitingEvents = []
    for event in events { note(event) }
    if let signal { return signal.set() }
    guard !entries.isEmpty, let made = Signal(on: loop) else { return }
    signal = made
    let keeper = self
    loop.spawn(named: "renew staples") { await keeper.run(made) }
  }

  /// Asks nobody any more.
  public func end() {
    isOver = true
    signal?.set()
  }

  private func run(_ signal: Signal) async {
    while !isOver {
      let now = clock()
      for subject in order where entries[subject].map({ Self.isOver($0, at: now) }) ?? false {
        drop(subject, "the response is over, and no other one has come")
      }
      for subject in order where running.count < Self.questionCount && !running.contains(subject) {
        if let due = entries[subject]?.due, due <= now { start(subject) }
      }
      let times = entries.filter { !running.contains($0.key) }.values.flatMap { entry in
        [entry.due, entry.response == nil ? nil : entry.report.validity?.upperBound]
          .compactMap(\.self)
      }
      let rest = max(1, min((times.min() ?? .max) - now, Self.longestRest))
      do throws(WaitError) {
        try await signal.wait(by: loop.deadline(after: Timeout(.seconds(rest))))
      } catch {
        guard error == .timedOut else { return }
      }
    }
  }

  private static func isOver(_ entry: Entry, at now: Int64) -> Bool {
    entry.response != nil && (entry.report.validity?.upperBound ?? .max) <= now
  }

  private func start(_ subject: Subject) {
    running.insert(subject)
    let keeper = self
    loop.spawn(named: "fetch a staple") {
      await keeper.ask(about: subject)
      keeper.running.remove(subject)
      keeper.tell()
      keeper.signal?.set()
    }
  }

  private func ask(about subject: Subject) async {
    guard let entry = entries[subject], let question = entry.question,
      let identity = entry.identities.first
    else { return }
    do throws(ACMEFailure) {
      let body = try await answer(to: question, entry.report.responder, isOwn: entry.isOwn)
      let status: TLSCertificateStatus
      do throws(TLSError) {
        status = try identity.certificates.status(in: body)
      } catch {
        throw ACMEFailure(.malformed, "\(error)")
      }
      try take(status, body, about: subject)
      if status.verdict == .good { await keep(body, about: subject) }
    } catch {
      fail(subject, error)
    }
  }

  /// What a responder answers; our own authority is asked without a connection.
  private func answer(
    to question: [UInt8],
    _ responder: String,
    isOwn: Bool
  ) async throws(ACMEFailure) -> [UInt8] {
    if isOwn, let authority = table.authority {
      let call = ACMECall(
        "POST",
        base: "",
        path: ACMECall.statusPath,
        contentType: ACMECall.statusQuestionType,
        body: question
      )
      return await authority(call, loop).body
    }
    let answer = try await readyClient().answer(
      from: responder,
      to: question,
      contentType: ACMECall.statusQuestionType
    )
    guard answer.status == 200 else {
      throw ACMEFailure(
        .refused,
        "the responder answers with \(answer.status)",
        retryAfter: answer.retryAfter
      )
    }
    return answer.body
  }

  /// Asks by threads of its own: there is not much to ask, and not often.
  private func readyClient() throws(ACMEFailure) -> AuthorityClient {
    if let client { return client }
    do {
      let threads = try BlockingPool(threadLimit: 2, queueLimit: 64)
      let made = try AuthorityClient(on: loop, trust: nil, threads: threads, clock: clock)
      self.threads = threads
      client = made
      return made
    } catch {
      throw ACMEFailure(.local, "\(error)")
    }
  }

  private func take(
    _ status: TLSCertificateStatus,
    _ response: [UInt8],
    about subject: Subject
  ) throws(ACMEFailure) {
    guard var entry = entries[subject] else { return }
    let now = clock()
    guard status.validity.lowerBound <= now + StapleTime.clockSeconds else {
      throw ACMEFailure(.malformed, "the response is of the future")
    }
    guard status.validity.upperBound > now else {
      throw ACMEFailure(.malformed, "the response is over already")
    }
    if let known = entry.report.validity, status.validity.lowerBound < known.lowerBound {
      throw ACMEFailure(.malformed, "the response is older than that which was there")
    }
    switch status.verdict {
    case .unknown: throw ACMEFailure(.refused, "the responder does not know the certificate")
    case .good:
      if entry.report.state != .good {
        event(.vouched, subject.name, "as \(entry.report.responder) says")
      }
      entry.report.state = .good
      entry.report.validity = status.validity
      entry.response = response
    case .revoked:
      entry.report.state = .revoked
      entry.report.validity = nil
      entry.response = nil
    }
    entry.report.problem = ""
    entry.report.failureCount = 0
    entry.report.fetchedCount += 1
    entry.due = StapleTime.next(status.validity, now: now, random: makeRandom())
    entry.report.next = entry.due
    let wasTold = entry.wasTold
    entry.wasTold = status.verdict == .revoked
    entries[subject] = entry
    show(entry)
    guard status.verdict == .revoked, !wasTold else { return }
    event(.revoked, subject.name, "\(entry.report.responder) says so: replace it")
    replace(subject.name)
  }

  private func fail(_ subject: Subject, _ failure: ACMEFailure) {
    guard var entry = entries[subject] else { return }
    entry.report.failureCount += 1
    entry.report.failedCount += 1
    entry.report.problem = "\(failure)"
    if entry.report.state != .revoked { entry.report.state = .failing }
    entry.due =
      clock()
      + StapleTime.pause(
        afterFailures: entry.report.failureCount,
        retryAfter: failure.retryAfter,
        random: makeRandom()
      )
    entry.report.next = entry.due
    entries[subject] = entry
    event(.unasked, subject.name, entry.report.problem)
  }

  /// Shows a response no longer.
  private func drop(_ subject: Subject, _ problem: String) {
    guard var entry = entries[subject] else { return }
    entry.response = nil
    entry.report.validity = nil
    entry.report.state = .failing
    entry.report.problem = problem
    entries[subject] = entry
    show(entry)
    event(.unasked, subject.name, problem)
    tell()
  }

  private func show(_ entry: Entry) {
    for identity in entry.identities {
      identity.staple(entry.response, until: entry.report.validity?.upperBound ?? 0)
    }
  }

  /// Keeps a response for the next start, where there is a place for it.
  private func keep(_ response: [UInt8], about subject: Subject) async {
    guard let storage, let threads else { return }
    let name = subject.name
    do throws(BlockingPool.Refusal) {
      try await threads.run(on: loop) {
        do throws(CertificateFault) {
          try storage.open()
          try storage.keep(response: response, about: name)
        } catch {
          // The next process asks for it.
        }
      }
    } catch {}
  }

  /// Tells what happened: at once, or when there is somebody to tell.
  private func event(_ kind: CertificateEvent.Kind, _ name: String, _ detail: String) {
    let event = CertificateEvent(kind, name, detail)
    if isFollowing { note(event) } else { waitingEvents.append(event) }
  }

  private func tell() { table.staples = order.compactMap { entries[$0]?.report } }
}
