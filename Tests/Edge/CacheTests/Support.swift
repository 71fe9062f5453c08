import Cache
import Foundation
import HTTP1
import HTTPCaching
import HTTPMessage
import MartletBytes
import Synchronization
import Testing

/// The beginning of the tests' time.
let morning = Moment(milliseconds: 1_700_000_000_000)

/// Numbers that look random and are the same in every run.
struct Numbers: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ value &>> 30) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ value &>> 27) &* 0x94D0_49BB_1331_11EB
    return value ^ value &>> 31
  }
}

/// What a response with these fields may be kept by.
func terms(_ fields: String = "Cache-Control: max-age=60\r\n") throws -> StoredTerms {
  let policy = CachePolicy()
  let question = Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
  let text = Array("HTTP/1.1 200 OK\r\n\(fields)Content-Length: 0\r\n\r\n".utf8)
  var request = RequestHead()
  var response = ResponseHead()
  var questions = RequestParser(limits: HeadLimits())
  var answers = ResponseParser(limits: HeadLimits())
  let isAsked = try questions.parse(question.span, into: &request)
  let isAnswered = try answers.parse(text.span, answering: .get, into: &response)
  #expect(isAsked && isAnswered)
  let storing = policy.storing(
    response,
    in: text.span,
    for: CacheRequest(request, in: question.span, by: policy),
    requestTime: morning,
    responseTime: morning
  )
  guard case .store(let terms) = storing else { throw Refused() }
  return terms
}

struct Refused: Error {}

/// An answer with a body of so many bytes.
func answer(_ count: Int, key: [UInt8], variant: String = "") throws -> CachedAnswer {
  let names = Array("accept-encoding".utf8)
  let head = AnswerHead(
    status: 200,
    statusLine: Array("HTTP/1.1 200 OK".utf8),
    lines: Array("ETag: \"a\"\r\n".utf8),
    length: count,
    tag: 6..<9,
    lastModified: 0..<0
  )
  return CachedAnswer(
    terms: try terms(),
    head: head,
    body: CachedBody([UInt8](repeating: 0x61, count: count)),
    vary: variant.isEmpty ? nil : VaryRule(encoded: names.span),
    variant: Array(variant.utf8),
    keyCount: key.count
  )
}

extension CacheStore {
  /// Begins a fill, which nobody else does.
  func lead(_ key: [UInt8], quota: CacheQuota? = nil) throws -> Fill {
    guard let fill = leadIfAlone(key, quota: quota) else { throw Refused() }
    return fill
  }

  /// Begins a fill; nil: somebody else does.
  func leadIfAlone(_ key: [UInt8], quota: CacheQuota? = nil) -> Fill? {
    let start = begin(
      key.span,
      word(of: key.span),
      at: morning,
      quota: quota,
      known: { _ in [] },
      joins: { _ in false },
      matching: { _ in false }
    )
    if case .lead(let fill) = start { return fill }
    return nil
  }

  /// Keeps an answer with a body of so many bytes, as after a fill.
  @discardableResult
  func put(
    _ key: String,
    _ count: Int,
    variant: String = "",
    quota: CacheQuota? = nil
  ) throws -> CacheKeeping {
    let key = Array(key.utf8)
    let fill = try lead(key, quota: quota)
    guard grow(fill, by: count) else {
      abandon(fill)
      return .tooLarge
    }
    return keep(try answer(count, key: key, variant: variant), of: fill)
  }

  /// The bytes of the body that is kept for a key; nil: nothing is.
  func size(_ key: String, variant: String = "") -> Int? {
    let key = Array(key.utf8)
    let found = find(key.span, word(of: key.span), at: morning) {
      $0.variant == Array(variant.utf8)
    }
    if case .answer(let answer) = found { return answer.body.count }
    return nil
  }
}

/// Runs `body` on `count` threads with their numbers.
func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
  let group = DispatchGroup()
  for number in 0..<count {
    group.enter()
    Thread {
      body(number)
      group.leave()
    }.start()
  }
  group.wait()
}
