import ACME
import JSON
import MartletBytes
import Testing

@Suite("A certificate that its authority is to revoke, RFC 8555 section 7.6")
struct ACMERevokingTests {
  private static let base = "https://acme.test"
  private static let directory = JSONValue.object([
    "newNonce": .text("\(base)/nonce"), "newAccount": .text("\(base)/account"),
    "newOrder": .text("\(base)/order"), "revokeCert": .text("\(base)/revoke"),
  ])

  private static let key = ACMEKey(
    x: Array(repeating: 1, count: 32),
    y: Array(repeating: 2, count: 32),
    sign: { _ in Array(repeating: 3, count: 64) },
    digest: { _ in Array(repeating: 4, count: 32) },
    authenticate: { _, _ in Array(repeating: 5, count: 32) }
  )

  /// What was asked, and what came of it; `answers` are those to signed requests, the last of them again and again.
  private func talk(
    account: String? = nil,
    directory: JSONValue = Self.directory,
    reason: Int = 4,
    _ answers: [ACMEAnswer]
  ) -> (requests: [ACMERequest], end: ACMERevokingConversation.Step) {
    var conversation = ACMERevokingConversation(
      [1, 2, 3],
      reason: reason,
      directory: "\(Self.base)/dir",
      key: Self.key,
      account: account
    )
    var requests: [ACMERequest] = []
    var left = answers
    while case .send(let request) = conversation.step, requests.count < 50 {
      requests.append(request)
      var answer: ACMEAnswer
      switch request.method {
      case .get: answer = ACMEAnswer(status: 200, body: Array(directory.compact.utf8))
      case .head: answer = ACMEAnswer(status: 200)
      case .post: answer = left.count > 1 ? left.removeFirst() : left[0]
      }
      answer.nonce = "nonce\(requests.count)"
      conversation.receive(answer)
    }
    return (requests, conversation.step)
  }

  private func problem(_ kind: String, _ status: Int = 400) -> ACMEAnswer {
    let json = JSONValue.object(["type": .text("urn:ietf:params:acme:error:\(kind)")])
    return ACMEAnswer(status: status, body: Array(json.compact.utf8))
  }

  private func payload(_ request: ACMERequest?) throws -> JSONValue {
    let body = try JSONValue(parsing: try #require(request).body)
    let text = try #require(body["payload"]?.text)
    let bytes = Base64URL.decoded(Array(text.utf8).span)
    return try JSONValue(parsing: try #require(bytes))
  }

  @Test("is named with the reason, by the account that is known")
  func known() throws {
    let (requests, end) = talk(account: "\(Self.base)/accounts/7", [ACMEAnswer(status: 200)])
    #expect(end == .done)
    #expect(requests.map(\.url) == ["dir", "nonce", "revoke"].map { "\(Self.base)/\($0)" })
    let payload = try payload(requests.last)
    #expect(payload["certificate"]?.text == "AQID")
    #expect(payload["reason"]?.number == 4)
  }

  @Test("says nothing of a reason where nobody has one")
  func unspecified() throws {
    let (requests, _) = talk(account: "a", reason: 0, [ACMEAnswer(status: 200)])
    #expect(try payload(requests.last)["reason"] == nil)
  }

  @Test("has the account asked for where it is not known, and none made")
  func unknownAccount() throws {
    let (requests, end) = talk(
      [ACMEAnswer(status: 200, location: "\(Self.base)/accounts/1"), ACMEAnswer(status: 200)]
    )
    #expect(end == .done)
    #expect(
      requests.map { $0.url.split(separator: "/").last } == ["dir", "nonce", "account", "revoke"]
    )
    #expect(try payload(requests[2])["onlyReturnExisting"]?.flag == true)
    let none = talk([problem("accountDoesNotExist")])
    guard case .failed(let failure) = none.end else { throw failureExpected }
    #expect(failure.isAboutAccount)
  }

  @Test("is asked for again when a nonce is refused, but not for ever", arguments: 0...6)
  func nonces(count: Int) {
    let refusals = (0..<count).map { _ in problem("badNonce") }
    let (_, end) = talk(account: "a", refusals + [ACMEAnswer(status: 200)])
    #expect((end == .done) == (count <= ACMELimits.nonceRefusals))
  }

  @Test("is not revoked where the authority refuses, or takes nothing back")
  func refused() throws {
    let (_, end) = talk(account: "a", [problem("alreadyRevoked")])
    guard case .failed(let failure) = end else { throw failureExpected }
    #expect(failure.description.contains("alreadyRevoked"))
    guard case .object(let members) = Self.directory else { return }
    let less = JSONValue.object(members.filter { $0.name != "revokeCert" })
    let other = talk(directory: less, [ACMEAnswer(status: 200)])
    guard case .failed(let reason) = other.end else { throw failureExpected }
    #expect(reason.cause == .refused)
    #expect(other.requests.count == 1)
    let broken = talk(directory: .object([:]), [ACMEAnswer(status: 200)])
    guard case .failed(let malformed) = broken.end else { throw failureExpected }
    #expect(malformed.cause == .malformed)
  }

  private var failureExpected: ACMEFailure { ACMEFailure(.local, "it did not fail") }
}
