import HTTP1
import HTTPMessage
import Testing

@Suite("Limits of a head, each at its value and one beyond")
struct HeadLimitsTests {
  /// A limit, a request that reaches it with a number, and the error beyond.
  struct Case: Sendable, CustomStringConvertible {
    var description: String
    var set: @Sendable (inout HeadLimits) -> Void
    var request: @Sendable (_ count: Int) -> String
    var limit: Int
    var reason: MessageError.Reason
  }

  static let cases = [
    Case(
      description: "method",
      set: { $0.methodBytes = 5 },
      request: { "\(String(repeating: "M", count: $0)) / HTTP/1.1\r\nHost: a\r\n\r\n" },
      limit: 5,
      reason: .methodTooLong
    ),
    Case(
      description: "target",
      set: { $0.targetBytes = 20 },
      request: { "GET /\(String(repeating: "a", count: $0 - 1)) HTTP/1.1\r\nHost: a\r\n\r\n" },
      limit: 20,
      reason: .targetTooLong
    ),
    Case(
      description: "fields",
      set: { $0.fieldCount = 7 },
      request: {
        "GET / HTTP/1.1\r\nHost: a\r\n\(String(repeating: "X: y\r\n", count: $0 - 1))\r\n"
      },
      limit: 7,
      reason: .tooManyFields
    ),
    Case(
      description: "line",
      set: { $0.lineBytes = 40 },
      request: {
        "GET / HTTP/1.1\r\nHost: a\r\nX:\(String(repeating: "y", count: $0 - 2))\r\n\r\n"
      },
      limit: 40,
      reason: .fieldLineTooLong
    ),
    Case(
      description: "name",
      set: { $0.fieldNameBytes = 9 },
      request: { "GET / HTTP/1.1\r\nHost: a\r\n\(String(repeating: "x", count: $0)): y\r\n\r\n" },
      limit: 9,
      reason: .fieldNameTooLong
    ),
    Case(
      description: "head",
      set: { $0.headBytes = 60 },
      request: {
        "GET / HTTP/1.1\r\nHost: a\r\nX:\(String(repeating: "y", count: $0 - 31))\r\n\r\n"
      },
      limit: 60,
      reason: .headTooLarge
    ),
    Case(
      description: "head, at its greatest",
      set: {
        $0.headBytes = 1_000_000
        $0.lineBytes = 1_000_000
      },
      request: {
        "GET / HTTP/1.1\r\nHost: a\r\nX:\(String(repeating: "y", count: $0 - 31))\r\n\r\n"
      },
      limit: 65_535,
      reason: .headTooLarge
    ),
    Case(
      description: "target, in the greatest head",
      set: {
        $0.headBytes = 1_000_000
        $0.targetBytes = 1_000_000
      },
      request: { "GET /\(String(repeating: "a", count: $0 - 27)) HTTP/1.1\r\nHost: a\r\n\r\n" },
      limit: 65_535,
      reason: .headTooLarge
    ),
    Case(
      description: "options",
      set: { $0.connectionOptionCount = 3 },
      request: {
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: \(String(repeating: "x,", count: $0))\r\n\r\n"
      },
      limit: 3,
      reason: .tooManyConnectionOptions
    ),
  ]

  @Test("let the message pass, and refuse the next larger one", arguments: cases)
  func limits(of limit: Case) throws {
    var limits = HeadLimits()
    limit.set(&limits)
    let allowed = Array(limit.request(limit.limit).utf8)
    #expect(try readRequest(allowed, limits: limits) != nil)
    let beyond = Array(limit.request(limit.limit + 1).utf8)
    #expect(throws: MessageError(limit.reason)) { try readRequest(beyond, limits: limits) }
    for cut in [1, 30, beyond.count / 2, beyond.count - 3, beyond.count - 1] {
      #expect(throws: MessageError(limit.reason), "cut at \(cut)") {
        try readRequest(beyond, cuts: [cut], limits: limits)
      }
    }
  }

  @Test("count the bytes that have come, before the end is seen")
  func early() {
    var limits = HeadLimits()
    limits.headBytes = 100
    let bytes = Array("GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "y", count: 90))".utf8)
    #expect(throws: MessageError(.headTooLarge)) { try readRequest(bytes, limits: limits) }
    #expect(throws: MessageError(.headTooLarge)) {
      try readRequest(Array(bytes.prefix(100)), limits: limits)
    }
    #expect(throws: Never.self) { try readRequest(Array(bytes.prefix(99)), limits: limits) }
  }
}
