import GRPC
import Testing

@Suite("Calls of gRPC")
struct CallTests {
  @Test(
    "what the edge fails with becomes the status that clients act on",
    arguments: [
      (502, CallStatus.unavailable), (503, .unavailable), (504, .deadlineExceeded),
      (429, .resourceExhausted), (401, .unauthenticated), (403, .permissionDenied),
      (404, .unimplemented), (413, .resourceExhausted), (500, .internal), (418, .unknown),
    ] as [(UInt16, CallStatus)]
  )
  func fromHTTP(status: UInt16, expected: CallStatus) {
    #expect(CallStatus(http: status) == expected)
  }

  @Test("only success is a success in HTTP", arguments: CallStatus.allCases)
  func toHTTP(status: CallStatus) {
    #expect((status.http < 400) == (status == .ok))
    #expect(CallStatus("\(status.rawValue)".utf8.span) == status)
  }

  @Test(
    "a status that is no number is none, and an unknown number is an unknown outcome",
    arguments: [
      ("", nil), ("x", nil), ("1x", nil), ("0000", nil), ("99", .unknown), ("255", .unknown),
    ]
      as [(String, CallStatus?)]
  )
  func oddStatus(text: String, expected: CallStatus?) {
    #expect(CallStatus(text.utf8.span) == expected)
  }

  @Test(
    "the outcome is found among the lines of fields, however they are written",
    arguments: [
      ("grpc-status: 5\r\n", .notFound), ("x: 1\r\nGrpc-Status:14\r\ny: 2\r\n", .unavailable),
      ("HTTP/1.1 200 OK\r\ngrpc-status:  0  \r\n\r\n", .ok), ("grpc-status: 7", .permissionDenied),
      ("", nil), ("grpc-status", nil), ("x-grpc-status: 5\r\n", nil), ("grpc-status: x\r\n", nil),
      ("grpc-status:\r\n", nil), ("grpc-status-details-bin: 5\r\n", nil),
    ] as [(String, CallStatus?)]
  )
  func lines(text: String, expected: CallStatus?) {
    #expect(CallStatus(inLines: text.utf8.span) == expected)
  }

  @Test("each outcome has a name of its own")
  func names() {
    #expect(Set(CallStatus.allCases.map(\.name)).count == 17)
    #expect(CallStatus.deadlineExceeded.name == "DEADLINE_EXCEEDED")
  }

  @Test("a message is printable ASCII whatever it says")
  func message() {
    let text = String(decoding: CallStatus.encoded(message: "50% of ü\r\n~ "), as: UTF8.self)
    #expect(text == "50%25 of %C3%BC%0D%0A~ ")
  }

  @Test(
    "a call is known by its content type",
    arguments: [
      ("application/grpc", true), ("application/grpc+proto", true), ("Application/GRPC;x=1", true),
      ("application/grpc-web", false), ("application/grpcx", false), ("application/grp", false),
      ("text/plain", false), ("", false),
    ]
  )
  func contentType(text: String, isCall: Bool) {
    #expect(CallStatus.isCall(contentType: text.utf8.span) == isCall)
  }

  @Test(
    "times are read in every unit",
    arguments: [
      ("1H", 3_600_000_000_000), ("2M", 120_000_000_000), ("3S", 3_000_000_000),
      ("4m", 4_000_000), ("5u", 5000), ("6n", 6), ("0n", 0), ("99999999n", 99_999_999),
    ] as [(String, Int64)]
  )
  func time(text: String, nanoseconds: Int64) {
    #expect(CallTimeout(text.utf8.span)?.nanoseconds == nanoseconds)
  }

  @Test(
    "what is no time is none",
    arguments: ["", "S", "1", "123456789S", "-1S", "1s", "1.5S", " 1S", "1S "]
  )
  func noTime(text: String) { #expect(CallTimeout(text.utf8.span) == nil) }

  @Test("a time that is written is never shorter, and hardly longer, when it is read")
  func written() throws {
    var generator = SystemRandomNumberGenerator()
    for shift in 0..<62 {
      let time = Int64.random(in: 0...(1 << Int64(shift)), using: &generator)
      let text = CallTimeout(nanoseconds: time).text
      #expect(text.count <= 9)
      let parsed = CallTimeout(text.span)
      let read = try #require(parsed).nanoseconds
      #expect(read >= time)
      #expect(read - time <= time / 50_000 + 1)
    }
    // The longest that can be said.
    #expect(CallTimeout("99999999H".utf8.span)?.nanoseconds == .max)
    #expect(CallTimeout(nanoseconds: -5).text == Array("0n".utf8))
  }
}

@Suite("The health service of gRPC")
struct HealthCallTests {
  private func answer(_ message: [UInt8]) -> HealthCall.Answer? {
    let bytes: [UInt8] = [0, 0, 0, 0, UInt8(message.count)] + message
    return HealthCall.answer(bytes.span)
  }

  @Test("asks about the server as a whole, or about a service")
  func request() {
    #expect(HealthCall.request(service: "") == [0, 0, 0, 0, 0])
    #expect(HealthCall.request(service: "ab") == [0, 0, 0, 0, 4, 0x0A, 2, 0x61, 0x62])
    let long = HealthCall.request(service: String(repeating: "x", count: 300))
    #expect(long.prefix(8) == [0, 0, 0, 1, 0x2F, 0x0A, 0xAC, 0x02])
    #expect(long.count == 5 + 3 + 300)
  }

  @Test("reads what servers say, among fields that nobody knows")
  func answers() {
    #expect(answer([8, 1]) == .serving)
    #expect(answer([8, 2]) == .notServing)
    #expect(answer([8, 3]) == .serviceUnknown)
    #expect(answer([]) == .unknown)
    #expect(answer([0x12, 2, 8, 2, 8, 1, 0x1D, 0, 0, 0, 0]) == .serving)
  }

  @Test(
    "refuses what is no answer",
    arguments: [
      [], [0, 0, 0, 0], [1, 0, 0, 0, 2, 8, 1], [0, 0, 0, 0, 3, 8, 1], [0, 0, 0, 0, 1, 8],
      [0, 0, 0, 0, 2, 0x12, 9], [0, 0, 0, 0, 1, 0x0B], [0, 0, 0, 0, 2, 8, 0x80],
    ] as [[UInt8]]
  )
  func refused(bytes: [UInt8]) { #expect(HealthCall.answer(bytes.span) == nil) }

  @Test("no bytes can do harm")
  func random() {
    for _ in 0..<20_000 {
      let count = Int.random(in: 0...12)
      var bytes = (0..<count).map { _ in UInt8.random(in: 0...255) }
      if Bool.random() { bytes = [0, 0, 0, 0, UInt8(count)] + bytes }
      _ = HealthCall.answer(bytes.span)
      _ = CallTimeout(bytes.span)
      _ = CallStatus(bytes.span)
    }
  }
}
