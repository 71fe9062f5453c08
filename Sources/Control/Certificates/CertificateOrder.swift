import ACME
import Configuration
import Directives
import Edge
import MartletLoop
import MartletSystem
import TLS

/// Gets one certificate from one authority: does what a conversation asks for.
final class CertificateOrder {
  /// What came of it.
  struct Outcome {
    /// The certificate with its key; nil where only the proof was wanted.
    var identity: TLSIdentity?
    /// The same in PEM form, the key first: a secret.
    var pem: [UInt8]
    /// What the authority calls our account.
    var account: String?
  }

  private let loop: EventLoop
  private let client: AuthorityClient
  private let table: AutomaticCertificates
  private let settings: IssuanceSettings
  private let show: () -> Void

  /// Creates an order.
  ///
  /// - Parameters:
  ///   - loop: Where it runs.
  ///   - client: What asks the authority.
  ///   - table: Where proofs are shown.
  ///   - settings: How records are made.
  ///   - show: Shows what is in the table.
  init(
    on loop: EventLoop,
    _ client: AuthorityClient,
    _ table: AutomaticCertificates,
    _ settings: IssuanceSettings,
    show: @escaping () -> Void
  ) {
    self.loop = loop
    self.client = client
    self.table = table
    self.settings = settings
    self.show = show
  }

  /// Goes the whole way.
  ///
  /// - Parameters:
  ///   - need: What is wanted.
  ///   - demand: The same for the authority, with the request for `key`.
  ///   - key: The key of the certificate.
  ///   - accountKey: The key of our account.
  ///   - account: What the authority calls it, if that is known.
  ///   - now: The seconds since 1970.
  /// - Returns: The certificate, and what the authority calls our account.
  /// - Throws: ``ACME/ACMEFailure``.
  func run(
    _ need: CertificateNeed,
    _ demand: ACMEDemand,
    key: TLSKey,
    accountKey: TLSKey,
    account: String?,
    now: Int64
  ) async throws(ACMEFailure) -> Outcome {
    guard let signer = ACMEKey(accountKey) else {
      throw ACMEFailure(.local, "the key of the account is of another kind")
    }
    var conversation = ACMEConversation(demand, key: signer, account: account)
    var shown: [ACMEProof] = []
    let result = await perform(&conversation, &shown)
    await takeBack(shown)
    let chain = try result.get()
    guard !demand.provesOnly else {
      return Outcome(identity: nil, pem: [], account: conversation.account)
    }
    do throws(TLSError) {
      let keyPEM = try key.pem()
      defer { Secret.forget(keyPEM) }
      let identity = try TLSIdentity(certificates: chain, of: key)
      try Self.check(identity.certificates, for: need, at: now)
      return Outcome(identity: identity, pem: keyPEM + chain, account: conversation.account)
    } catch {
      throw ACMEFailure(.malformed, "the authority's certificate cannot be used: \(error)")
    }
  }

  private func perform(
    _ conversation: inout ACMEConversation,
    _ shown: inout [ACMEProof]
  ) async -> Result<[UInt8], ACMEFailure> {
    while true {
      do throws(ACMEFailure) {
        switch conversation.step {
        case .send(let request): conversation.receive(try await client.answer(to: request))
        case .prove(let proofs):
          for proof in proofs {
            shown.append(proof)
            try await put(proof)
          }
          if proofs.contains(where: { $0.kind == .dns }) { try await sleep(settings.dnsDelay) }
          conversation.proofsStand()
        case .wait(let seconds):
          try await sleep(.seconds(seconds))
          conversation.hasWaited()
        case .done(let chain): return .success(chain)
        case .failed(let failure): return .failure(failure)
        }
      } catch {
        conversation.end(error)
      }
    }
  }

  private func sleep(_ duration: Duration) async throws(ACMEFailure) {
    do throws(WaitError) { try await loop.sleep(for: duration) } catch {
      throw ACMEFailure(.local, "the wait was ended")
    }
  }

  // MARK: Proofs

  private func put(_ proof: ACMEProof) async throws(ACMEFailure) {
    switch proof.kind {
    // Every token is answered by who knows the key of the account.
    case .http: return
    case .tls:
      do throws(TLSError) {
        let key = try TLSKey()
        let now = SystemClock.wallMicroseconds() / 1_000_000
        let plan = CertificatePlan(
          .proof(digest: proof.digest),
          organization: "Martlet",
          names: [proof.name],
          validity: now - 3600...now + 86_400
        )
        let identity = try TLSIdentity(certificates: plan.issued(for: key), of: key)
        table.show(identity, forHost: Self.host(of: proof))
        show()
      } catch {
        throw ACMEFailure(.local, "no proof can be made: \(error)")
      }
    case .dns:
      try await RecordCommand(words: settings.dnsCommand).run("add", proof, on: loop)
    }
  }

  private func takeBack(_ proofs: [ACMEProof]) async {
    for proof in proofs {
      switch proof.kind {
      case .http: continue
      case .tls: table.show(nil, forHost: Self.host(of: proof))
      case .dns:
        do throws(ACMEFailure) {
          try await RecordCommand(words: settings.dnsCommand).run("remove", proof, on: loop)
        } catch {
          // A record that stays harms nobody; the program tells its owner what is wrong with it.
        }
      }
    }
    if proofs.contains(where: { $0.kind == .tls }) { show() }
  }

  /// The host that an authority asks for in its hello.
  ///
  /// RFC 8738, section 6: an address has the name by which it is looked up the other way round.
  static func host(of proof: ACMEProof) -> String {
    guard let address = IPAddress(proof.name) else { return proof.name }
    switch address {
    case .ipv4(let number):
      let parts = (0..<4).map { "\(number >> UInt32($0 * 8) & 255)" }
      return parts.joined(separator: ".") + ".in-addr.arpa"
    case .ipv6(let high, let low):
      let digits = [low, high].flatMap { word in
        (0..<16).map { String(word >> UInt64($0 * 4) & 15, radix: 16) }
      }
      return digits.joined(separator: ".") + ".ip6.arpa"
    }
  }

  // MARK: What came

  /// Sees to it that a certificate is what was asked for.
  ///
  /// - Throws: ``TLS/TLSError``.
  static func check(
    _ certificates: TLSCertificates,
    for need: CertificateNeed,
    at now: Int64
  ) throws(TLSError) {
    let names = Set(certificates.names)
    let missing = need.names.filter { name in
      !names.contains(name)
        && !names.contains { IPAddress($0) == IPAddress(name) && IPAddress(name) != nil }
        && !(name.contains(".") && names.contains("*" + name.drop { $0 != "." }))
    }
    guard missing.isEmpty else {
      throw TLSError("it is not for \(missing.joined(separator: ", "))")
    }
    let validity = certificates.validity
    // Clocks may differ by an hour.
    guard validity.lowerBound <= now + 3600 else { throw TLSError("it is not good yet") }
    guard validity.upperBound > now else { throw TLSError("its time is over") }
  }
}

extension ACMEKey {
  /// The key of an account; nil for one that is not on P-256.
  init?(_ key: TLSKey) {
    guard let (x, y) = key.point else { return nil }
    self.init(
      x: x,
      y: y,
      sign: { bytes in
        do throws(TLSError) { return try key.signature(of: bytes) } catch { return nil }
      },
      digest: { bytes in
        do throws(TLSError) { return try TLSDigest.sha256(bytes) } catch { return nil }
      },
      authenticate: { secret, bytes in
        do throws(TLSError) { return try TLSDigest.code(of: bytes, key: secret) } catch {
          return nil
        }
      }
    )
  }
}
