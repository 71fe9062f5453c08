import ACME
import Configuration
import Edge
import MartletLoop
import MartletSystem
import TLS

// What people ask for.
extension CertificateKeeper {
  /// What became of a trial.
  public struct Trial: Hashable, Sendable {
    /// What one authority has said.
    public struct Result: Hashable, Sendable {
      /// The authority.
      public var authority: String
      /// What is wrong; nil: it would give a certificate.
      public var problem: String?
    }

    /// Whether it still goes on.
    public var isRunning: Bool
    /// What the authorities have said so far.
    public var results: [Result]
  }

  /// Sees whether authorities would give a certificate, without getting one.
  ///
  /// One that goes on already is waited for, and not begun again.
  ///
  /// - Returns: What came of it, after some seconds at most.
  /// - Throws: ``CertificateFault``: there is no such name, or nothing to ask with.
  public func test(_ name: String) async throws(CertificateFault) -> Trial {
    guard let need = needs(named: name).first else {
      throw CertificateFault("no server with `tls auto` has the name `\(name)`")
    }
    guard !need.isLocal else {
      let problem = authority == nil ? "there is none" : nil
      let result = Trial.Result(authority: "the authority of this machine", problem: problem)
      return Trial(isRunning: false, results: [result])
    }
    guard storage != nil, accountKey != nil else { throw CertificateFault("there is no storage") }
    if trials[need] == nil {
      trials[need] = Trial(isRunning: true, results: [])
      let keeper = self
      loop.spawn(named: "obtain a certificate") { await keeper.perform(need) }
    }
    let end = loop.deadline(after: Timeout(.seconds(8)))
    while trials[need]?.isRunning ?? false {
      do throws(WaitError) { try await loop.sleep(for: .milliseconds(50)) } catch { break }
      if loop.hasPassed(end) { break }
    }
    let trial = trials[need] ?? Trial(isRunning: false, results: [])
    if !trial.isRunning { trials[need] = nil }
    return trial
  }

  private func perform(_ need: CertificateNeed) async {
    for authority in configuration.issuance.all {
      guard let storage, let accountKey else { break }
      let trial = authority.trial
      var problem: String?
      do throws(ACMEFailure) {
        _ = try await order(need, from: trial, accountKey, storage, provesOnly: true)
      } catch {
        problem = "\(error.cause.rawValue): \(error)"
      }
      trials[need]?.results.append(Trial.Result(authority: trial.directory, problem: problem))
    }
    trials[need]?.isRunning = false
  }

  /// Takes a certificate that was obtained otherwise, until it is time to renew it.
  ///
  /// - Returns: The names that it is served for.
  /// - Throws: ``CertificateFault``: it cannot be used, or nobody needs it.
  public func take(
    certificates: [UInt8],
    key: [UInt8]
  ) async throws(CertificateFault) -> [String] {
    guard let storage else { throw CertificateFault("no server has `tls auto`") }
    let identity: TLSIdentity
    do throws(TLSError) {
      identity = try TLSIdentity(certificates: certificates, key: key)
    } catch {
      throw CertificateFault("\(error)")
    }
    var taken: [String] = []
    var problem = "no server with `tls auto` has one of its names"
    for need in entries.keys where !need.isLocal {
      do throws(TLSError) {
        try CertificateOrder.check(identity.certificates, for: need, at: clock())
      } catch {
        if identity.certificates.names.contains(where: need.names.contains) { problem = "\(error)" }
        continue
      }
      let pem = key + certificates
      defer { Secret.forget(pem) }
      try await onThread { () throws(CertificateFault) in
        try storage.keep(pem, for: need, from: "imported")
      }
      take(identity, from: "imported", for: need)
      taken.append(need.name)
    }
    guard !taken.isEmpty else { throw CertificateFault(problem) }
    tell()
    show()
    return taken.sorted()
  }
}

extension AuthoritySettings {
  /// The authority that is asked for a trial: one that does not count failures, where it is known.
  fileprivate var trial: AuthoritySettings {
    guard self == .usual else { return self }
    return AuthoritySettings(
      directory: "https://acme-staging-v02.api.letsencrypt.org/directory"
    )
  }
}
