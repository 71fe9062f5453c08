import ACME
import Invariants
import JSON

/// What an answer is read as.
private enum Reading: Hashable {
  case incomplete
  case refused(ACMEFailure.Cause)
  case answer(ACMEAnswer)
}

private func read(_ bytes: [UInt8], _ method: ACMERequest.Method, cuts: [Int]) -> Reading {
  var reader = ACMEAnswerReader(method, now: 1_700_000_000)
  var start = 0
  do throws(ACMEFailure) {
    for end in cuts + [bytes.count] {
      let part = Array(bytes[start..<end])
      start = end
      if let answer = try reader.receive(part.span) { return .answer(answer) }
    }
    return .answer(try reader.end())
  } catch {
    return error.cause == .unreachable ? .incomplete : .refused(error.cause)
  }
}

private let key = ACMEKey(
  x: Array(repeating: 1, count: 32),
  y: Array(repeating: 2, count: 32),
  sign: { _ in Array(repeating: 3, count: 64) },
  digest: { _ in Array(repeating: 4, count: 32) },
  authenticate: { _, _ in Array(repeating: 5, count: 32) }
)

/// Has a whole conversation with an authority that answers with these bodies, one after the other and then
/// from the first again: it ends, whatever they say.
private func converse(_ bodies: [[UInt8]]) {
  let demand = ACMEDemand(
    directory: "https://acme.example/dir",
    names: ["shop.example"],
    request: [1, 2, 3],
    proofs: [.http, .tls, .dns]
  )
  var conversation = ACMEConversation(demand, key: key)
  var waited = 0
  for step in 0... {
    require(step < 2000, "a conversation ends")
    switch conversation.step {
    case .send(let request):
      require(request.url.hasPrefix("https://"), "nothing is asked without TLS")
      let status = [200, 201, 200, 400, 200, 403][step % 6]
      conversation.receive(
        ACMEAnswer(
          status: status,
          nonce: "nonce\(step)",
          location: "https://acme.example/\(step)",
          retryAfter: step,
          body: bodies[step % bodies.count]
        )
      )
    case .prove: conversation.proofsStand()
    case .wait(let seconds):
      waited += seconds
      require(waited <= ACMELimits.patienceSeconds + 60, "all waits together are bounded")
      conversation.hasWaited()
    case .done, .failed: return
    }
  }
}

private let question = TextQuestion("_acme-challenge.shop.test", id: 0)

/// Reads the answer of a name service: as it stands, and behind a head and a question that are right.
private func readTexts(_ bytes: [UInt8]) {
  guard let question else { return require(false, "the name is one") }
  _ = question.read(bytes)
  let head: [UInt8] = [
    0, 0, 0x81, 0x80, 0, 1, 0, UInt8(truncatingIfNeeded: bytes.count), 0, 0, 0, 0,
  ]
  if case .texts(let texts) = question.read(head + question.bytes.dropFirst(12) + bytes) {
    require(texts.count <= TextQuestion.recordCount, "records have a bound")
    // A record has at least a name of one byte, its kinds and its length.
    require(texts.count * 11 <= bytes.count, "texts come from records")
    require(texts.joined().count <= bytes.count, "texts come from what was sent")
  } else {
    require(bytes.count % 256 > 0, "without records there is nothing that is not in form")
  }
}

/// Has a certificate revoked by an authority that answers with these bodies: that ends soon, whatever they say.
private func revoke(_ bodies: [[UInt8]]) {
  for account in [nil, "https://acme.example/1"] as [String?] {
    var conversation = ACMERevokingConversation(
      [1, 2, 3],
      reason: 1,
      directory: "https://acme.example/dir",
      key: key,
      account: account
    )
    for step in 0... {
      require(step < 3 * ACMELimits.nonceRefusals + 8, "a revocation ends")
      guard case .send(let request) = conversation.step else { break }
      require(request.url.hasPrefix("https://"), "nothing is asked without TLS")
      conversation.receive(
        ACMEAnswer(
          status: [200, 200, 400, 200, 403][step % 5],
          nonce: step % 3 == 2 ? nil : "nonce\(step)",
          location: "https://acme.example/\(step)",
          body: bodies[step % bodies.count]
        )
      )
    }
  }
}

/// Reads a question about certificates out of a path.
private func readQuestion(_ bytes: [UInt8]) {
  let path = "\(ACMECall.statusPath)/\(String(decoding: bytes, as: UTF8.self))"
  let call = ACMECall("GET", base: "", path: path)
  require(call.asksStatus, "the path is that of questions")
  do throws(ACMEProblem) {
    let question = try call.statusQuestion()
    require(question.count * 4 <= bytes.count * 3, "a question comes from its text")
    require(!question.isEmpty, "a question has a byte")
  } catch {
    require(error.status == 400, "a path that is not in form is told")
  }
}

/// Called by libFuzzer with each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzACME(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  let bytes = unsafe input(start, count)
  readTexts(bytes)
  readQuestion(bytes)
  for method in [ACMERequest.Method.get, .head, .post] {
    let whole = read(bytes, method, cuts: [])
    for cuts in cuts(of: bytes) {
      require(read(bytes, method, cuts: cuts) == whole, "every split gives the same")
    }
    guard case .answer(let answer) = whole else { continue }
    require(answer.body.count <= ACMELimits.answerBytes, "a body has a bound")
    require(100...599 ~= answer.status, "a status is one of five classes")
    if let seconds = answer.retryAfter {
      require(ACMELimits.restSeconds.contains(seconds), "a rest has bounds")
    }
    if let information = RenewalInformation(answer) {
      require(information.window.contains(information.moment(77)), "a moment is in its window")
    }
    if let offer = ACMEDirectory(answer.object) {
      require(offer.newOrder.hasPrefix("https://"), "a directory names places over TLS")
    }
  }
  // Bodies of a conversation stand behind each other, with an empty byte between them.
  let bodies = bytes.split(separator: 0, omittingEmptySubsequences: false).prefix(16).map(
    Array.init
  )
  converse(bodies)
  revoke(bodies)
  return 0
}
