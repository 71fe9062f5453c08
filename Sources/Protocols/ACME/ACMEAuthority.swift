import JSON

/// What an authority has to have done by others: signatures, chance, certificates.
public struct ACMEAuthorityTools: Sendable {
  /// Whether a key has signed bytes: the key, the bytes, the signature.
  public var verify: @Sendable (ACMEClientKey, [UInt8], [UInt8]) -> Bool
  /// SHA-256, or nil when that fails.
  public var digest: @Sendable ([UInt8]) -> [UInt8]?
  /// A code that nobody else can make of bytes, of at least 16 bytes; nil when that fails.
  public var authenticate: @Sendable ([UInt8]) -> [UInt8]?
  /// So many bytes that nobody can foresee.
  public var random: @Sendable (Int) -> [UInt8]
  /// Whether a certificate can be given for a name, which may begin with `*.`, or an address.
  public var isAllowed: @Sendable (String) -> Bool
  /// A certificate with those that vouch for it, in PEM form, for a request in DER form, which must be for
  /// these names and no others; the last is the key of the account that it is given to.
  public var issue: @Sendable ([UInt8], [String], ACMEClientKey) -> Result<[UInt8], ACMEProblem>

  /// Names the tools.
  public init(
    verify: @escaping @Sendable (ACMEClientKey, [UInt8], [UInt8]) -> Bool,
    digest: @escaping @Sendable ([UInt8]) -> [UInt8]?,
    authenticate: @escaping @Sendable ([UInt8]) -> [UInt8]?,
    random: @escaping @Sendable (Int) -> [UInt8],
    isAllowed: @escaping @Sendable (String) -> Bool,
    issue: @escaping @Sendable ([UInt8], [String], ACMEClientKey) -> Result<[UInt8], ACMEProblem>
  ) {
    self.verify = verify
    self.digest = digest
    self.authenticate = authenticate
    self.random = random
    self.isAllowed = isAllowed
    self.issue = issue
  }
}

/// That a name is a client's, which is to be seen by asking its server.
public struct ACMEValidation: Hashable, Sendable {
  /// What ``ACMEAuthority/noteValidated(_:_:at:)`` is told.
  public var id: String
  /// How it is asked: over HTTP, over TLS, or for a record.
  public var kind: ACMEProofKind
  /// The name, without `*.`, or the address.
  public var name: String
  /// What stands behind ``ACMEProof/path``.
  public var token: String
  /// What the answer has to be, or the digest in its certificate or its record be made of.
  public var authorization: String
}

/// An authority that gives certificates by ACME to who proves a name over HTTP, over TLS or by a record:
/// the side of the server.
///
/// Accounts are not kept: the name of one is its key. Orders are kept for an hour, a bounded number of them,
/// and with them what was proven and given.
///
/// - Source: RFC 8555, sections 6 and 7.
public struct ACMEAuthority: Sendable {
  /// How many orders there are at a time, and how many of one account.
  public static let orderCount = 512
  /// How many orders an account has at a time.
  public static let accountOrderCount = 64
  /// How many names an order has.
  public static let nameCount = 16
  static let life: Int64 = 3600

  struct Authorization: Sendable {
    var id: String
    /// Without `*.`.
    var name: String
    /// Whether it is for all names below.
    var isWildcard: Bool
    var token: String
    var state = "pending"
    var problem: ACMEProblem?
    /// How the client wants to show it; nil: it has not said yet.
    var chosen: ACMEProofKind?

    /// How it can be shown.
    var kinds: [ACMEProofKind] {
      if let chosen { return [chosen] }
      // RFC 8555, section 8.4: only who makes records of a name has all that is below it.
      if isWildcard { return [.dns] }
      // The name by which an address is asked for over TLS is not made of one of IPv6 here.
      if name.contains(":") { return [.http] }
      // A record of a name without a dot is the business of who has a domain of that name.
      return ACMEAuthority.isAddress(name) || !name.contains(".")
        ? [.http, .tls] : [.http, .tls, .dns]
    }
  }

  struct Order: Sendable {
    var owner: ACMEClientKey
    var names: [String]
    var authorizations: [Authorization]
    var expires: Int64
    var certificate: [UInt8]?
    var problem: ACMEProblem?

    var state: String {
      if problem != nil || authorizations.contains(where: { $0.state == "invalid" }) {
        return "invalid"
      }
      if certificate != nil { return "valid" }
      return authorizations.allSatisfy { $0.state == "valid" } ? "ready" : "pending"
    }
  }

  let tools: ACMEAuthorityTools
  private var nonces: ACMENonces
  private(set) var orders: [String: Order] = [:]
  private var waiting: [ACMEValidation] = []

  /// Creates an authority that has no orders.
  public init(_ tools: ACMEAuthorityTools) {
    self.tools = tools
    nonces = ACMENonces(authenticate: tools.authenticate, random: tools.random)
  }

  // MARK: Validations

  /// Takes the names that are to be looked at.
  public mutating func takeValidations() -> [ACMEValidation] {
    let taken = waiting
    waiting = []
    return taken
  }

  /// Says what came of a look; nil: the name is the client's.
  public mutating func noteValidated(_ id: String, _ problem: ACMEProblem?, at now: Int64) {
    purge(now)
    guard let (order, index) = place(of: id),
      orders[order]?.authorizations[index].state == "processing"
    else { return }
    orders[order]?.authorizations[index].state = problem == nil ? "valid" : "invalid"
    orders[order]?.authorizations[index].problem = problem
  }

  private func place(of id: String) -> (order: String, index: Int)? {
    for (name, order) in orders {
      if let index = order.authorizations.firstIndex(where: { $0.id == id }) {
        return (name, index)
      }
    }
    return nil
  }

  private mutating func purge(_ now: Int64) {
    orders = orders.filter { $0.value.expires > now }
  }

  // MARK: Calls

  /// What a client is answered.
  public mutating func answer(_ call: ACMECall, at now: Int64) -> ACMEReply {
    purge(now)
    var reply: ACMEReply
    do throws(ACMEProblem) {
      reply = try perform(call, at: now)
    } catch {
      reply = ACMEReply(error.status, error.json, contentType: "application/problem+json")
    }
    reply.fields["Cache-Control"] = "no-store"
    reply.fields["Link"] = reply.fields["Link"] ?? "<\(call.base)/directory>;rel=\"index\""
    if call.path == "/new-nonce" || call.method == "POST" {
      reply.fields["Replay-Nonce"] = nonces.make(at: now)
    }
    return reply
  }

  private mutating func perform(
    _ call: ACMECall,
    at now: Int64
  ) throws(ACMEProblem) -> ACMEReply {
    switch (call.method, call.path) {
    case ("GET", "/directory"), ("HEAD", "/directory"), ("GET", ""), ("GET", "/"):
      return ACMEReply(200, directory(call.base))
    case ("HEAD", "/new-nonce"): return ACMEReply(200)
    case ("GET", "/new-nonce"): return ACMEReply(204)
    case ("POST", _): break
    default: throw ACMEProblem(405, "malformed", "requests are signed, and sent by POST")
    }
    guard call.contentType.lowercased() == "application/jose+json" else {
      throw ACMEProblem(415, "malformed", "the body is `application/jose+json`")
    }
    let request = try ACMESignedRequest(call.body, accounts: "\(call.base)/account/")
    guard request.url == call.base + call.path else {
      throw ACMEProblem(403, "unauthorized", "another URL was signed")
    }
    guard nonces.take(request.nonce, at: now) else {
      throw ACMEProblem(400, "badNonce", "the nonce was used, is too old, or is another one's")
    }
    guard tools.verify(request.key, request.signed, request.signature) else {
      throw ACMEProblem(403, "unauthorized", "the signature is not that of the key")
    }
    // RFC 8555, section 7.6: the key of the certificate may sign as well as an account.
    if call.path == "/revoke-cert" { return try revocation(request) }
    guard request.isByAccount != (call.path == "/new-account") else {
      throw ACMEProblem(
        400,
        "malformed",
        "accounts are made by their key, and all else by the account"
      )
    }
    let parts = call.path.split(separator: "/", omittingEmptySubsequences: true).map(String.init)
    switch (parts.first, parts.count) {
    case ("new-account", 1): return account(call, request, status: 201)
    case ("account", 2):
      guard parts[1] == request.key.name else { throw Self.missing }
      return account(call, request, status: 200)
    case ("new-order", 1): return try order(call, request, at: now)
    case ("order", 2): return reply(try own(parts[1], request), parts[1], call)
    case ("order", 3) where parts[2] == "finalize": return try finish(parts[1], call, request)
    case ("authorization", 2): return try authorization(parts[1], call, request)
    case ("challenge", 3):
      guard let kind = ACMEProofKind(rawValue: parts[2]) else { throw Self.missing }
      return try challenge(parts[1], kind, call, request)
    case ("certificate", 2):
      guard let chain = try own(parts[1], request).certificate else { throw Self.missing }
      var reply = ACMEReply(200, contentType: "application/pem-certificate-chain")
      reply.body = chain
      return reply
    default: throw Self.missing
    }
  }

  private static let missing = ACMEProblem(404, "malformed", "there is nothing here")

  private func directory(_ base: String) -> JSONValue {
    .object([
      "newNonce": .text("\(base)/new-nonce"), "newAccount": .text("\(base)/new-account"),
      "newOrder": .text("\(base)/new-order"), "revokeCert": .text("\(base)/revoke-cert"),
    ])
  }

  private func account(_ call: ACMECall, _ request: ACMESignedRequest, status: Int) -> ACMEReply {
    var reply = ACMEReply(status, .object(["status": .text("valid")]))
    reply.fields["Location"] = "\(call.base)/account/\(request.key.name)"
    return reply
  }

  private func own(
    _ id: String,
    _ request: ACMESignedRequest
  ) throws(ACMEProblem) -> Order {
    guard let order = orders[id], order.owner == request.key else { throw Self.missing }
    return order
  }

  // MARK: Orders

  private mutating func order(
    _ call: ACMECall,
    _ request: ACMESignedRequest,
    at now: Int64
  ) throws(ACMEProblem) -> ACMEReply {
    let json = ACMESignedRequest.object(request.payload)
    guard let list = json?["identifiers"]?.list, (1...Self.nameCount).contains(list.count) else {
      throw ACMEProblem(400, "malformed", "an order has 1 to \(Self.nameCount) names")
    }
    var names: [String] = []
    for identifier in list {
      guard let kind = identifier["type"]?.text, kind == "dns" || kind == "ip",
        let name = identifier["value"]?.text?.lowercased(), Self.isName(name)
      else { throw ACMEProblem(400, "malformed", "a name is not in form") }
      guard !name.dropFirst(name.hasPrefix("*.") ? 2 : 0).contains("*"), tools.isAllowed(name)
      else {
        throw ACMEProblem(
          400,
          "rejectedIdentifier",
          "\(name): this authority vouches for names of this network alone"
        )
      }
      if !names.contains(name) { names.append(name) }
    }
    let isFull =
      orders.count >= Self.orderCount
      || orders.values.count { $0.owner == request.key } >= Self.accountOrderCount
    guard !isFull else { throw ACMEProblem(429, "rateLimited", "there are too many orders") }
    let id = ACMEKey.text(tools.random(12))
    let authorizations = names.map { name in
      Authorization(
        id: ACMEKey.text(tools.random(12)),
        name: name.hasPrefix("*.") ? String(name.dropFirst(2)) : name,
        isWildcard: name.hasPrefix("*."),
        token: ACMEKey.text(tools.random(24))
      )
    }
    let order = Order(
      owner: request.key,
      names: names,
      authorizations: authorizations,
      expires: now + Self.life
    )
    orders[id] = order
    var reply = reply(order, id, call)
    reply.status = 201
    return reply
  }

  private static func isName(_ name: String) -> Bool {
    (1...253).contains(name.utf8.count)
      && name.utf8.allSatisfy { byte in
        switch byte {
        case 0x30...0x39, 0x61...0x7A, 0x2D, 0x2E, 0x3A, 0x5F, 0x2A: true
        default: false
        }
      }
  }

  static func isAddress(_ name: String) -> Bool {
    name.contains(":") || name.utf8.allSatisfy { $0 == 0x2E || 0x30...0x39 ~= $0 }
  }

  private static func identifier(_ name: String) -> JSONValue {
    .object(["type": .text(isAddress(name) ? "ip" : "dns"), "value": .text(name)])
  }

  private func reply(_ order: Order, _ id: String, _ call: ACMECall) -> ACMEReply {
    var members = [
      JSONValue.Member("status", .text(order.state)),
      JSONValue.Member("expires", .text(RenewalInformation.text(order.expires))),
      JSONValue.Member("identifiers", .list(order.names.map(Self.identifier))),
      JSONValue.Member(
        "authorizations",
        .list(order.authorizations.map { .text("\(call.base)/authorization/\($0.id)") })
      ),
      JSONValue.Member("finalize", .text("\(call.base)/order/\(id)/finalize")),
    ]
    if order.certificate != nil {
      members.append(JSONValue.Member("certificate", .text("\(call.base)/certificate/\(id)")))
    }
    if let problem = order.problem { members.append(JSONValue.Member("error", problem.json)) }
    var reply = ACMEReply(200, .object(members))
    reply.fields["Location"] = "\(call.base)/order/\(id)"
    return reply
  }

  private mutating func finish(
    _ id: String,
    _ call: ACMECall,
    _ request: ACMESignedRequest
  ) throws(ACMEProblem) -> ACMEReply {
    let order = try own(id, request)
    guard order.state == "ready" else {
      throw ACMEProblem(403, "orderNotReady", "the order is \(order.state)")
    }
    guard let text = ACMESignedRequest.object(request.payload)?["csr"]?.text,
      let csr = ACMEKey.bytes(text)
    else { throw ACMEProblem(400, "badCSR", "there is no request for a certificate") }
    // One that is refused can be sent again, mended.
    orders[id]?.certificate = try tools.issue(csr, order.names, order.owner).get()
    return reply(try own(id, request), id, call)
  }

  // MARK: Authorizations

  private func find(
    _ id: String,
    _ request: ACMESignedRequest
  ) throws(ACMEProblem) -> (order: String, index: Int) {
    guard let place = place(of: id), orders[place.order]?.owner == request.key else {
      throw Self.missing
    }
    return place
  }

  private func authorization(
    _ id: String,
    _ call: ACMECall,
    _ request: ACMESignedRequest
  ) throws(ACMEProblem) -> ACMEReply {
    let place = try find(id, request)
    guard let order = orders[place.order] else { throw Self.missing }
    let authorization = order.authorizations[place.index]
    let isOpen = authorization.state == "pending" || authorization.state == "processing"
    var members = [
      JSONValue.Member("identifier", Self.identifier(authorization.name)),
      JSONValue.Member("status", .text(isOpen ? "pending" : authorization.state)),
      JSONValue.Member("expires", .text(RenewalInformation.text(order.expires))),
      JSONValue.Member(
        "challenges",
        .list(authorization.kinds.map { Self.challenge(authorization, $0, call) })
      ),
    ]
    // RFC 8555, section 7.1.4: it is there for names with `*` alone.
    if authorization.isWildcard { members.append(JSONValue.Member("wildcard", .flag(true))) }
    return ACMEReply(200, .object(members))
  }

  private static func challenge(
    _ authorization: Authorization,
    _ kind: ACMEProofKind,
    _ call: ACMECall
  ) -> JSONValue {
    var members = [
      JSONValue.Member("type", .text(kind.rawValue)),
      JSONValue.Member(
        "url",
        .text("\(call.base)/challenge/\(authorization.id)/\(kind.rawValue)")
      ),
      JSONValue.Member("token", .text(authorization.token)),
      JSONValue.Member("status", .text(authorization.state)),
    ]
    if let problem = authorization.problem {
      members.append(JSONValue.Member("error", problem.json))
    }
    return .object(members)
  }

  private mutating func challenge(
    _ id: String,
    _ kind: ACMEProofKind,
    _ call: ACMECall,
    _ request: ACMESignedRequest
  ) throws(ACMEProblem) -> ACMEReply {
    let (order, index) = try find(id, request)
    guard var authorization = orders[order]?.authorizations[index],
      authorization.kinds.contains(kind)
    else { throw Self.missing }
    // Without content it is only asked for.
    if authorization.state == "pending", !request.payload.isEmpty {
      let key = Array(request.key.json.compact.utf8)
      guard let print = tools.digest(key).map({ ACMEKey.text($0) }) else {
        throw ACMEProblem(500, "serverInternal", "a digest could not be computed")
      }
      authorization.state = "processing"
      authorization.chosen = kind
      orders[order]?.authorizations[index] = authorization
      waiting.append(
        ACMEValidation(
          id: id,
          kind: kind,
          name: authorization.name,
          token: authorization.token,
          authorization: "\(authorization.token).\(print)"
        )
      )
    }
    var reply = ACMEReply(200, Self.challenge(authorization, kind, call))
    reply.fields["Link"] = "<\(call.base)/authorization/\(id)>;rel=\"up\""
    return reply
  }
}
