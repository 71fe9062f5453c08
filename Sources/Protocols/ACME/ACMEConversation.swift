import JSON

/// What somebody wants from an authority.
public struct ACMEDemand: Hashable, Sendable {
  /// Where the authority tells what it offers.
  public var directory: String
  /// The hosts and addresses; one with `*.` in front stands for all labels there.
  public var names: [String]
  /// Which of them are addresses.
  public var addresses: Set<String>
  /// The request for the certificate in DER form.
  public var request: [UInt8]
  /// How names can be proven, the best way first.
  public var proofs: [ACMEProofKind]
  /// Whom the authority may write to: addresses of mail.
  public var contacts: [String]
  /// An account that was made by other means.
  public var externalAccount: ACMEExternalAccount?
  /// What the authority calls the certificate that is renewed.
  public var replaces: String?
  /// Whether it is enough that the names are believed to be ours: no certificate is made.
  public var provesOnly = false

  /// Creates a demand.
  public init(
    directory: String,
    names: [String],
    addresses: Set<String> = [],
    request: [UInt8],
    proofs: [ACMEProofKind],
    contacts: [String] = [],
    externalAccount: ACMEExternalAccount? = nil,
    replaces: String? = nil
  ) {
    self.directory = directory
    self.names = names
    self.addresses = addresses
    self.request = request
    self.proofs = proofs
    self.contacts = contacts
    self.externalAccount = externalAccount
    self.replaces = replaces
  }
}

/// The whole way from a demand to a certificate, one step after the other.
///
/// ```
///   directory ─► nonce ─► account ─► order ─► authorizations ─► prove ─► answers ─► polls ─┐
///                  ▲         (unless known)                                                │
///                  └─ a nonce was refused: the same step again            download ◄─ poll ◄─ finalize
/// ```
///
/// - Source: RFC 8555, section 7.
public struct ACMEConversation: Sendable {
  /// What is to be done next.
  public enum Step: Hashable, Sendable {
    /// Ask the authority and hand its answer to ``ACMEConversation/receive(_:)``.
    case send(ACMERequest)
    /// See to it that these are shown, and say so with ``ACMEConversation/proofsStand()``.
    case prove([ACMEProof])
    /// Wait so many seconds, and say so with ``ACMEConversation/hasWaited()``.
    case wait(seconds: Int)
    /// This is the certificate with those that vouch for it, in PEM form.
    case done(chain: [UInt8])
    /// There is none.
    case failed(ACMEFailure)
  }

  private enum Phase: Hashable, Sendable {
    case directory
    case nonce
    case account
    case order
    case authorization(Int)
    case proofs
    case answer(Int)
    case poll(Int)
    case finalize
    case orderPoll
    case download(String)
    case done([UInt8])
    case failed(ACMEFailure)
  }

  private struct Authorization: Hashable, Sendable {
    var url: String
    var challenge: String?
    var proof: ACMEProof?
  }

  /// What is wanted.
  public let demand: ACMEDemand
  /// What the authority calls the account; worth keeping for the next conversation.
  public private(set) var account: String?
  /// What the authority offers, once it has said so.
  public private(set) var offer: ACMEDirectory?

  private let key: ACMEKey
  private var phase = Phase.directory
  private var nonce: String?
  private var wait: Int?
  private var orderURL = ""
  private var finalizeURL = ""
  private var authorizations: [Authorization] = []
  private var requestCount = 0
  private var waitedSeconds = 0
  private var refusedNonces = 0
  private var hasForgottenAccount = false

  /// Creates a conversation that has not begun.
  ///
  /// - Parameters:
  ///   - demand: What is wanted.
  ///   - key: The key of the account.
  ///   - account: What the authority has called the account before; nil: it has none, or nobody knows.
  public init(_ demand: ACMEDemand, key: ACMEKey, account: String? = nil) {
    self.demand = demand
    self.key = key
    self.account = account
    if demand.names.isEmpty || demand.names.count > ACMELimits.nameCount {
      phase = .failed(ACMEFailure(.local, "a certificate has 1 to \(ACMELimits.nameCount) names"))
    }
  }

  // MARK: What is next

  /// What is to be done next; the same until it is told what came of it.
  public var step: Step {
    switch phase {
    case .failed(let failure): return .failed(failure)
    case .done(let chain): return .done(chain: chain)
    default: break
    }
    if let wait { return .wait(seconds: wait) }
    if case .proofs = phase { return .prove(authorizations.compactMap(\.proof)) }
    guard let request else {
      return .failed(ACMEFailure(.local, "a request could not be signed"))
    }
    return .send(request)
  }

  private var request: ACMERequest? {
    switch phase {
    case .directory: return ACMERequest(.get, demand.directory)
    case .nonce: return offer.map { ACMERequest(.head, $0.newNonce) }
    default: break
    }
    // RFC 8555, section 7.2: the first signed request needs a nonce that was asked for.
    guard let nonce else { return offer.map { ACMERequest(.head, $0.newNonce) } }
    let (url, payload) = signedPart
    let sender: ACMESender =
      if case .account = phase { .key } else { account.map { .account($0) } ?? .key }
    return key.signed(payload, to: url, by: sender, nonce: nonce).map {
      ACMERequest(.post, url, body: $0)
    }
  }

  private var signedPart: (url: String, payload: JSONValue?) {
    switch phase {
    case .account: (offer?.newAccount ?? "", accountPayload)
    case .order: (offer?.newOrder ?? "", orderPayload)
    case .authorization(let index), .poll(let index): (authorizations[index].url, nil)
    // RFC 8555, section 7.5.1: an empty object says that it can be looked at.
    case .answer(let index): (authorizations[index].challenge ?? "", .object([:]))
    case .finalize: (finalizeURL, .object(["csr": .text(ACMEKey.text(demand.request))]))
    case .orderPoll: (orderURL, nil)
    case .download(let url): (url, nil)
    case .directory, .nonce, .proofs, .done, .failed: ("", nil)
    }
  }

  private var accountPayload: JSONValue {
    var members = [JSONValue.Member("termsOfServiceAgreed", .flag(true))]
    if !demand.contacts.isEmpty {
      members.append(
        JSONValue.Member("contact", .list(demand.contacts.map { .text("mailto:\($0)") }))
      )
    }
    if let account = demand.externalAccount, let url = offer?.newAccount,
      let binding = key.binding(account, to: url)
    {
      members.append(JSONValue.Member("externalAccountBinding", binding))
    }
    return .object(members)
  }

  private var orderPayload: JSONValue {
    let identifiers = demand.names.map { name in
      JSONValue.object([
        "type": .text(demand.addresses.contains(name) ? "ip" : "dns"), "value": .text(name),
      ])
    }
    var members = [JSONValue.Member("identifiers", .list(identifiers))]
    if let replaces = demand.replaces, offer?.renewalInfo != nil {
      members.append(JSONValue.Member("replaces", .text(replaces)))
    }
    return .object(members)
  }

  // MARK: What came of it

  /// Takes the answer to the request of ``step``.
  public mutating func receive(_ answer: ACMEAnswer) {
    guard case .send(let request) = step else { return }
    requestCount += 1
    guard requestCount <= ACMELimits.requestCount else {
      return fail(.slow, "the authority has no end of questions")
    }
    // Each nonce is good for one request.
    nonce = answer.nonce.flatMap(Self.checked(nonce:))
    if request.method == .head { return receiveNonce(answer) }
    guard (200..<300).contains(answer.status) else { return receiveProblem(answer) }
    refusedNonces = 0
    switch phase {
    case .directory: receiveDirectory(answer)
    case .account: receiveAccount(answer)
    case .order: receiveOrder(answer)
    case .authorization(let index): receiveAuthorization(answer, index)
    case .answer(let index): phase = next(after: index) { .answer($0) } ?? firstPoll
    case .poll(let index): receivePoll(answer, index)
    case .finalize, .orderPoll: receiveProgress(answer)
    case .download: receiveChain(answer)
    case .nonce, .proofs, .done, .failed: break
    }
    if demand.provesOnly, phase == .finalize { phase = .done([]) }
  }

  /// Says that what ``Step/prove(_:)`` asks for is in place.
  public mutating func proofsStand() {
    guard case .proofs = phase else { return }
    phase = next(after: -1) { .answer($0) } ?? .finalize
  }

  /// Says that the time of ``Step/wait(seconds:)`` has passed.
  public mutating func hasWaited() { wait = nil }

  /// Says that the authority could not be reached, or something else stands in the way.
  public mutating func end(_ failure: ACMEFailure) {
    if case .done = phase { return }
    phase = .failed(failure)
  }

  private mutating func fail(_ cause: ACMEFailure.Cause, _ text: String) {
    phase = .failed(ACMEFailure(cause, text))
  }

  static func checked(nonce: String) -> String? {
    let isPlain = nonce.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    return isPlain && (1...ACMELimits.nonceBytes).contains(nonce.utf8.count) ? nonce : nil
  }

  private mutating func receiveNonce(_ answer: ACMEAnswer) {
    guard (200..<300).contains(answer.status), nonce != nil else {
      return fail(.malformed, "the authority gives no nonce")
    }
    if case .nonce = phase { phase = account == nil ? .account : .order }
  }

  private mutating func receiveProblem(_ answer: ACMEAnswer) {
    let problem = answer.object
    if ACMEFailure.kind(of: problem) == "badNonce", refusedNonces < ACMELimits.nonceRefusals {
      // RFC 8555, section 6.5: the same again, with the nonce of this answer.
      refusedNonces += 1
      return
    }
    // The authority has not yet noticed that all is proven.
    if phase == .finalize, ACMEFailure.kind(of: problem) == "orderNotReady" {
      return beginWait(answer)
    }
    let failure = ACMEFailure(answer)
    if failure.isAboutAccount, account != nil, !hasForgottenAccount {
      hasForgottenAccount = true
      account = nil
      phase = .account
      return
    }
    phase = .failed(failure)
  }

  private mutating func receiveDirectory(_ answer: ACMEAnswer) {
    guard let offer = ACMEDirectory(answer.object) else {
      return fail(.malformed, "\(demand.directory) is no directory of an authority")
    }
    if offer.needsExternalAccount, demand.externalAccount == nil, account == nil {
      return fail(.refused, "the authority asks for an account that was made with it before")
    }
    self.offer = offer
    phase = .nonce
  }

  private mutating func receiveAccount(_ answer: ACMEAnswer) {
    guard let name = answer.location.flatMap(ACMEDirectory.checked) else {
      return fail(.malformed, "the authority does not name the account")
    }
    account = name
    phase = .order
  }

  private mutating func receiveOrder(_ answer: ACMEAnswer) {
    let order = answer.object
    let urls = (order?["authorizations"]?.list ?? []).compactMap { ACMEDirectory.url($0) }
    guard let url = answer.location.flatMap(ACMEDirectory.checked),
      let finalize = ACMEDirectory.url(order?["finalize"]),
      (1...ACMELimits.nameCount).contains(urls.count),
      urls.count == order?["authorizations"]?.list?.count
    else { return fail(.malformed, "the authority's order is not in form") }
    orderURL = url
    finalizeURL = finalize
    authorizations = urls.map { Authorization(url: $0) }
    phase = .authorization(0)
  }

  private mutating func receiveAuthorization(_ answer: ACMEAnswer, _ index: Int) {
    let object = answer.object
    switch object?["status"]?.text {
    case "valid": break
    case "pending":
      guard let name = object?["identifier"]?["value"]?.text?.lowercased(),
        demand.names.contains(where: { $0 == name || $0 == "*.\(name)" })
      else { return fail(.malformed, "the authority asks about a name that nobody has ordered") }
      guard let (challenge, proof) = proof(of: object?["challenges"]?.list ?? [], name) else {
        let ways = demand.proofs.map(\.rawValue).joined(separator: ", ")
        return fail(.unproven, "\(name): the authority offers none of \(ways)")
      }
      authorizations[index].challenge = challenge
      authorizations[index].proof = proof
    default: return fail(.refused, "an authorization is \(object?["status"]?.text ?? "not there")")
    }
    if index + 1 < authorizations.count {
      phase = .authorization(index + 1)
    } else {
      phase = authorizations.contains { $0.proof != nil } ? .proofs : .finalize
    }
  }

  private func proof(of challenges: [JSONValue], _ name: String) -> (String, ACMEProof)? {
    for kind in demand.proofs {
      for challenge in challenges where challenge["type"]?.text == kind.rawValue {
        guard let url = ACMEDirectory.url(challenge["url"]), let token = challenge["token"]?.text,
          ACMEProof.isToken(token), let text = key.authorization(of: token),
          let digest = key.digest(Array(text.utf8))
        else { continue }
        let proof = ACMEProof(
          kind: kind,
          name: name,
          token: token,
          authorization: text,
          digest: digest
        )
        return (url, proof)
      }
    }
    return nil
  }

  /// The next authorization behind `index` that needs a proof.
  private func next(after index: Int, _ phase: (Int) -> Phase) -> Phase? {
    authorizations.indices.first { $0 > index && authorizations[$0].proof != nil }.map(phase)
  }

  private var firstPoll: Phase { next(after: -1) { .poll($0) } ?? .finalize }

  private mutating func receivePoll(_ answer: ACMEAnswer, _ index: Int) {
    let object = answer.object
    switch object?["status"]?.text {
    case "valid": phase = next(after: index) { .poll($0) } ?? .finalize
    case "pending", "processing": beginWait(answer)
    default:
      let problem = (object?["challenges"]?.list ?? []).lazy
        .compactMap { $0["error"] }.first
      let name = authorizations[index].proof?.name ?? ""
      var failure = ACMEFailure(problem: problem, status: nil, cause: .unproven)
      failure = ACMEFailure(.unproven, "\(name): \(failure.description)")
      phase = .failed(failure)
    }
  }

  private mutating func receiveProgress(_ answer: ACMEAnswer) {
    let order = answer.object
    switch order?["status"]?.text {
    case "valid":
      guard let url = ACMEDirectory.url(order?["certificate"]) else {
        return fail(.malformed, "the authority does not say where the certificate is")
      }
      phase = .download(url)
    case "processing", "ready", "pending":
      phase = .orderPoll
      beginWait(answer)
    default:
      phase = .failed(ACMEFailure(problem: order?["error"], status: answer.status))
    }
  }

  private mutating func receiveChain(_ answer: ACMEAnswer) {
    guard !answer.body.isEmpty else { return fail(.malformed, "the certificate is empty") }
    phase = .done(answer.body)
  }

  private mutating func beginWait(_ answer: ACMEAnswer) {
    let asked = ACMELimits.waitSeconds.clamp(answer.retryAfter ?? min(1 + waitedSeconds / 4, 10))
    waitedSeconds += asked
    guard waitedSeconds <= ACMELimits.patienceSeconds else {
      return fail(.slow, "the authority has not decided within \(ACMELimits.patienceSeconds) s")
    }
    wait = asked
  }
}
