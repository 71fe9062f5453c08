import ACME
import Edge
import MartletLoop
import Synchronization
import TLS

/// What is known of certificates, and what was answered to those who have asked.
struct KnownStatuses: Sendable {
  /// What was revoked, by its number.
  var revoked: [[UInt8]: RevocationList.Entry] = [:]
  /// What that was made of.
  var source: [UInt8] = []
  /// When somebody has looked last; 0: nobody, or it is to be looked at.
  var lookedAt: Int64 = 0
  /// Who answers, and until when.
  var signer: (responder: TLSResponder, until: Int64)?
  /// Answers by their questions, so far as they are for anybody, and when they were made.
  var answers: [[UInt8]: (bytes: [UInt8], madeAt: Int64)] = [:]

  /// How many answers are kept, and how long a question may be that is.
  static let answerCount = 1024
  static let questionBytes = 256
}

// What became of certificates, for those who ask about one.
extension AuthorityService {
  /// How long an answer counts, and how long at most the same is given.
  private static let answerSeconds: Int64 = 86_400
  private static let sameSeconds: Int64 = 3600
  /// How old what is known may be when it cannot be read anew: as old as the list that is told.
  private static let oldestSeconds: Int64 = 86_400

  /// Answers who asks what became of certificates.
  ///
  /// - Source: RFC 6960; appendix A for HTTP.
  func statusReply(_ call: ACMECall, on loop: EventLoop) async -> ACMEReply {
    do {
      let question = try call.statusQuestion()
      await refreshStatuses(on: loop)
      let answer = try answer(to: question)
      var reply = ACMEReply(document: answer.bytes, contentType: ACMECall.statusAnswerType)
      // RFC 9111: a POST is not kept by anybody, and what is for one question is of use to nobody else.
      if call.method != "POST" {
        let isForAll = answer.isAnswered && !answer.isSingular
        reply.fields["Cache-Control"] = isForAll ? "max-age=\(Self.restSeconds)" : "no-store"
      }
      return reply
    } catch let problem as ACMEProblem {
      counts.count(.malformed)
      return ACMEReply(problem)
    } catch {
      note("a question about a certificate cannot be answered: \(error)")
      return ACMEReply(ACMEProblem(500, "serverInternal", "there is no answer"))
    }
  }

  /// Reads what was revoked, where that was not done for a minute; what cannot be read is noted.
  private func refreshStatuses(on loop: EventLoop) async {
    let now = clock()
    guard statuses.withLock({ $0.lookedAt + Self.restSeconds <= now }) else { return }
    let storage = storage
    let outcome: Result<[UInt8], CertificateFault>
    do throws(BlockingPool.Refusal) {
      outcome = try await threads.run(on: loop) {
        Result { () throws(CertificateFault) in try storage.revoked() }
      }
    } catch {
      outcome = .failure(CertificateFault("no thread is free: \(error)"))
    }
    switch outcome {
    case .success(let source): take(source, at: now)
    case .failure(let fault): note("what was revoked cannot be read: \(fault)")
    }
  }

  private func take(_ source: [UInt8], at now: Int64) {
    let known = statuses.withLock { known in
      guard known.source == source, known.lookedAt > 0 || source.isEmpty else { return false }
      known.lookedAt = now
      return true
    }
    if known { return }
    guard let list = RevocationList(source) else {
      return note("what was revoked cannot be read: \(storage.unreadable)")
    }
    let revoked = Dictionary(list.entries.map { ($0.serial, $0) }, uniquingKeysWith: { $1 })
    statuses.withLock { known in
      known.revoked = revoked
      known.source = source
      known.lookedAt = now
      known.answers = [:]
    }
  }

  /// The answer to a question, from what was read last.
  private func answer(to question: [UInt8]) throws(TLSError) -> TLSResponder.Answer {
    let now = clock()
    let known = statuses.withLock(\.self)
    guard known.lookedAt + Self.oldestSeconds > now else {
      counts.count(.malformed)
      return try TLSResponder.refusal(isForNow: true)
    }
    if let kept = known.answers[question], kept.madeAt + Self.sameSeconds > now {
      counts.count(.kept)
      return TLSResponder.Answer(bytes: kept.bytes, isSingular: false, isAnswered: true)
    }
    let signer = try signer(known, at: now)
    let (authority, counts) = (authority, counts)
    let answer = try signer.answer(
      question,
      validity: known.lookedAt - LocalAuthority.earlySeconds...now + Self.answerSeconds
    ) { serial in
      let standing = Self.standing(of: serial, known, authority)
      counts.count(standing)
      return standing
    }
    if !answer.isAnswered { counts.count(.malformed) }
    if answer.isAnswered, !answer.isSingular, question.count <= KnownStatuses.questionBytes {
      statuses.withLock { latest in
        // What was revoked meanwhile is not said here.
        guard latest.source == known.source else { return }
        if latest.answers.count >= KnownStatuses.answerCount { latest.answers = [:] }
        latest.answers[question] = (answer.bytes, now)
      }
    }
    return answer
  }

  private func signer(_ known: KnownStatuses, at now: Int64) throws(TLSError) -> TLSResponder {
    if let signer = known.signer, signer.until > now { return signer.responder }
    let made = try authority.signer(now: now)
    // It is good for longer than any answer that it has signed.
    let until = now + LocalAuthority.signerSeconds / 2
    statuses.withLock { $0.signer = (made, until) }
    return made
  }

  private static func standing(
    of serial: [UInt8],
    _ known: KnownStatuses,
    _ authority: LocalAuthority
  ) -> TLSResponder.Standing {
    if let entry = known.revoked[serial] {
      return .revoked(at: entry.time, reason: entry.reason)
    }
    do throws(TLSError) {
      return try authority.hasGiven(serial) ? .good : .unknown
    } catch {
      return .unknown
    }
  }
}

extension AuthorityCounts {
  fileprivate func count(_ standing: TLSResponder.Standing) {
    switch standing {
    case .good: count(Deed.good)
    case .revoked: count(Deed.isRevoked)
    case .unknown: count(Deed.unknown)
    }
  }
}
