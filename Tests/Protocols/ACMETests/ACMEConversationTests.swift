import ACME
import JSON
import Testing

@Suite("Conversation with an authority, RFC 8555")
struct ACMEConversationTests {
  @Test(
    "ends with a certificate, in the order of the standard",
    arguments: [["shop.example"], ["shop.example", "www.shop.example"], ["*.shop.example"]]
  )
  func succeeds(names: [String]) throws {
    var authority = ScriptedAuthority()
    let outcome = talk(demand(names), with: &authority)
    #expect(try outcome.result.get() == "the chain")
    #expect(outcome.proofs.map(\.kind) == names.map { _ in .http })
    #expect(outcome.account == "\(ScriptedAuthority.base)/accounts/1")
    #expect(outcome.waits == [])
    let paths = authority.requests.map {
      $0.url.dropFirst(ScriptedAuthority.base.count).split(separator: "/").first.map(String.init)
    }
    let each = names.count
    #expect(
      paths == ["dir", "nonce", "account", "order"]
        + [String](repeating: "authorization", count: each)
        + [String](repeating: "challenge", count: each)
        + [String](repeating: "authorization", count: each) + ["finalize", "certificate"]
    )
  }

  @Test("asks for no account where one is known, and for one where it was forgotten")
  func accounts() throws {
    var authority = ScriptedAuthority()
    authority.know("\(ScriptedAuthority.base)/accounts/7")
    let known = talk(demand(), with: &authority, account: "\(ScriptedAuthority.base)/accounts/7")
    #expect(try known.result.get() == "the chain")
    #expect(!authority.requests.contains { $0.url.hasSuffix("/account") })
    var other = ScriptedAuthority()
    let forgotten = talk(demand(), with: &other, account: "\(ScriptedAuthority.base)/accounts/7")
    #expect(try forgotten.result.get() == "the chain")
    #expect(forgotten.account == "\(ScriptedAuthority.base)/accounts/1")
  }

  @Test("says the same again when a nonce is refused, but not for ever", arguments: 0...8)
  func nonces(count: Int) {
    var authority = ScriptedAuthority(.init(refusedNonces: count))
    let outcome = talk(demand(), with: &authority)
    switch outcome.result {
    case .success: #expect(count <= ACMELimits.nonceRefusals)
    case .failure(let failure):
      #expect(count > ACMELimits.nonceRefusals)
      #expect(failure.description.contains("badNonce"))
    }
  }

  @Test("waits as long as it is asked to, within bounds", arguments: [nil, 0, 1, 7, 60, 100_000])
  func patience(seconds: Int?) throws {
    var authority = ScriptedAuthority(
      .init(pendingPolls: 2, processingPolls: 3, retryAfter: seconds)
    )
    let outcome = talk(demand(), with: &authority)
    #expect(try outcome.result.get() == "the chain")
    #expect(outcome.waits.count == 5)
    #expect(outcome.waits.allSatisfy { ACMELimits.waitSeconds.contains($0) })
    if let seconds, (1...60).contains(seconds) {
      #expect(outcome.waits == [Int](repeating: seconds, count: 5))
    }
  }

  @Test("gives up when the authority does not decide", arguments: [nil, 1, 60])
  func impatience(seconds: Int?) {
    var authority = ScriptedAuthority(.init(pendingPolls: 100_000, retryAfter: seconds))
    let outcome = talk(demand(), with: &authority)
    #expect(throws: ACMEFailure.self) { try outcome.result.get() }
    #expect(outcome.waits.reduce(0, +) <= ACMELimits.patienceSeconds)
    #expect(authority.requests.count <= ACMELimits.requestCount + 1)
  }

  @Test("tells what the authority does not believe")
  func unproven() {
    var authority = ScriptedAuthority(.init(disbelieves: true))
    let failure = ACMEFailure(.unproven, "shop.example: unauthorized: not yours")
    #expect(throws: failure) { try talk(demand(), with: &authority).result.get() }
  }

  @Test("takes the first way that both know", arguments: ACMEProofKind.allCases)
  func ways(kind: ACMEProofKind) throws {
    var authority = ScriptedAuthority(.init(offers: [kind.rawValue]))
    let outcome = talk(demand(proofs: [.tls, .dns, .http]), with: &authority)
    #expect(outcome.proofs.map(\.kind) == [kind])
    #expect(try outcome.result.get() == "the chain")
    let others = ACMEProofKind.allCases.filter { $0 != kind }
    var stranger = ScriptedAuthority(.init(offers: [kind.rawValue]))
    let refused = talk(demand(proofs: others), with: &stranger)
    #expect(throws: ACMEFailure.self) { try refused.result.get() }
  }

  @Test("shows nothing for names that are known to be ours")
  func proven() throws {
    var authority = ScriptedAuthority(.init(isProvenAlready: true))
    let outcome = talk(demand(), with: &authority)
    #expect(outcome.proofs == [])
    #expect(try outcome.result.get() == "the chain")
  }

  @Test("asks for no certificate where the proof alone is wanted")
  func trial() throws {
    var authority = ScriptedAuthority()
    var wanted = demand()
    wanted.provesOnly = true
    #expect(try talk(wanted, with: &authority).result.get() == "")
    #expect(!authority.requests.contains { $0.url.contains("/finalize") })
  }

  @Test("binds the account to one that was made by other means, or says that it is missing")
  func external() throws {
    var authority = ScriptedAuthority(.init(wantsExternalAccount: true))
    #expect(throws: ACMEFailure.self) { try talk(demand(), with: &authority).result.get() }
    var wanted = demand()
    wanted.externalAccount = ACMEExternalAccount(name: "me", keyText: "c2VjcmV0")
    var other = ScriptedAuthority(.init(wantsExternalAccount: true))
    #expect(try talk(wanted, with: &other).result.get() == "the chain")
    let binding = try #require(
      ACMEAnswer(status: 0, body: Array(other.payloads[0].utf8)).object?["externalAccountBinding"]
    )
    let head = try #require(ScriptedAuthority.decoded(binding["protected"]))
    #expect(head["alg"]?.text == "HS256")
    #expect(head["kid"]?.text == "me")
    #expect(head["url"]?.text == "\(ScriptedAuthority.base)/account")
  }

  @Test("says what it replaces, and whom to write to")
  func details() throws {
    var authority = ScriptedAuthority()
    var wanted = demand()
    wanted.replaces = "abc.def"
    wanted.contacts = ["a@shop.example"]
    _ = try talk(wanted, with: &authority).result.get()
    #expect(authority.payloads[0].contains("mailto:a@shop.example"))
    #expect(authority.payloads[1].contains("\"replaces\":\"abc.def\""))
  }

  @Test(
    "keeps how long the authority wants to be left alone, within a week",
    arguments: [(nil, nil), (90, 90), (-5, 0), (99_999_999, 604_800)]
  )
  func limits(asked: Int?, kept: Int?) throws {
    var authority = ScriptedAuthority(
      .init(retryAfter: asked, orderProblem: (429, "rateLimited"))
    )
    let outcome = talk(demand(), with: &authority)
    guard case .failure(let failure) = outcome.result else {
      Issue.record("there is a certificate")
      return
    }
    #expect(failure.cause == .limited)
    #expect(failure.retryAfter == kept)
  }

  @Test("ends, whatever is answered", arguments: 0..<64)
  func noise(seed: Int) {
    var random = SplitMix(UInt64(seed))
    let texts = [
      "", "{}", "[]", "{\"status\":\"pending\"}", "{\"status\":\"valid\"}", "\u{0}\u{1}",
      "{\"status\":\"processing\"}", "{\"newNonce\":\"https://a/b\"}", "{\"status\":7}",
      "{\"authorizations\":[\"https://a/1\"],\"finalize\":\"https://a/f\"}",
      "{\"authorizations\":[1],\"finalize\":\"https://a/f\"}",
      "{\"newNonce\":\"https://a/n\",\"newOrder\":\"https://a/o\",\"newAccount\":\"https://a/a\"}",
      "{\"type\":\"urn:ietf:params:acme:error:badNonce\"}",
      "{\"status\":\"pending\",\"identifier\":{\"value\":\"shop.example\"},\"challenges\":[{\"type\":"
        + "\"http-01\",\"url\":\"https://a/c\",\"token\":\"t\"}]}",
      "{\"status\":\"valid\",\"certificate\":\"https://a/x\"}",
    ]
    var conversation = ACMEConversation(demand(), key: testKey)
    var count = 0
    while count < 5000 {
      count += 1
      switch conversation.step {
      case .send:
        conversation.receive(
          ACMEAnswer(
            status: random.next() % 4 == 0 ? 400 : 200,
            nonce: random.next() % 5 == 0 ? nil : "n\(count)",
            location: random.next() % 3 == 0 ? nil : "https://a/l",
            retryAfter: random.next() % 2 == 0 ? nil : Int(random.next() % 1000) - 10,
            body: Array(texts[Int(random.next() % UInt64(texts.count))].utf8)
          )
        )
      case .prove: conversation.proofsStand()
      case .wait: conversation.hasWaited()
      case .done, .failed: return
      }
    }
    Issue.record("the conversation has no end")
  }
}

/// Numbers that look random, the same for the same seed.
struct SplitMix {
  private var state: UInt64
  init(_ seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
