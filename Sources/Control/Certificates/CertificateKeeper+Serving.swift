import ACME
import Configuration
import Edge
import MartletLoop
import MartletSystem
import TLS

// What is done for others whose names the authority of this machine vouches for.
extension CertificateKeeper {
  /// Has others answered, where the configuration says so.
  func serve(_ authority: LocalAuthority) {
    guard service != nil, let storage, let threads else {
      table.authority = nil
      serving = nil
      return
    }
    let mark = "\(authority.certificates.fingerprint) \(authority.revocations ?? "")"
    guard serving?.mark != mark else { return }
    let made = AuthorityService(
      authority,
      storage,
      threads,
      clock: { SystemClock.wallMicroseconds() / 1_000_000 }
    )
    serving = (made, mark)
    table.authority = { call, loop in await made.answer(call, on: loop) }
  }

  /// Looks at the names of others from now on.
  func lookForOthers() {
    guard service != nil, serving != nil, looking == nil, let made = Signal(on: loop) else {
      return
    }
    looking = made
    let keeper = self
    loop.spawn { await keeper.look(made) }
  }

  private func look(_ signal: Signal) async {
    defer { looking = nil }
    guard let client = clientForOthers() else { return }
    while !hasEnded, let serving, let asked = service {
      await serving.service.look(
        by: client,
        asked,
        on: loop,
        signal,
        tell: note,
        isOver: { hasEnded || service != asked || self.serving?.mark != serving.mark }
      )
    }
  }

  private func clientForOthers() -> AuthorityClient? {
    guard let threads else { return nil }
    do throws(TLSError) {
      return try AuthorityClient(on: loop, trust: nil, threads: threads, clock: clock)
    } catch {
      event(.noted, "local authority", "it cannot look at names: \(error)")
      return nil
    }
  }

  /// Revokes a certificate that the authority of this machine has given.
  ///
  /// - Parameters:
  ///   - pem: The certificate; nil: it is known by its number alone.
  ///   - number: That in hexadecimal digits, where there is no certificate.
  ///   - reason: Why, as RFC 5280 numbers the reasons.
  /// - Returns: What was revoked.
  /// - Throws: ``CertificateFault``: it is not from this authority, was revoked before, or cannot be.
  public func revoke(
    _ pem: [UInt8]?,
    number: String,
    reason: Int
  ) async throws(CertificateFault) -> String {
    guard let serving, let authority else {
      throw CertificateFault("no route says `acme`, so nobody would learn of it")
    }
    guard ACMERevocation.reasons.contains(reason) else {
      throw CertificateFault("there is no such reason")
    }
    var names: [String] = []
    var until = clock() + LocalAuthority.leafSeconds
    var serial = RevocationList.bytes(number)
    if let pem {
      do throws(TLSError) {
        let own = try TLSCertificates(pem: pem)
        guard own.isSigned(by: authority.certificates) else {
          throw TLSError("it is not from the authority of this machine")
        }
        (names, until, serial) = (own.names, own.validity.upperBound, own.serialNumber)
      } catch {
        throw CertificateFault("\(error)")
      }
    }
    guard let serial else { throw CertificateFault("`\(number)` is no number of a certificate") }
    let entry = RevocationList.Entry(serial: serial, time: clock(), reason: reason, until: until)
    do throws(ACMEProblem) {
      try await serving.service.revoke(entry, of: names, on: loop)
    } catch {
      throw CertificateFault(error.detail)
    }
    return entry.number
  }
}
