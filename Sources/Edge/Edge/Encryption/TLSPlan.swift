import Configuration
import MartletLoop
import MartletNet
import MartletTelemetry
import Synchronization
import TLS

/// How connections of a listening address begin TLS; compiled.
///
/// Its certificates can be exchanged while connections begin: ``refresh()``. What has begun goes on with
/// what it began with.
final class TLSPlan: Sendable {
  /// What became of a handshake, as metrics call it.
  static let outcomes = ["full", "resumed"] + TLSFailure.Cause.allCases.map(\.rawValue)

  let timeout: Timeout
  private let outcomes: [Counter]
  private let versions: [Counter]
  private let faults: [Counter]
  private let base: TLSContext
  private let chosen: Chosen
  private let make: @Sendable () throws(TLSError) -> Shown
  /// Whether certificates of its servers are obtained.
  private let isAutomatic: Bool

  /// What is shown to clients.
  private struct Shown: Sendable {
    var table: CertificateTable
    /// Contexts for those who ask for nothing but the proof of a name, by that.
    var proofs: [String: TLSContext]

    func context(for name: String, asksProof: Bool) -> TLSContext? {
      if asksProof, let proof = proofs[name] { return proof }
      return table.context(for: name)
    }
  }

  /// The certificates in force, to which the context of new sessions asks its way.
  private final class Chosen: Sendable {
    let shown: Mutex<Shown>
    init(_ shown: Shown) { self.shown = Mutex(shown) }
  }

  /// The contexts that were made last, so that only what is new is made anew.
  private final class Made: Sendable {
    struct Key: Hashable {
      var name: String
      var settings: TLSSettings
      var protocols: [String]
      var identities: [ObjectIdentifier]
    }

    // The certificates are held, so that no other one can come to stand where one stood.
    typealias Entry = (context: TLSContext, identities: [TLSIdentity])

    let contexts = Mutex<[Key: Entry]>([:])
  }

  /// What is offered to ALPN, in order of preference.
  private static func protocols(of server: ServerSettings) -> [String] {
    server.allowsHTTP2 ? ["h2", "http/1.1"] : ["http/1.1"]
  }

  /// - Throws: ``TLS/TLSError``.
  init(
    _ listener: String,
    _ members: [Generation.SiteMember],
    _ files: TLSFiles,
    _ automatic: AutomaticCertificates,
    _ tickets: TicketKeys?,
    _ layout: inout MetricLayout.Builder
  ) throws(TLSError) {
    let servers = members.map(\.settings)
    let fallback =
      members.firstIndex(where: \.isFallback) ?? servers.firstIndex(where: \.names.isEmpty) ?? 0
    timeout = Timeout(servers.map(\.tls.handshakeTimeout).max() ?? .seconds(10))
    outcomes = layout.counters(EdgeMetrics.tlsHandshakes, [listener], each: Self.outcomes)
    versions = layout.counters(
      EdgeMetrics.tlsVersions,
      [listener],
      each: TLSVersion.allCases.map(\.rawValue)
    )
    faults = layout.counters(
      EdgeMetrics.tlsFaults,
      [listener],
      each: TLSFault.Kind.allCases.map(\.rawValue)
    )
    let made = Made()
    let make = { @Sendable () throws(TLSError) -> Shown in
      let known = made.contexts.withLock(\.self)
      var next: [Made.Key: Made.Entry] = [:]
      let table = try CertificateTable(servers, fallback: fallback, files, automatic) {
        (server: ServerSettings, identities: [TLSIdentity]) throws(TLSError) in
        let key = Made.Key(
          name: server.name,
          settings: server.tls,
          protocols: Self.protocols(of: server),
          identities: identities.map { ObjectIdentifier($0) }
        )
        if let entry = known[key] ?? next[key] {
          next[key] = entry
          return entry.context
        }
        let context = try Self.context(server, identities, files, tickets)
        next[key] = (context, identities)
        return context
      }
      made.contexts.withLock { $0 = next }
      return Shown(table: table, proofs: try Self.proofs(servers, automatic))
    }
    self.make = make
    isAutomatic = servers.contains(where: \.isAutomatic)
    let chosen = Chosen(try make())
    self.chosen = chosen
    let first = servers.indices.contains(fallback) ? servers[fallback] : servers[0]
    base = try Self.context(first, [], files, tickets) { name, asksProof in
      chosen.shown.withLock { $0.context(for: name, asksProof: asksProof) }
    }
  }

  /// What is shown to those who ask for the proof of a name.
  private static func proofs(
    _ servers: [ServerSettings],
    _ automatic: AutomaticCertificates
  ) throws(TLSError) -> [String: TLSContext] {
    guard servers.contains(where: \.isAutomatic) else { return [:] }
    var contexts: [String: TLSContext] = [:]
    for (name, identity) in automatic.proofs {
      contexts[name] = try TLSContext(
        server: TLSContext.proofProtocol,
        [identity],
        policy: .intermediate,
        protocols: [TLSContext.proofProtocol],
        resumption: TLSResumption(tickets: nil)
      )
    }
    return contexts
  }

  private static func context(
    _ server: ServerSettings,
    _ identities: [TLSIdentity],
    _ files: TLSFiles,
    _ tickets: TicketKeys?,
    choosing choice: TLSContext.Choice? = nil
  ) throws(TLSError) -> TLSContext {
    let settings = server.tls
    let (seconds, _) = settings.sessionTime.components
    let verification = files.verification(settings)
    do throws(TLSError) {
      let keys = settings.givesTickets ? files.ticketKeys(settings) ?? tickets : nil
      return try TLSContext(
        // What a session has proven to one server counts nothing at another that asks for more.
        server: verification == nil ? "" : server.name,
        identities,
        policy: settings.policy,
        protocols: Self.protocols(of: server),
        resumption: TLSResumption(
          tickets: try keys?.sealing(for: settings.ticketRotation.components.seconds),
          seconds: seconds
        ),
        verification: verification,
        keyLog: files.keyLog(settings),
        choosing: choice
      )
    } catch {
      throw TLSError("server `\(server.name)`: \(error)")
    }
  }

  /// Begins TLS on a connection on which `carried` has come already.
  ///
  /// - Throws: ``TLS/TLSError`` without memory.
  func session(on stream: Stream, carried: Span<UInt8>) throws(TLSError) -> TLSSession {
    try TLSSession(base, socket: stream.descriptor, as: .server, carried: carried)
  }

  /// Shows the certificates that have come meanwhile, in the handshakes that begin from now on.
  ///
  /// May be called from any thread.
  ///
  /// - Throws: ``TLS/TLSError``; what was shown before still is.
  func refresh() throws(TLSError) {
    guard isAutomatic else { return }
    let next = try make()
    chosen.shown.withLock { $0 = next }
  }

  /// The certificates in force.
  var certificates: [CertificateTable.Entry] { chosen.shown.withLock(\.table.entries) }

  // MARK: Counting

  /// Counts a handshake that has led to a session.
  func count(_ session: TLSSession, _ counters: CounterTable) {
    counters.add(to: outcomes[session.isResumed ? 1 : 0])
    let number = TLSVersion.allCases.firstIndex { session.version == "TLSv\($0.rawValue)" }
    if let number { counters.add(to: versions[number]) }
  }

  /// Counts a handshake that has led to nothing.
  func count(_ cause: TLSFailure.Cause, _ counters: CounterTable) {
    let index = TLSFailure.Cause.allCases.firstIndex(of: cause) ?? 0
    counters.add(to: outcomes[index + 2])
  }

  /// Counts what a client has done that it may not.
  func count(_ kind: TLSFault.Kind, _ counters: CounterTable) {
    counters.add(to: faults[TLSFault.Kind.allCases.firstIndex(of: kind) ?? 0])
  }

  /// How many handshakes have had each outcome.
  func counts(_ tables: [CounterTable]) -> [(outcome: String, count: UInt64)] {
    zip(Self.outcomes, outcomes).map { ($0, tables.value(of: $1)) }
  }
}
