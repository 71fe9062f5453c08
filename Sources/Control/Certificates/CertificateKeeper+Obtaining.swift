import ACME
import Configuration
import Edge
import Locking
import MartletLoop
import MartletSystem
import TLS

// What is done about one certificate whose time has come.
extension CertificateKeeper {
  /// Does what is due.
  func attend(to need: CertificateNeed) async {
    guard let entry = entries[need] else { return }
    if storage == nil, let problem = openStorage() { return fail(need, problem) }
    if need.isLocal {
      issue(need)
      if entries[need]?.report.state == .good {
        event(.obtained, need.name, "from the authority of this machine")
      }
      return show()
    }
    if entry.due > clock() {
      await askForTime(need)
      return
    }
    guard let storage, let accountKey else {
      return fail(need, "there is no storage for the key of the account")
    }
    let lock: FileLock
    do throws(CertificateFault) {
      let taken = try await onThread { () throws(CertificateFault) in try storage.lock(for: need) }
      guard let taken else {
        // Another node is at it: what it gets is there soon.
        entries[need]?.due = clock() + 15
        return
      }
      lock = taken
      if let kept = try await onThread({ () throws(CertificateFault) in
        try storage.certificate(for: need)
      }), isNews(kept, need) {
        take(kept.identity, from: kept.source, for: need)
        event(.found, need.name, "in \(storage.path)")
        show()
        if let next = entries[need]?.due, next > clock() { return }
      }
    } catch {
      return fail(need, "\(error)")
    }
    await obtain(need, accountKey, storage)
    lock.release()
  }

  private func isNews(_ kept: KeptCertificate, _ need: CertificateNeed) -> Bool {
    let certificates = kept.identity.certificates
    return certificates.fingerprint != entries[need]?.report.fingerprint
      && certificates.validity.upperBound > (entries[need]?.report.validity?.upperBound ?? clock())
  }

  /// Tries all authorities and all ways, one after the other.
  private func obtain(
    _ need: CertificateNeed,
    _ accountKey: TLSKey,
    _ storage: CertificateStorage
  ) async {
    entries[need]?.report.state = .ordering
    tell()
    let all = configuration.issuance.all
    var problems: [String] = []
    var retryAfter: Int?
    for authority in all {
      do throws(ACMEFailure) {
        let (outcome, key) = try await order(need, from: authority, accountKey, storage)
        guard let identity = outcome.identity else { return }
        await keep(outcome, for: need, from: authority, storage)
        entries[need]?.noteObtained(at: clock())
        take(identity, from: authority.directory, for: need)
        withExtendedLifetime(key) {}
        event(.obtained, need.name, "from \(authority.directory)")
        show()
        await askForTime(need)
        return
      } catch {
        problems.append("\(authority.directory): \(error.cause.rawValue): \(error)")
        if let seconds = error.retryAfter { retryAfter = min(retryAfter ?? .max, seconds) }
        if authority != all.last { event(.turned, need.name, problems.last ?? "") }
      }
    }
    // Where only one of several wants to be left alone, the others are tried in time.
    fail(
      need,
      problems.joined(separator: "; "),
      retryAfter: all.count == 1 ? retryAfter : nil
    )
  }

  /// Tries all ways with one authority, as long as it is the proof that fails.
  func order(
    _ need: CertificateNeed,
    from authority: AuthoritySettings,
    _ accountKey: TLSKey,
    _ storage: CertificateStorage,
    provesOnly: Bool = false
  ) async throws(ACMEFailure) -> (outcome: CertificateOrder.Outcome, key: TLSKey) {
    let client = try client(of: authority)
    var proofs = configuration.proofs(of: need).map(\.kind)
    let introduces = await introduces(to: authority.directory, storage)
    defer { if introduces { introduced(to: authority.directory) } }
    while true {
      let key: TLSKey
      var demand: ACMEDemand
      do throws(TLSError) {
        key = try TLSKey()
        demand = ACMEDemand(
          directory: authority.directory,
          names: need.names,
          addresses: need.addresses,
          request: try key.request(for: need.names),
          proofs: Array(proofs.prefix(1)),
          contacts: configuration.issuance.contacts,
          externalAccount: authority.externalAccount,
          replaces: replaced(need, by: authority)
        )
      } catch {
        throw ACMEFailure(.local, "\(error)")
      }
      demand.provesOnly = provesOnly
      let run = CertificateOrder(on: loop, client, table, configuration.issuance, show: show)
      do throws(ACMEFailure) {
        let outcome = try await run.run(
          need,
          demand,
          key: key,
          accountKey: accountKey,
          account: storage.account(with: authority.directory),
          now: clock()
        )
        if let account = outcome.account {
          do throws(CertificateFault) {
            try storage.keep(account: account, with: authority.directory)
          } catch { event(.noted, need.name, "\(error)") }
        }
        return (outcome, key)
      } catch {
        guard error.cause == .unproven, proofs.count > 1 else { throw error }
        event(.turned, need.name, "\(proofs[0].rawValue): \(error)")
        proofs.removeFirst()
      }
    }
  }

  /// Whether this order is the first with an authority, which makes our account there; those that come
  /// together with it wait until it is over, for some authorities cannot make one account twice at a time.
  private func introduces(to directory: String, _ storage: CertificateStorage) async -> Bool {
    while storage.account(with: directory) == nil {
      guard introductions[directory] != nil else {
        introductions[directory] = []
        return true
      }
      guard let signal = Signal(on: loop) else { return false }
      introductions[directory]?.append(signal)
      await signal.untilSet()
    }
    return false
  }

  /// Lets those go on that have waited for an account.
  private func introduced(to directory: String) {
    for signal in introductions.removeValue(forKey: directory) ?? [] { signal.set() }
  }

  /// What the authority calls the certificate that it is about to replace; nil: it is another one's.
  private func replaced(_ need: CertificateNeed, by authority: AuthoritySettings) -> String? {
    guard entries[need]?.source == authority.directory else { return nil }
    return table.installed(for: need)?.certificates.renewalName
  }

  func client(of authority: AuthoritySettings) throws(ACMEFailure) -> AuthorityClient {
    guard let threads else { throw ACMEFailure(.local, "there are no threads") }
    do throws(TLSError) {
      let clock = clock
      return try AuthorityClient(
        on: loop,
        trust: authority.trust.flatMap { trust[$0] },
        threads: threads,
        clock: clock
      )
    } catch {
      throw ACMEFailure(.local, "\(error)")
    }
  }

  private func keep(
    _ outcome: CertificateOrder.Outcome,
    for need: CertificateNeed,
    from authority: AuthoritySettings,
    _ storage: CertificateStorage
  ) async {
    let (pem, source) = (outcome.pem, authority.directory)
    defer { Secret.forget(pem) }
    do throws(CertificateFault) {
      try await onThread { () throws(CertificateFault) in
        try storage.keep(pem, for: need, from: source)
      }
    } catch {
      // It is served all the same.
      event(.noted, need.name, "it is served, but lost with the process: \(error)")
    }
  }

  /// Does what may block on a thread.
  func onThread<Result: Sendable>(
    _ body: @escaping @Sendable () throws(CertificateFault) -> Result
  ) async throws(CertificateFault) -> Result {
    guard let threads else { throw CertificateFault("there are no threads") }
    let outcome: Swift.Result<Result, CertificateFault>
    do throws(BlockingPool.Refusal) {
      outcome = try await threads.run(on: loop) {
        Swift.Result { () throws(CertificateFault) in try body() }
      }
    } catch {
      throw CertificateFault("no thread is free: \(error)")
    }
    return try outcome.get()
  }

  // MARK: When to renew

  /// Asks the authority of a certificate when it is to be renewed.
  ///
  /// RFC 9773; an authority that does not tell is not asked again.
  private func askForTime(_ need: CertificateNeed) async {
    guard var entry = entries[need],
      let authority = configuration.issuance.all.first(where: { $0.directory == entry.source }),
      let name = table.installed(for: need)?.certificates.renewalName
    else {
      entries[need]?.askAt = 0
      return
    }
    entry.askAt = clock() + Int64(RenewalInformation.usualAskAgain)
    do throws(ACMEFailure) {
      let client = try client(of: authority)
      let answer = try await client.answer(to: ACMERequest(.get, authority.directory))
      guard let directory = ACMEDirectory(answer.object),
        let request = RenewalInformation.request(directory, certificate: name)
      else {
        entries[need]?.askAt = 0
        return
      }
      if let information = RenewalInformation(try await client.answer(to: request)) {
        entry.suggested = information
        entry.askAt = clock() + Int64(information.askAgain)
        entry.plan()
      }
    } catch {
      // It is asked again; until then two thirds of the certificate's life count.
    }
    entries[need] = entry
  }
}

extension IssuanceSettings {
  /// The authorities that are asked.
  var all: [AuthoritySettings] { authorities.isEmpty ? [.usual] : authorities }
}

extension IssuanceSettings.Proof {
  var kind: ACMEProofKind {
    switch self {
    case .http: .http
    case .tls: .tls
    case .dns: .dns
    }
  }
}

extension AuthoritySettings {
  var externalAccount: ACMEExternalAccount? {
    guard let keyID, let key else { return nil }
    return ACMEExternalAccount(name: keyID, keyText: key)
  }
}

extension TLSCertificates {
  /// What an authority calls the certificate when it is asked about its renewal.
  var renewalName: String? {
    renewalParts.map { RenewalInformation.name(authority: $0.authority, serial: $0.serial) }
  }
}
