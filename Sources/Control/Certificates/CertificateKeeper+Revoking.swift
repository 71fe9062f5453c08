import ACME
import Configuration
import Edge
import MartletLoop
import MartletSystem
import TLS

// What is taken back because somebody says so.
extension CertificateKeeper {
  /// Which certificate is to be revoked.
  public enum Revoked: Hashable, Sendable {
    /// This one, in PEM form.
    case certificate([UInt8])
    /// The one that is obtained and served for a name.
    case served(name: String)
    /// One of the authority of this machine with a number, in hexadecimal digits.
    case number(String)
  }

  /// Revokes a certificate: one that the authority of this machine has given, or one that was obtained by our
  /// account with another one, which is then obtained anew where it is served.
  ///
  /// - Parameters:
  ///   - what: Which.
  ///   - reason: Why, as RFC 5280 numbers the reasons.
  /// - Returns: Its number.
  /// - Throws: ``CertificateFault``: there is no such certificate, it is from nobody who is known, was revoked
  ///   before, or its authority refuses.
  public func revoke(_ what: Revoked, reason: Int) async throws(CertificateFault) -> String {
    guard ACMERevocation.reasons.contains(reason) else {
      throw CertificateFault("there is no such reason")
    }
    let own: TLSCertificates
    switch what {
    case .number(let number):
      guard let serial = RevocationList.bytes(number) else {
        throw CertificateFault("`\(number)` is no number of a certificate")
      }
      let until = clock() + LocalAuthority.leafSeconds
      return try await revokeHere(serial, until: until, of: [], reason)
    case .certificate(let pem):
      do throws(TLSError) { own = try TLSCertificates(pem: pem) } catch {
        throw CertificateFault("\(error)")
      }
    case .served(let name):
      let found = needs(named: name).lazy.compactMap { self.table.installed(for: $0) }.first
      guard let found else {
        throw CertificateFault("no certificate is served for `\(name)` that was obtained")
      }
      own = found.certificates
    }
    if let authority, own.isSigned(by: authority.certificates) {
      guard let serial = own.serialNumber else { throw CertificateFault("it has no number") }
      return try await revokeHere(serial, until: own.validity.upperBound, of: own.names, reason)
    }
    try await revokeElsewhere(own, reason)
    return own.serial
  }

  private func revokeHere(
    _ serial: [UInt8],
    until: Int64,
    of names: [String],
    _ reason: Int
  ) async throws(CertificateFault) -> String {
    guard let serving else {
      throw CertificateFault("no route says `acme`, so nobody would learn of it")
    }
    let entry = RevocationList.Entry(serial: serial, time: clock(), reason: reason, until: until)
    do throws(ACMEProblem) {
      try await serving.service.revoke(entry, of: names, on: loop)
    } catch {
      throw CertificateFault(error.detail)
    }
    return entry.number
  }

  /// Has the authority revoke a certificate that has given it, by the account that it was given to.
  private func revokeElsewhere(
    _ own: TLSCertificates,
    _ reason: Int
  ) async throws(CertificateFault) {
    guard let storage, let accountKey, let key = ACMEKey(accountKey), let der = own.der else {
      throw CertificateFault(
        "it is not from the authority of this machine, and there is no account with another one"
      )
    }
    let shown = entries.values.filter { $0.report.fingerprint == own.fingerprint }
    let sources = Set(shown.map(\.source))
    // That which has given it comes first, where that is known.
    let all = configuration.issuance.all
    let asked =
      all.filter { sources.contains($0.directory) } + all.filter { !sources.contains($0.directory) }
    var problems: [String] = []
    for authority in asked {
      do throws(ACMEFailure) {
        try await converse(
          ACMERevokingConversation(
            der,
            reason: reason,
            directory: authority.directory,
            key: key,
            account: storage.account(with: authority.directory)
          ),
          with: authority
        )
      } catch {
        problems.append("\(authority.directory): \(error.cause.rawValue): \(error)")
        continue
      }
      let name = shown.first?.report.need.name ?? own.names.first ?? own.serial
      event(.noted, name, "\(authority.directory) has revoked it, as it was asked to")
      for entry in shown { _ = renew(entry.report.need.name) }
      return
    }
    throw CertificateFault(problems.joined(separator: "; "))
  }

  private func converse(
    _ conversation: ACMERevokingConversation,
    with authority: AuthoritySettings
  ) async throws(ACMEFailure) {
    let client = try client(of: authority)
    var conversation = conversation
    while true {
      switch conversation.step {
      case .send(let request): conversation.receive(try await client.answer(to: request))
      case .done: return
      case .failed(let failure): throw failure
      }
    }
  }
}
