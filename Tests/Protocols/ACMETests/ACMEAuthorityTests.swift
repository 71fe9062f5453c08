import ACME
import JSON
import MartletBytes
import Testing

/// Digests and signatures that prove nothing but that the same bytes were taken.
enum Toy {
  static func digest(_ bytes: [UInt8], count: Int = 32) -> [UInt8] {
    var state: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in bytes { state = (state ^ UInt64(byte)) &* 0x100_0000_01B3 }
    return (0..<count).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return UInt8(truncatingIfNeeded: state >> 56)
    }
  }

  static func key(_ number: UInt8) -> ACMEKey {
    let x = [UInt8](repeating: number, count: 32)
    let y = [UInt8](repeating: number &+ 1, count: 32)
    return ACMEKey(
      x: x,
      y: y,
      sign: { digest(x + $0, count: 64) },
      digest: { digest($0) },
      authenticate: { digest($0 + $1) }
    )
  }

  static var tools: ACMEAuthorityTools {
    ACMEAuthorityTools(
      verify: { key, bytes, signature in
        guard case .point(let x, _) = key else { return false }
        return digest(x + bytes, count: 64) == signature
      },
      digest: { digest($0) },
      authenticate: { digest([9] + $0) },
      random: { count in (0..<count).map { _ in UInt8.random(in: 0...255) } },
      isAllowed: { $0.hasSuffix(".test") || ["10.0.0.1", "shop"].contains($0) },
      issue: { request, names, _ in
        request == [1, 2, 3]
          ? .success(Array("chain of \(names.joined(separator: " "))".utf8))
          : .failure(ACMEProblem(400, "badCSR", "not this one"))
      }
    )
  }
}

/// A client before an authority, both in memory.
private struct Bench {
  static let base = "https://ca.test/acme"
  var authority = ACMEAuthority(Toy.tools)
  var now: Int64 = 1_700_000_000

  mutating func answer(
    _ request: ACMERequest,
    contentType: String = "application/jose+json"
  ) -> ACMEAnswer {
    let reply = authority.answer(
      ACMECall(
        request.method.rawValue,
        base: Self.base,
        path: String(request.url.dropFirst(Self.base.utf8.count)),
        contentType: request.method == .post ? contentType : "",
        body: request.body
      ),
      at: now
    )
    return ACMEAnswer(
      status: reply.status,
      nonce: reply.fields["Replay-Nonce"],
      location: reply.fields["Location"],
      body: reply.body
    )
  }

  /// What is to be done before a request to revoke something is answered.
  mutating func revocation(_ payload: String, asAccount: Bool = true) -> ACMERevocation? {
    let request = signed(payload, to: "/revoke-cert", asAccount: asAccount)
    let call = ACMECall(
      "POST",
      base: Self.base,
      path: "/revoke-cert",
      contentType: "application/jose+json",
      body: request.body
    )
    return authority.answer(call, at: now).revocation
  }

  /// Has a whole conversation; `isProven` says which names are shown.
  mutating func converse(
    _ names: [String],
    request: [UInt8] = [1, 2, 3],
    by kind: ACMEProofKind = .http,
    isProven: (ACMEValidation) -> Bool = { _ in true },
    keeping sent: ((ACMERequest) -> Void)? = nil
  ) -> ACMEConversation.Step {
    let demand = ACMEDemand(
      directory: "\(Self.base)/directory",
      names: names,
      addresses: Set(names.filter { $0.first?.isNumber == true }),
      request: request,
      proofs: [kind]
    )
    var conversation = ACMEConversation(demand, key: Toy.key(1))
    var shown: [String: String] = [:]
    while true {
      switch conversation.step {
      case .send(let request):
        sent?(request)
        conversation.receive(answer(request))
      case .prove(let proofs):
        for proof in proofs { shown[proof.token] = proof.authorization }
        conversation.proofsStand()
      case .wait: conversation.hasWaited()
      case .done, .failed: return conversation.step
      }
      for validation in authority.takeValidations() {
        let isFine =
          validation.kind == kind && isProven(validation)
          && shown[validation.token] == validation.authorization
        authority.noteValidated(
          validation.id,
          isFine ? nil : ACMEProblem(403, "unauthorized", "not shown"),
          at: now
        )
      }
    }
  }

  /// Sends a signed request by hand.
  mutating func send(
    _ payload: String,
    to path: String,
    by number: UInt8 = 1,
    asAccount: Bool = true,
    nonce: String? = nil,
    url: String? = nil,
    tampered: Bool = false,
    contentType: String = "application/jose+json"
  ) -> ACMEAnswer {
    let request = signed(
      payload,
      to: path,
      by: number,
      asAccount: asAccount,
      nonce: nonce,
      url: url,
      tampered: tampered
    )
    return answer(request, contentType: contentType)
  }

  private mutating func signed(
    _ payload: String,
    to path: String,
    by number: UInt8 = 1,
    asAccount: Bool = true,
    nonce: String? = nil,
    url: String? = nil,
    tampered: Bool = false
  ) -> ACMERequest {
    let key = Toy.key(number)
    let nonce =
      nonce ?? answer(ACMERequest(.head, "\(Self.base)/new-nonce")).nonce ?? ""
    let client = ACMEClientKey.point(x: key.x, y: key.y)
    let sender =
      asAccount
      ? "\"kid\":\"\(Self.base)/account/\(client.name)\"" : "\"jwk\":\(key.publicKey.compact)"
    let head =
      "{\"alg\":\"ES256\",\(sender),\"nonce\":\"\(nonce)\",\"url\":\"\(url ?? Self.base + path)\"}"
    func text(_ text: String) -> String {
      String(decoding: Base64URL.encoded(Array(text.utf8).span), as: UTF8.self)
    }
    let signed = "\(text(head)).\(text(payload))"
    let signature = key.sign(Array(signed.utf8)) ?? []
    let content = text(tampered ? payload + " " : payload)
    let body =
      "{\"protected\":\"\(text(head))\",\"payload\":\"\(content)\",\"signature\":\""
      + String(decoding: Base64URL.encoded(signature.span), as: UTF8.self) + "\"}"
    return ACMERequest(.post, Self.base + path, body: Array(body.utf8))
  }

  /// Orders, and returns the path of the order.
  mutating func order(_ name: String = "a.test", by number: UInt8 = 1) -> (ACMEAnswer, String) {
    let payload = "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"\(name)\"}]}"
    let answer = send(payload, to: "/new-order", by: number)
    return (answer, String((answer.location ?? "").dropFirst(Self.base.utf8.count)))
  }
}

extension ACMEAnswer {
  /// The last part of a problem's type.
  fileprivate var problem: String? {
    object?["type"]?.text?.split(separator: ":").last.map(String.init)
  }
}

@Suite("The authority's side of ACME")
struct ACMEAuthorityTests {
  @Test(
    "gives a certificate to who proves all names",
    arguments: [["a.test"], ["a.test", "b.test"], ["10.0.0.1", "c.d.test"]]
  )
  func whole(names: [String]) {
    var bench = Bench()
    let step = bench.converse(names)
    #expect(step == .done(chain: Array("chain of \(names.joined(separator: " "))".utf8)))
    #expect(bench.converse(names) == step)
  }

  @Test("lets the client choose how a name is proven, once")
  func kinds() {
    var bench = Bench()
    let chain = Array("chain of a.test".utf8)
    #expect(bench.converse(["a.test"], by: .tls) == .done(chain: chain))
    #expect(bench.converse(["a.test"], by: .dns) == .done(chain: chain))
    let (order, _) = bench.order("b.test")
    let place = order.object?["authorizations"]?.list?.first?.text ?? ""
    let path = String(place.dropFirst(Bench.base.utf8.count))
    func challenges() -> [String] {
      (bench.send("", to: path).object?["challenges"]?.list ?? []).compactMap { $0["url"]?.text }
        .map { String($0.dropFirst(Bench.base.utf8.count)) }
    }
    let all = challenges()
    #expect(all.count == 3 && all[1].hasSuffix("/tls-alpn-01") && all[2].hasSuffix("/dns-01"))
    #expect(bench.send("{}", to: all[1]).status == 200)
    #expect(challenges() == [all[1]])
    #expect(bench.send("{}", to: all[0]).status == 404)
    #expect(bench.send("{}", to: all[1] + "x").status == 404)
    let taken = bench.authority.takeValidations()
    #expect(taken.map(\.kind) == [.tls])
  }

  @Test("offers a record alone for names with `*`, and none for addresses and names without a dot")
  func kindsOfNames() {
    var bench = Bench()
    func kinds(_ name: String) -> (kinds: [String], authorization: JSONValue?) {
      let (order, _) = bench.order(name)
      let place = order.object?["authorizations"]?.list?.first?.text ?? ""
      let object = bench.send("", to: String(place.dropFirst(Bench.base.utf8.count))).object
      return ((object?["challenges"]?.list ?? []).compactMap { $0["type"]?.text }, object)
    }
    let many = kinds("*.a.test")
    #expect(many.kinds == ["dns-01"])
    #expect(many.authorization?["wildcard"]?.flag == true)
    // RFC 8555, section 7.1.4: without what stands for all.
    #expect(many.authorization?["identifier"]?["value"]?.text == "a.test")
    let one = kinds("a.test")
    #expect(one.kinds == ["http-01", "tls-alpn-01", "dns-01"])
    #expect(one.authorization?["wildcard"] == nil)
    #expect(kinds("10.0.0.1").kinds == ["http-01", "tls-alpn-01"])
    #expect(kinds("shop").kinds == ["http-01", "tls-alpn-01"])
  }

  @Test(
    "gives certificates for names with `*` to who makes their records, in the names of the order"
  )
  func wildcards() {
    var bench = Bench()
    let chain = Array("chain of *.a.test a.test".utf8)
    #expect(bench.converse(["*.a.test", "a.test"], by: .dns) == .done(chain: chain))
    guard case .failed = bench.converse(["*.a.test"], by: .http) else {
      Issue.record("an answer over HTTP was believed for all names")
      return
    }
  }

  @Test("gives none to who proves one name and not the other, and tells why")
  func unproven() {
    var bench = Bench()
    let step = bench.converse(["a.test", "b.test"], isProven: { $0.name == "a.test" })
    guard case .failed(let failure) = step else {
      Issue.record("\(step)")
      return
    }
    #expect(failure.cause == .unproven)
    #expect(failure.description.contains("not shown"))
  }

  @Test(
    "refuses names that it cannot vouch for",
    arguments: [
      "shop.example", "*.*.test", "a.*.test", "a*.test", "a.test.example", "192.0.2.1", "ä.test",
      "", "a b.test",
    ]
  )
  func foreign(name: String) {
    var bench = Bench()
    let (answer, _) = bench.order(name)
    #expect(answer.status == 400)
    #expect(["rejectedIdentifier", "malformed"].contains(answer.problem ?? ""))
  }

  @Test("refuses a request for a certificate that is not the order's, which can be mended")
  func wrongRequest() {
    var bench = Bench()
    guard case .failed(let failure) = bench.converse(["a.test"], request: [7]) else {
      Issue.record("it was given")
      return
    }
    #expect(failure.description.contains("badCSR"))
  }

  @Test("takes a wish to revoke something of accounts and of keys, with what the account has shown")
  func revocations() throws {
    var bench = Bench()
    let proven = bench.converse(["*.a.test", "b.test"], by: .dns)
    #expect(proven == .done(chain: Array("chain of *.a.test b.test".utf8)))
    _ = bench.order("c.test")
    let asked = bench.revocation("{\"certificate\":\"AQID\"}")
    let first = try #require(asked)
    #expect(first.certificate == [1, 2, 3] && first.reason == 0 && first.isByAccount)
    #expect(first.provenNames == ["*.a.test", "b.test"])
    let signed = bench.revocation("{\"certificate\":\"AQID\",\"reason\":4}", asAccount: false)
    let byKey = try #require(signed)
    #expect(byKey.reason == 4 && !byKey.isByAccount && byKey.provenNames.isEmpty)
    #expect(byKey.key == first.key)
    bench.now += 3601
    let late = bench.revocation("{\"certificate\":\"AQID\"}")
    #expect(late?.provenNames == [])
  }

  @Test(
    "refuses wishes that are not in form, and reasons that are not for clients",
    arguments: [
      ("{}", "malformed"), ("{\"certificate\":7}", "malformed"), ("", "malformed"),
      ("{\"certificate\":\"\"}", "malformed"), ("{\"certificate\":\"*\"}", "malformed"),
      ("{\"certificate\":\"AQID\",\"reason\":2}", "badRevocationReason"),
      ("{\"certificate\":\"AQID\",\"reason\":\"1\"}", "badRevocationReason"),
    ]
  )
  func badRevocations(payload: String, problem: String) {
    var bench = Bench()
    let answer = bench.send(payload, to: "/revoke-cert")
    #expect(answer.status == 400 && answer.problem == problem)
    #expect(bench.send("{}", to: "/revoke-cert", tampered: true).status == 403)
  }

  @Test("takes each nonce once, and only its own, for an hour")
  func nonces() {
    var bench = Bench()
    let nonce = bench.answer(ACMERequest(.head, "\(Bench.base)/new-nonce")).nonce
    #expect(bench.send("{}", to: "/new-account", asAccount: false, nonce: nonce).status == 201)
    let again = bench.send("{}", to: "/new-account", asAccount: false, nonce: nonce)
    #expect(again.status == 400 && again.problem == "badNonce")
    #expect(again.nonce != nil)
    for other in ["", "x", String(repeating: "A", count: 43), String(repeating: "A", count: 500)] {
      let answer = bench.send("{}", to: "/new-account", asAccount: false, nonce: other)
      #expect(answer.problem == "badNonce", "\(other)")
    }
    let late = bench.answer(ACMERequest(.head, "\(Bench.base)/new-nonce")).nonce
    bench.now += 3601
    #expect(bench.send("{}", to: "/new-account", asAccount: false, nonce: late).status == 400)
  }

  @Test("takes no nonce a second time, however many were used meanwhile")
  func manyNonces() {
    var bench = Bench()
    let first = bench.answer(ACMERequest(.head, "\(Bench.base)/new-nonce")).nonce
    #expect(bench.send("{}", to: "/new-account", asAccount: false, nonce: first).status == 201)
    for round in 0..<10_100 {
      if round % 100 == 0 { bench.now += 1 }
      _ = bench.send("{}", to: "/new-account", asAccount: false)
    }
    #expect(bench.send("{}", to: "/new-account", asAccount: false, nonce: first).status == 400)
    #expect(bench.send("{}", to: "/new-account", asAccount: false).status == 201)
  }

  @Test("refuses what was changed on the way, or signed for another place")
  func signatures() {
    var bench = Bench()
    #expect(bench.send("{}", to: "/new-account", asAccount: false, tampered: true).status == 403)
    let elsewhere = bench.send(
      "{}",
      to: "/new-account",
      asAccount: false,
      url: "https://other.test/acme/new-account"
    )
    #expect(elsewhere.status == 403)
    let plain = bench.send("{}", to: "/new-account", asAccount: false, contentType: "text/plain")
    #expect(plain.status == 415)
    #expect(bench.send("{}", to: "/new-order", asAccount: false).status == 400)
    #expect(bench.send("{}", to: "/new-account").status == 400)
  }

  @Test("shows nobody the orders of others")
  func others() {
    var bench = Bench()
    let (order, path) = bench.order()
    #expect(order.status == 201)
    #expect(bench.send("", to: path).status == 200)
    #expect(bench.send("", to: path, by: 5).status == 404)
    let places = (order.object?["authorizations"]?.list ?? []).compactMap(\.text)
    #expect(places.count == 1)
    for place in places.map({ String($0.dropFirst(Bench.base.utf8.count)) }) {
      #expect(bench.send("", to: place).status == 200)
      #expect(bench.send("", to: place, by: 5).status == 404)
    }
    #expect(bench.send("{\"csr\":\"AQID\"}", to: "\(path)/finalize").problem == "orderNotReady")
    #expect(
      bench.send("", to: "/certificate/\(path.split(separator: "/").last ?? "")").status == 404
    )
    #expect(bench.send("", to: "/account/AAAA").status == 404)
  }

  @Test("keeps a bounded number of orders, for an hour")
  func bounds() {
    var bench = Bench()
    for _ in 0..<ACMEAuthority.accountOrderCount { #expect(bench.order().0.status == 201) }
    #expect(bench.order().0.problem == "rateLimited")
    for number: UInt8 in 2...8 {
      for _ in 0..<ACMEAuthority.accountOrderCount {
        #expect(bench.order(by: number * 2).0.status == 201)
      }
    }
    #expect(bench.order(by: 100).0.problem == "rateLimited")
    bench.now += 3601
    #expect(bench.order().0.status == 201)
  }

  @Test("survives whatever it is sent")
  func noise() {
    var bench = Bench()
    var requests: [ACMERequest] = []
    _ = bench.converse(["a.test"], keeping: { requests.append($0) })
    var generator = SystemRandomNumberGenerator()
    for request in requests where request.method == .post {
      for _ in 0..<200 {
        var body = request.body
        for _ in 0..<Int.random(in: 1...4, using: &generator) where body.count > 1 {
          switch Int.random(in: 0..<3, using: &generator) {
          case 0: body[Int.random(in: 0..<body.count, using: &generator)] = .random(in: 0...255)
          case 1: body.remove(at: Int.random(in: 0..<body.count, using: &generator))
          default: body = Array(body.prefix(Int.random(in: 1...body.count, using: &generator)))
          }
        }
        let answer = bench.answer(ACMERequest(.post, request.url, body: body))
        #expect((400..<500).contains(answer.status), "\(String(decoding: body, as: UTF8.self))")
      }
    }
  }

  @Test("names an account by its key, in one way alone")
  func accounts() throws {
    let point = ACMEClientKey.point(
      x: [UInt8](repeating: 3, count: 32),
      y: [UInt8](repeating: 4, count: 32)
    )
    let modulus = try #require(
      ACMEClientKey(
        .object([
          "kty": .text("RSA"), "e": .text("AQAB"),
          "n": .text(
            String(
              decoding: Base64URL.encoded(Array(repeating: 0xAB, count: 256).span),
              as: UTF8.self
            )
          ),
        ])
      )
    )
    let longPoint = ACMEClientKey.point(
      x: [UInt8](repeating: 3, count: 48),
      y: [UInt8](repeating: 4, count: 48)
    )
    #expect(longPoint.algorithm == "ES384" && point.algorithm == "ES256")
    for key in [point, longPoint, modulus] {
      #expect(ACMEClientKey(name: key.name) == key)
      #expect(ACMEClientKey(key.json) == key)
      #expect(ACMEClientKey(name: key.name + "A") == nil)
      #expect(ACMEClientKey(name: String(key.name.dropLast(3))) == nil)
    }
    for text in ["", "AA", "AgEA", String(repeating: "A", count: 2000)] {
      #expect(ACMEClientKey(name: text) == nil)
    }
    let weak = JSONValue.object(["kty": .text("RSA"), "e": .text("AQAB"), "n": .text("qqqq")])
    #expect(ACMEClientKey(weak) == nil)
  }

  @Test("writes times as it reads them")
  func times() {
    for seconds: Int64 in [0, 951_782_400, 951_868_799, 1_709_164_800, 4_102_444_799] {
      #expect(RenewalInformation.seconds(RenewalInformation.text(seconds)) == seconds)
    }
    #expect(RenewalInformation.text(951_782_400) == "2000-02-29T00:00:00Z")
    for _ in 0..<1000 {
      let seconds = Int64.random(in: 0...200_000_000_000)
      #expect(RenewalInformation.seconds(RenewalInformation.text(seconds)) == seconds)
    }
  }
}
