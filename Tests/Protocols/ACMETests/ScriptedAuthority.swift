import ACME
import JSON
import MartletBytes

/// An authority in memory, strict where the standard is, with faults that a test asks for.
struct ScriptedAuthority {
  /// What goes otherwise than well.
  struct Faults {
    /// How often a nonce is refused, whatever it is.
    var refusedNonces = 0
    /// How often an authorization is still pending when it is asked for.
    var pendingPolls = 0
    /// How often the order is still in work.
    var processingPolls = 0
    /// Whether the names are not believed.
    var disbelieves = false
    /// Whether it has forgotten all accounts.
    var forgetsAccounts = false
    /// Which proofs it offers.
    var offers = ["http-01", "tls-alpn-01", "dns-01"]
    /// Whether it asks for an account that was made by other means.
    var wantsExternalAccount = false
    /// How long it says to wait.
    var retryAfter: Int?
    /// A problem that an order is answered with.
    var orderProblem: (status: Int, type: String)?
    /// Whether the names are known to be ours already.
    var isProvenAlready = false
  }

  private(set) var requests: [ACMERequest] = []
  /// The payloads of signed requests, as text.
  private(set) var payloads: [String] = []
  var faults = Faults()
  private var nonces: Set<String> = []
  private var nonceCount = 0
  private var accounts: Set<String> = []
  private var names: [String] = []
  private var isAnswered: Set<Int> = []

  static let base = "https://authority.test"

  init(_ faults: Faults = Faults()) { self.faults = faults }

  mutating func answer(_ request: ACMERequest) -> ACMEAnswer {
    requests.append(request)
    var answer = respond(request)
    nonceCount += 1
    let nonce = "nonce\(nonceCount)"
    nonces.insert(nonce)
    answer.nonce = nonce
    return answer
  }

  private mutating func respond(_ request: ACMERequest) -> ACMEAnswer {
    let path = String(request.url.dropFirst(Self.base.count))
    switch (request.method, path) {
    case (.get, "/dir"): return directory
    case (.head, "/nonce"): return ACMEAnswer(status: 200)
    case (.post, _): break
    default: return problem(404, "malformed")
    }
    guard let body = ACMEAnswer(status: 0, body: request.body).object,
      let head = Self.decoded(body["protected"]), let payloadText = body["payload"]?.text,
      let nonce = head["nonce"]?.text, head["url"]?.text == request.url,
      head["alg"]?.text == "ES256", body["signature"]?.text?.isEmpty == false
    else { return problem(400, "malformed") }
    guard nonces.remove(nonce) != nil else { return problem(400, "badNonce") }
    if faults.refusedNonces > 0 {
      faults.refusedNonces -= 1
      return problem(400, "badNonce")
    }
    let bytes = Base64URL.decoded(Array(payloadText.utf8).span) ?? []
    payloads.append(String(decoding: bytes, as: UTF8.self))
    let payload = ACMEAnswer(status: 0, body: bytes).object
    if path == "/account" { return account(head, payload) }
    guard let name = head["kid"]?.text, head["jwk"] == nil else {
      return problem(400, "malformed")
    }
    if faults.forgetsAccounts || !accounts.contains(name) {
      faults.forgetsAccounts = false
      return problem(400, "accountDoesNotExist")
    }
    return perform(path, payload)
  }

  private mutating func account(_ head: JSONValue, _ payload: JSONValue?) -> ACMEAnswer {
    guard head["jwk"] != nil, head["kid"] == nil, payload?["termsOfServiceAgreed"]?.flag == true
    else { return problem(400, "malformed") }
    if faults.wantsExternalAccount, payload?["externalAccountBinding"] == nil {
      return problem(403, "externalAccountRequired")
    }
    let name = "\(Self.base)/accounts/\(accounts.count + 1)"
    accounts.insert(name)
    return ACMEAnswer(status: 201, location: name, body: Array("{\"status\":\"valid\"}".utf8))
  }

  /// Lets an account be known.
  mutating func know(_ account: String) { accounts.insert(account) }

  private mutating func perform(_ path: String, _ payload: JSONValue?) -> ACMEAnswer {
    let parts = path.split(separator: "/").map(String.init)
    let index = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
    switch parts.first {
    case "order" where parts.count == 1:
      if let (status, type) = faults.orderProblem {
        return problem(status, type, retryAfter: faults.retryAfter)
      }
      names = (payload?["identifiers"]?.list ?? []).compactMap { $0["value"]?.text }
      isAnswered = faults.isProvenAlready ? Set(names.indices) : []
      return order(status: "pending", location: true)
    case "authorization":
      guard names.indices.contains(index) else { return problem(404, "malformed") }
      return authorization(index)
    case "challenge":
      isAnswered.insert(index)
      return ACMEAnswer(status: 200, body: Array("{\"status\":\"pending\"}".utf8))
    case "finalize":
      guard isAnswered.count == names.count, payload?["csr"]?.text?.isEmpty == false else {
        return problem(403, "orderNotReady")
      }
      return progress
    case "order": return progress
    case "certificate": return ACMEAnswer(status: 200, body: Array("the chain".utf8))
    default: return problem(404, "malformed")
    }
  }

  private var progressBody: JSONValue {
    .object([
      "status": .text("valid"), "certificate": .text("\(Self.base)/certificate/1"),
    ])
  }

  private var progress: ACMEAnswer {
    mutating get {
      if faults.processingPolls > 0 {
        faults.processingPolls -= 1
        return ACMEAnswer(
          status: 200,
          retryAfter: faults.retryAfter,
          body: Array("{\"status\":\"processing\"}".utf8)
        )
      }
      return ACMEAnswer(status: 200, body: Array(progressBody.compact.utf8))
    }
  }

  private func order(status: String, location: Bool) -> ACMEAnswer {
    let urls = names.indices.map { JSONValue.text("\(Self.base)/authorization/\($0)") }
    let body = JSONValue.object([
      "status": .text(status), "authorizations": .list(urls),
      "finalize": .text("\(Self.base)/finalize/1"),
    ])
    return ACMEAnswer(
      status: 201,
      location: location ? "\(Self.base)/order/1" : nil,
      body: Array(body.compact.utf8)
    )
  }

  private mutating func authorization(_ index: Int) -> ACMEAnswer {
    var status = "pending"
    if isAnswered.contains(index) {
      if faults.pendingPolls > 0 {
        faults.pendingPolls -= 1
      } else {
        status = faults.disbelieves ? "invalid" : "valid"
      }
    }
    let problem = JSONValue.object([
      "type": .text("urn:ietf:params:acme:error:unauthorized"), "detail": .text("not yours"),
    ])
    let challenges = faults.offers.map { kind in
      JSONValue.object([
        "type": .text(kind), "url": .text("\(Self.base)/challenge/\(index)"),
        "token": .text("token-\(index)"), "status": .text(status),
        "error": status == "invalid" ? problem : .null,
      ])
    }
    let name = names[index]
    let body = JSONValue.object([
      "status": .text(status),
      "identifier": .object([
        "type": .text("dns"),
        "value": .text(name.hasPrefix("*.") ? String(name.dropFirst(2)) : name),
      ]), "challenges": .list(challenges),
    ])
    return ACMEAnswer(
      status: 200,
      retryAfter: faults.retryAfter,
      body: Array(body.compact.utf8)
    )
  }

  private var directory: ACMEAnswer {
    let body = JSONValue.object([
      "newNonce": .text("\(Self.base)/nonce"), "newAccount": .text("\(Self.base)/account"),
      "newOrder": .text("\(Self.base)/order"), "renewalInfo": .text("\(Self.base)/renewal"),
      "meta": .object(["externalAccountRequired": .flag(faults.wantsExternalAccount)]),
    ])
    return ACMEAnswer(status: 200, body: Array(body.compact.utf8))
  }

  private func problem(_ status: Int, _ type: String, retryAfter: Int? = nil) -> ACMEAnswer {
    let body = JSONValue.object([
      "type": .text("urn:ietf:params:acme:error:\(type)"), "detail": .text("as the test wants it"),
    ])
    return ACMEAnswer(
      status: status,
      retryAfter: retryAfter,
      body: Array(body.compact.utf8)
    )
  }

  static func decoded(_ value: JSONValue?) -> JSONValue? {
    guard let text = value?.text, let bytes = Base64URL.decoded(Array(text.utf8).span) else {
      return nil
    }
    return ACMEAnswer(status: 0, body: bytes).object
  }
}

/// A key whose signatures nobody checks.
let testKey = ACMEKey(
  x: [UInt8](repeating: 1, count: 32),
  y: [UInt8](repeating: 2, count: 32),
  sign: { bytes in Array(bytes.prefix(1)) + [UInt8](repeating: 3, count: 63) },
  digest: { bytes in [UInt8](repeating: UInt8(truncatingIfNeeded: bytes.count), count: 32) },
  authenticate: { key, _ in key }
)

/// What a conversation comes to, with the waits on its way.
func talk(
  _ demand: ACMEDemand,
  with authority: inout ScriptedAuthority,
  account: String? = nil
) -> (result: Result<String, ACMEFailure>, waits: [Int], proofs: [ACMEProof], account: String?) {
  var conversation = ACMEConversation(demand, key: testKey, account: account)
  var waits: [Int] = []
  var proofs: [ACMEProof] = []
  for _ in 0..<2000 {
    switch conversation.step {
    case .send(let request): conversation.receive(authority.answer(request))
    case .prove(let asked):
      proofs = asked
      conversation.proofsStand()
    case .wait(let seconds):
      waits.append(seconds)
      conversation.hasWaited()
    case .done(let chain):
      return (
        .success(String(decoding: chain, as: UTF8.self)), waits, proofs, conversation.account
      )
    case .failed(let failure): return (.failure(failure), waits, proofs, conversation.account)
    }
  }
  return (.failure(ACMEFailure(.slow, "the conversation has no end")), waits, proofs, nil)
}

/// What is wanted in most tests.
func demand(
  _ names: [String] = ["shop.example"],
  proofs: [ACMEProofKind] = [.http]
) -> ACMEDemand {
  ACMEDemand(
    directory: "\(ScriptedAuthority.base)/dir",
    names: names,
    request: [1, 2, 3],
    proofs: proofs
  )
}
