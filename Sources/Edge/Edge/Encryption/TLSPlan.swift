import Configuration
import MartletLoop
import MartletNet
import MartletTelemetry
import Synchronization
import TLS

/// How connections of a listening address begin TLS; compiled.
///
/// Its certificates can be exchanged while connections begin: ``install(_:)``. What has begun goes on with
/// what it began with.
final class TLSPlan: Sendable {
  /// What became of a handshake, as metrics call it.
  static let outcomes = ["full", "resumed"] + TLSFailure.Cause.allCases.map(\.rawValue)

  let timeout: Timeout
  private let outcomes: [Counter]
  private let versions: [Counter]
  private let base: TLSContext
  private let chosen: Chosen

  /// The certificates in force, to which the context of new sessions asks its way.
  private final class Chosen: Sendable {
    let table: Mutex<CertificateTable>
    init(_ table: CertificateTable) { self.table = Mutex(table) }
  }

  /// What is offered to ALPN, in order of preference.
  private static let protocols = ["http/1.1"]

  /// - Throws: ``TLS/TLSError``.
  init(
    _ listener: String,
    _ members: [Generation.SiteMember],
    _ files: TLSFiles,
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
    let table = try CertificateTable(servers, fallback: fallback, files) {
      (server: ServerSettings, identities: [TLSIdentity]) throws(TLSError) in
      try Self.context(server, identities, files, tickets)
    }
    let chosen = Chosen(table)
    self.chosen = chosen
    let first = servers.indices.contains(fallback) ? servers[fallback] : servers[0]
    base = try Self.context(first, [], files, tickets) { name in
      chosen.table.withLock { $0.context(for: name) }
    }
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
      return try TLSContext(
        // What a session has proven to one server counts nothing at another that asks for more.
        server: verification == nil ? "" : server.name,
        identities,
        policy: settings.policy,
        protocols: Self.protocols,
        resumption: TLSResumption(
          tickets: settings.givesTickets ? files.ticketKeys(settings) ?? tickets : nil,
          seconds: seconds
        ),
        verification: verification,
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

  /// Puts other certificates in force for the handshakes that begin from now on.
  ///
  /// May be called from any thread.
  func install(_ table: CertificateTable) { chosen.table.withLock { $0 = table } }

  /// The certificates in force.
  var certificates: [CertificateTable.Entry] { chosen.table.withLock(\.entries) }

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

  /// How many handshakes have had each outcome.
  func counts(_ tables: [CounterTable]) -> [(outcome: String, count: UInt64)] {
    zip(Self.outcomes, outcomes).map { ($0, tables.value(of: $1)) }
  }
}
