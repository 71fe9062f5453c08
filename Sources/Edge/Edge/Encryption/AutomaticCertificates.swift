public import ACME
public import Configuration
public import MartletLoop
import MartletSystem
import Synchronization
public import TLS

/// The certificates that are obtained while the edge runs, for servers with `tls auto`.
///
/// Whoever obtains them puts them here, and ``EdgeServer/showCertificates()`` shows them to the clients that
/// come from then on. A name whose certificate has not come yet is served with one that nobody vouches
/// for. May be used from any thread.
public final class AutomaticCertificates: Sendable {
  private struct State {
    var identities: [CertificateNeed: TLSIdentity] = [:]
    var standIns: [CertificateNeed: TLSIdentity] = [:]
    /// By the name that is asked for in the hello.
    var proofs: [String: TLSIdentity] = [:]
    var thumbprint: String?
    var reports: [CertificateReport] = []
    var staples: [StapleReport] = []
    var authority: Authority?
  }

  /// What clients of the authority of this machine are answered; called on the loop that serves them.
  public typealias Authority = @Sendable (ACMECall, EventLoop) async -> ACMEReply

  /// How often the authority of this machine was asked for something.
  public let authorityCounts = AuthorityCounts()

  private let state = Mutex(State())

  /// Creates a place where nothing is yet.
  public init() {}

  /// Lets a certificate be shown; nil: a stand-in is.
  public func install(_ identity: TLSIdentity?, for need: CertificateNeed) {
    state.withLock { state in
      state.identities[need] = identity
      if identity != nil { state.standIns[need] = nil }
    }
  }

  /// The certificate of a need, if there is one.
  public func installed(for need: CertificateNeed) -> TLSIdentity? {
    state.withLock { $0.identities[need] }
  }

  /// Forgets all but these.
  public func keep(_ needs: [CertificateNeed]) {
    let needs = Set(needs)
    state.withLock { state in
      state.identities = state.identities.filter { needs.contains($0.key) }
      state.standIns = state.standIns.filter { needs.contains($0.key) }
    }
  }

  /// Lets a proof be shown to who asks for one of this host; nil: none is.
  public func show(_ proof: TLSIdentity?, forHost name: String) {
    state.withLock { $0.proofs[name] = proof }
  }

  /// What is known of the certificates, for those who look.
  public var reports: [CertificateReport] {
    get { state.withLock(\.reports) }
    set { state.withLock { $0.reports = newValue } }
  }

  /// What is known of the responses that are shown with certificates.
  public var staples: [StapleReport] {
    get { state.withLock(\.staples) }
    set { state.withLock { $0.staples = newValue } }
  }

  /// What serves others as an authority; nil: nothing does.
  public var authority: Authority? {
    get { state.withLock(\.authority) }
    set { state.withLock { $0.authority = newValue } }
  }

  /// What names the key of our accounts; nil: there is none.
  ///
  /// Behind a token it answers every challenge over HTTP, so that whoever shares the key can answer, on
  /// whichever machine.
  public var thumbprint: String? {
    get { state.withLock(\.thumbprint) }
    set { state.withLock { $0.thumbprint = newValue } }
  }

  var proofs: [String: TLSIdentity] { state.withLock(\.proofs) }

  /// What is shown for a need.
  ///
  /// - Throws: ``TLS/TLSError``: there is no certificate, and none can be made.
  func identity(for need: CertificateNeed) throws(TLSError) -> TLSIdentity {
    let known = state.withLock { $0.identities[need] ?? $0.standIns[need] }
    if let known { return known }
    let now = SystemClock.wallMicroseconds() / 1_000_000
    let key = try TLSKey()
    let plan = CertificatePlan(
      .server,
      organization: "Martlet: a stand-in until there is a certificate",
      names: need.names,
      validity: now - 3600...now + 30 * 86_400
    )
    let made = try TLSIdentity(certificates: plan.issued(for: key), of: key)
    state.withLock { $0.standIns[need] = made }
    return made
  }
}

/// What is known of one certificate that is obtained.
public struct CertificateReport: Hashable, Sendable {
  /// What state it is in.
  public enum State: String, Hashable, Sendable, CaseIterable {
    /// It was not tried yet.
    case waiting
    /// It is being obtained.
    case ordering
    /// It is there.
    case good
    /// The last try has failed; one that was there before is served on.
    case failing
  }

  /// What is wanted.
  public var need: CertificateNeed
  /// What state it is in.
  public var state = State.waiting
  /// Who gave the certificate that is served; empty: nobody, it is a stand-in.
  public var issuer = ""
  /// When that begins and ends to be good, in seconds since 1970; nil for a stand-in.
  public var validity: ClosedRange<Int64>?
  /// Its SHA-256, in hexadecimal digits; empty for a stand-in.
  public var fingerprint = ""
  /// When something is done next, in seconds since 1970; nil: now.
  public var next: Int64?
  /// How many tries have failed since the last one that did not.
  public var failureCount = 0
  /// How often a certificate came.
  public var obtainedCount = 0
  /// How often one was tried for in vain.
  public var failedCount = 0
  /// What the last try has failed for; empty: it did not.
  public var problem = ""

  /// Creates the report of a certificate of which nothing is known.
  public init(_ need: CertificateNeed) { self.need = need }
}

/// What happened to a certificate.
public struct CertificateEvent: Hashable, Sendable {
  /// The kinds of event.
  public enum Kind: String, Hashable, Sendable, CaseIterable {
    /// One has come.
    case obtained
    /// Another node has put it where all find it.
    case found
    /// None has come; it is tried again.
    case failed
    /// One way or one authority has failed, and the next is tried.
    case turned
    /// Something is to be known besides.
    case noted
    /// Its authority says that it is good.
    case vouched
    /// Its authority could not be asked whether it is good.
    case unasked
    /// Its authority has revoked it.
    case revoked
    /// Its time is over soon.
    case ending
    /// Its time is over, or has not begun.
    case untimely
    /// It is not good for a host that it is shown for.
    case misnamed
  }

  /// What happened.
  public var kind: Kind
  /// The names of the certificate.
  public var name: String
  /// What there is to say.
  public var detail: String

  /// Creates an event.
  public init(_ kind: Kind, _ name: String, _ detail: String) {
    self.kind = kind
    self.name = name
    self.detail = detail
  }
}

/// How often the authority of this machine has given and taken back certificates, and has said what became of one.
///
/// May be used from any thread.
public final class AuthorityCounts: Sendable {
  /// What was done.
  public enum Deed: String, Hashable, Sendable, CaseIterable {
    /// A certificate was given.
    case given
    /// One was revoked.
    case revoked
    /// It was said of one that it is good.
    case good
    /// It was said of one that it was revoked.
    case isRevoked = "is_revoked"
    /// It was said of one that it was not given.
    case unknown
    /// A question was answered as it was before.
    case kept
    /// A question was not in form, or could not be answered.
    case malformed
  }

  private let counts = Mutex<[Deed: UInt64]>([:])

  /// Creates counts of nothing.
  init() {}

  /// Counts something.
  public func count(_ deed: Deed) { counts.withLock { $0[deed, default: 0] += 1 } }

  subscript(deed: Deed) -> UInt64 { counts.withLock { $0[deed] ?? 0 } }
}
