public import Configuration
import Directives
public import Edge
public import MartletLoop
import MartletSystem
public import TLS

/// Tells of certificates of files that others do not believe: whose time is over, or soon will be, or that are not
/// good for the hosts of their servers.
///
/// Each is told of when a configuration comes into force, and again when something about it changes. Nothing is
/// refused for it: a certificate that is over may be better than none.
public final class CertificateWatch {
  /// How long at most nothing is looked at, in seconds: clocks are set.
  private static let longestRest: Int64 = 3600

  /// What is wrong with a certificate.
  public struct Problem: Hashable, Sendable {
    /// What kind of event that is.
    public var kind: CertificateEvent.Kind
    /// The file.
    public var path: String
    /// What is wrong, as a clause.
    public var detail: String
  }

  /// One certificate, and who is shown it.
  private struct Subject: Hashable {
    var path: String
    var others: String
  }

  private let loop: EventLoop
  private let note: (CertificateEvent) -> Void
  private let clock: () -> Int64
  private var times: [(subject: Subject, validity: ClosedRange<Int64>)] = []
  private var misnamed: [Problem] = []
  private var told: [Subject: CertificateState.Phase] = [:]
  private var signal: Signal?
  private var isOver = false

  /// Creates a watch that watches nothing yet.
  ///
  /// - Parameters:
  ///   - loop: Where it runs.
  ///   - clock: The seconds since 1970; nil: the machine's.
  ///   - note: Told of what is wrong.
  public init(
    on loop: EventLoop,
    clock: (() -> Int64)? = nil,
    note: @escaping (CertificateEvent) -> Void
  ) {
    self.loop = loop
    self.clock = clock ?? { SystemClock.wallMicroseconds() / 1_000_000 }
    self.note = note
  }

  /// Takes over the certificates of a configuration.
  public func prepare(
    _ configuration: EdgeConfiguration,
    _ certificates: (CertificateSettings) -> TLSCertificates?
  ) {
    guard !isOver else { return }
    let subjects = Self.subjects(of: configuration)
    times = subjects.compactMap { subject, settings in
      certificates(settings).map { (subject, $0.validity) }
    }
    misnamed = Self.misnamed(in: configuration, certificates)
    // What is in force anew is told of anew.
    told = [:]
  }

  /// Tells what is wrong now, and what will be from then on.
  public func follow() {
    guard !isOver else { return }
    for problem in misnamed { note(CertificateEvent(problem.kind, problem.path, problem.detail)) }
    look()
    if let signal { return signal.set() }
    guard !times.isEmpty, let made = Signal(on: loop) else { return }
    signal = made
    let watch = self
    loop.spawn(named: "watch files of certificates") { await watch.run(made) }
  }

  /// Tells nothing more.
  public func end() {
    isOver = true
    signal?.set()
  }

  private func run(_ signal: Signal) async {
    while !isOver {
      look()
      let now = clock()
      let next = times.compactMap { CertificateState($0.validity, at: now).next }.min() ?? .max
      let rest = max(1, min(next - now, Self.longestRest))
      do throws(WaitError) {
        try await signal.wait(by: loop.deadline(after: Timeout(.seconds(rest))))
      } catch {
        guard error == .timedOut else { return }
      }
    }
  }

  private func look() {
    let now = clock()
    for (subject, validity) in times {
      let state = CertificateState(validity, at: now)
      guard told.updateValue(state.phase, forKey: subject) != state.phase else { continue }
      guard let problem = Self.problem(subject, state) else { continue }
      note(CertificateEvent(problem.kind, problem.path, problem.detail))
    }
  }

  // MARK: What is wrong

  /// What is wrong with the certificates of a configuration.
  public static func problems(
    of configuration: EdgeConfiguration,
    at now: Int64,
    _ certificates: (CertificateSettings) -> TLSCertificates?
  ) -> [Problem] {
    subjects(of: configuration).compactMap { subject, settings in
      certificates(settings).flatMap { own in
        problem(subject, CertificateState(own.validity, at: now))
      }
    } + misnamed(in: configuration, certificates)
  }

  private static func problem(_ subject: Subject, _ state: CertificateState) -> Problem? {
    let detail = state.problem(for: subject.others)
    return switch state.phase {
    case .good: nil
    case .ending: Problem(kind: .ending, path: subject.path, detail: detail)
    case .over, .early: Problem(kind: .untimely, path: subject.path, detail: detail)
    }
  }

  private static func subjects(
    of configuration: EdgeConfiguration
  ) -> [(Subject, CertificateSettings)] {
    let shown = configuration.servers.filter(\.speaksTLS).flatMap(\.certificates)
    let own = configuration.upstreams.compactMap { $0.tls?.certificate }
    var seen: Set<Subject> = []
    return
      (shown.map { (Subject(path: $0.certificates, others: "clients"), $0) }
      + own.map { (Subject(path: $0.certificates, others: "members"), $0) })
      .filter { seen.insert($0.0).inserted }
  }

  /// The hosts that a client asks for in vain: no certificate of a server of their address is good for them.
  private static func misnamed(
    in configuration: EdgeConfiguration,
    _ certificates: (CertificateSettings) -> TLSCertificates?
  ) -> [Problem] {
    var known: [Address: Set<String>] = [:]
    var names: [CertificateSettings: Set<String>] = [:]
    let servers = configuration.servers.filter { $0.speaksTLS && !$0.isAutomatic }
    for server in configuration.servers where server.speaksTLS {
      for settings in server.certificates {
        let own = names[settings] ?? Set(certificates(settings)?.names ?? [])
        names[settings] = own
        for listener in server.listeners { known[listener.address, default: []].formUnion(own) }
      }
    }
    return servers.compactMap { server -> Problem? in
      guard let first = server.certificates.first, !(names[first]?.isEmpty ?? true) else {
        return nil
      }
      let own = server.listeners.filter(\.isTLS).map { known[$0.address] ?? [] }
      let missing = server.names.map(\.certificateName).filter { name in
        own.contains { !TLSCertificates.names($0, cover: name) }
      }
      guard !missing.isEmpty else { return nil }
      let some = missing.prefix(4).joined(separator: "`, `")
      let more = missing.count > 4 ? " and \(missing.count - 4) more" : ""
      return Problem(
        kind: .misnamed,
        path: first.certificates,
        detail: "it is not good for `\(some)`\(more), and clients that ask for that refuse it"
      )
    }
  }
}

extension ServerSettings {
  /// Whether one of its listeners speaks TLS.
  fileprivate var speaksTLS: Bool { listeners.contains(where: \.isTLS) }
}
