import JSON

/// The way from a certificate of an authority to its revocation, by the account that it was given to.
///
/// ```
///   directory ─► nonce ─► account ─► revocation ─► done
///                  ▲    (unless known)
///                  └─ a nonce was refused: the same step again
/// ```
///
/// - Source: RFC 8555, section 7.6.
public struct ACMERevokingConversation: Sendable {
  /// What is to be done next.
  public enum Step: Hashable, Sendable {
    /// Ask the authority and hand its answer to ``ACMERevokingConversation/receive(_:)``.
    case send(ACMERequest)
    /// The certificate is revoked.
    case done
    /// It is not.
    case failed(ACMEFailure)
  }

  private enum Phase: Hashable, Sendable {
    case directory
    case nonce
    case account
    case revocation
    case done
    case failed(ACMEFailure)
  }

  private let directory: String
  private let certificate: [UInt8]
  private let reason: Int
  private let key: ACMEKey
  private var account: String?
  private var offer: ACMEDirectory?
  private var nonce: String?
  private var phase = Phase.directory
  private var refusedNonces = 0

  /// Creates a conversation that has not begun.
  ///
  /// - Parameters:
  ///   - certificate: The certificate in DER form.
  ///   - reason: Why, as RFC 5280 numbers the reasons; 0: nobody says.
  ///   - directory: Where its authority tells what it offers.
  ///   - key: The key of our account.
  ///   - account: What the authority calls the account; nil: it is asked.
  public init(
    _ certificate: [UInt8],
    reason: Int,
    directory: String,
    key: ACMEKey,
    account: String?
  ) {
    self.certificate = certificate
    self.reason = reason
    self.directory = directory
    self.key = key
    self.account = account
  }

  /// What is to be done next; the same until it is told what came of it.
  public var step: Step {
    switch phase {
    case .done: return .done
    case .failed(let failure): return .failed(failure)
    case .directory: return .send(ACMERequest(.get, directory))
    case .nonce, .account, .revocation: break
    }
    guard let offer else { return .failed(ACMEFailure(.local, "there is no directory")) }
    guard phase != .nonce, let nonce else { return .send(ACMERequest(.head, offer.newNonce)) }
    let isAccount = phase == .account
    let url = isAccount ? offer.newAccount : offer.revokeCertificate ?? ""
    let payload: JSONValue =
      // RFC 8555, section 7.3.1: none is made where there is none.
      isAccount ? .object(["onlyReturnExisting": .flag(true)]) : revocation
    let sender: ACMESender = isAccount ? .key : account.map { .account($0) } ?? .key
    guard let body = key.signed(payload, to: url, by: sender, nonce: nonce) else {
      return .failed(ACMEFailure(.local, "a request could not be signed"))
    }
    return .send(ACMERequest(.post, url, body: body))
  }

  private var revocation: JSONValue {
    var members = [JSONValue.Member("certificate", .text(ACMEKey.text(certificate)))]
    if reason != 0 { members.append(JSONValue.Member("reason", .number(reason))) }
    return .object(members)
  }

  /// Takes the answer to the request of ``step``.
  public mutating func receive(_ answer: ACMEAnswer) {
    guard case .send(let request) = step else { return }
    nonce = answer.nonce.flatMap(ACMEConversation.checked(nonce:))
    let isGood = (200..<300).contains(answer.status)
    if request.method == .head {
      guard isGood, nonce != nil else {
        return end(ACMEFailure(.malformed, "the authority gives no nonce"))
      }
      if phase == .nonce { phase = account == nil ? .account : .revocation }
      return
    }
    guard isGood else { return receiveProblem(answer) }
    switch phase {
    case .directory: receiveDirectory(answer)
    case .account:
      guard let name = answer.location.flatMap(ACMEDirectory.checked) else {
        return end(ACMEFailure(.malformed, "the authority does not name the account"))
      }
      account = name
      phase = .revocation
    case .revocation: phase = .done
    case .nonce, .done, .failed: break
    }
  }

  private mutating func receiveDirectory(_ answer: ACMEAnswer) {
    guard let offer = ACMEDirectory(answer.object) else {
      return end(ACMEFailure(.malformed, "\(directory) is no directory of an authority"))
    }
    guard offer.revokeCertificate != nil else {
      return end(ACMEFailure(.refused, "the authority takes nothing back"))
    }
    self.offer = offer
    phase = .nonce
  }

  private mutating func receiveProblem(_ answer: ACMEAnswer) {
    if ACMEFailure.kind(of: answer.object) == "badNonce",
      refusedNonces < ACMELimits.nonceRefusals
    {
      // RFC 8555, section 6.5: the same again, with the nonce of this answer.
      refusedNonces += 1
      return
    }
    end(ACMEFailure(answer))
  }

  /// Says that the authority could not be reached, or something else stands in the way.
  public mutating func end(_ failure: ACMEFailure) {
    if phase != .done { phase = .failed(failure) }
  }
}
