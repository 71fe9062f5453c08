import ACME
import Edge
import MartletLoop
import MartletSystem
import Synchronization
import TLS

/// The list of what was revoked, as clients get it.
struct ToldList: Sendable {
  /// The list in DER form.
  var bytes: [UInt8]
  /// What it was made of.
  var source: [UInt8]
  /// When it was made, and when somebody has looked last whether it is to be made anew.
  var madeAt: Int64
  var lookedAt: Int64
}

// What is taken back, and how clients learn of it.
extension AuthorityService {
  /// Where the list is, behind the path of the route.
  static let listPath = "/crl"
  /// How long a list is told without a look at what other instances have revoked, and how long at all.
  static let restSeconds: Int64 = 60
  private static let lifeSeconds: Int64 = 86_400

  /// What a client is answered, on the loop that serves it.
  func answer(_ call: ACMECall, on loop: EventLoop) async -> ACMEReply {
    if call.path == Self.listPath, call.method == "GET" || call.method == "HEAD" {
      return await listReply(on: loop)
    }
    if call.asksStatus { return await statusReply(call, on: loop) }
    var reply = state.withLock { $0.answer(call, at: clock()) }
    guard let revocation = reply.revocation else { return reply }
    do throws(ACMEProblem) {
      try await revoke(revocation, on: loop)
      reply.revocation = nil
    } catch {
      reply.refuse(error)
    }
    return reply
  }

  /// Revokes a certificate for a client that has signed with its key, or as the account that it was given to, or as
  /// one that has shown within an hour that all its names are its own.
  ///
  /// - Source: RFC 8555, section 7.6.
  private func revoke(
    _ revocation: ACMERevocation,
    on loop: EventLoop
  ) async throws(ACMEProblem) {
    let own: TLSCertificates
    do throws(TLSError) { own = try TLSCertificates(der: revocation.certificate) } catch {
      throw ACMEProblem(400, "malformed", "\(error)")
    }
    guard let serial = own.serialNumber, own.isSigned(by: authority.certificates) else {
      throw ACMEProblem(404, "malformed", "the certificate is not from this authority")
    }
    guard isAllowed(revocation, own, serial) else {
      throw ACMEProblem(
        403,
        "unauthorized",
        "neither the key of the certificate has signed, nor an account that it was given to"
      )
    }
    let entry = RevocationList.Entry(
      serial: serial,
      time: clock(),
      reason: revocation.reason,
      until: own.validity.upperBound
    )
    try await revoke(entry, of: own.names, on: loop)
  }

  private func isAllowed(
    _ revocation: ACMERevocation,
    _ own: TLSCertificates,
    _ serial: [UInt8]
  ) -> Bool {
    guard revocation.isByAccount else {
      return switch revocation.key {
      case .point(let x, let y): own.hasKey(x: x, y: y)
      case .modulus(let n, let e): own.hasKey(modulus: n, exponent: e)
      }
    }
    if !own.names.isEmpty, Set(own.names).isSubset(of: revocation.provenNames) { return true }
    do throws(TLSError) {
      return try authority.wasGiven(serial, to: revocation.key.name)
    } catch {
      return false
    }
  }

  /// Revokes a certificate; it is written down when this returns.
  func revoke(
    _ entry: RevocationList.Entry,
    of names: [String],
    on loop: EventLoop
  ) async throws(ACMEProblem) {
    let (storage, now) = (storage, clock())
    let outcome: Result<RevocationList.Addition, CertificateFault>
    do throws(BlockingPool.Refusal) {
      outcome = try await threads.run(on: loop) {
        Result { () throws(CertificateFault) in try storage.revoke(entry, at: now) }
      }
    } catch {
      throw ACMEProblem(503, "serverInternal", "too much is going on")
    }
    switch outcome {
    case .success(.added): break
    case .success(.known):
      throw ACMEProblem(400, "alreadyRevoked", "the certificate was revoked before")
    case .success(.full):
      throw ACMEProblem(503, "serverInternal", "the list of revoked certificates is full")
    case .failure(let fault):
      note("a certificate cannot be revoked: \(fault)")
      throw ACMEProblem(500, "serverInternal", "it cannot be written down")
    }
    list.withLock { $0?.lookedAt = 0 }
    statuses.withLock { $0.lookedAt = min($0.lookedAt, now - Self.restSeconds) }
    counts.count(.revoked)
    let whose = names.isEmpty ? "" : " for \(names.joined(separator: ", "))"
    note("the certificate\(whose) with the number \(entry.number) was revoked")
  }

  /// The list, made anew once a day, and when something was revoked here or by another instance.
  private func listReply(on loop: EventLoop) async -> ACMEReply {
    let now = clock()
    let known = list.withLock(\.self)
    if let known, known.lookedAt + Self.restSeconds > now { return Self.reply(known) }
    let (storage, authority) = (storage, authority)
    let outcome: Result<ToldList, CertificateFault>
    do throws(BlockingPool.Refusal) {
      outcome = try await threads.run(on: loop) {
        Result { () throws(CertificateFault) in
          try Self.made(storage, authority, known, at: now)
        }
      }
    } catch {
      outcome = .failure(CertificateFault("no thread is free: \(error)"))
    }
    switch outcome {
    case .success(let made):
      list.withLock { $0 = made }
      return Self.reply(made)
    case .failure(let fault):
      note("the list of revoked certificates cannot be made: \(fault)")
      // The last one is good for a week.
      if let known, known.madeAt + Self.lifeSeconds > now { return Self.reply(known) }
      return ACMEReply(ACMEProblem(503, "serverInternal", "there is no list"))
    }
  }

  private static func made(
    _ storage: CertificateStorage,
    _ authority: LocalAuthority,
    _ known: ToldList?,
    at now: Int64
  ) throws(CertificateFault) -> ToldList {
    let source = try storage.revoked()
    if var known, known.source == source, known.madeAt + lifeSeconds > now {
      known.lookedAt = now
      return known
    }
    guard let list = RevocationList(source) else { throw storage.unreadable }
    do throws(TLSError) {
      // All instances that share the storage have one clock, more or less.
      let number = UInt64(max(1, SystemClock.wallMicroseconds()))
      let bytes = try authority.list(list.told, now: now, number: number)
      return ToldList(bytes: bytes, source: source, madeAt: now, lookedAt: now)
    } catch {
      throw CertificateFault("\(error)")
    }
  }

  /// - Source: RFC 5280, section 4.2.1.13; RFC 2585, section 4.2.
  private static func reply(_ list: ToldList) -> ACMEReply {
    ACMEReply(
      document: list.bytes,
      contentType: "application/pkix-crl",
      fields: ["Cache-Control": "max-age=\(restSeconds)"]
    )
  }
}
