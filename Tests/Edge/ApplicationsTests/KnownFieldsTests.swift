import Applications
import MartletSystem
import Testing

@Suite("Known fields")
struct KnownFieldsTests {
  private func message(
    _ fields: [String],
    _ known: KnownFields,
    bodyLength: UInt64? = nil,
    change: (inout WorkerRequest.Context) -> Void = { _ in }
  ) throws -> String {
    var context = WorkerRequest.Context()
    context.client = SocketAddress(host: "192.0.2.107", port: 5309)
    context.scheme = Array("http".utf8)
    context.identifier = (0x0123_4567_89AB_CDEF, 0xFEDC_BA98_7654_3210)
    change(&context)
    let lines = ["GET /a?b HTTP/1.1"] + fields + ["", ""]
    let head = Array(lines.joined(separator: "\r\n").utf8)
    let request = try WorkerRequest(
      number: 1,
      loop: 0,
      head: head.span,
      context: context,
      body: [],
      contentLength: bodyLength,
      known: known
    )
    return String(decoding: request.bytes, as: UTF8.self)
  }

  @Test(
    "a request with fields that were said before is written as the first one was",
    arguments: [
      ["Host: a:81", "Accept: */*"],
      ["Host: b", "Cookie: c=1", "X-Two: 1", "Cookie: d=2", "x-two: 2"],
      ["Host: c", "Content-Type: text/plain", "Content-Length: 0"],
      [],
      ["Host: d", "A: " + String(repeating: "e", count: 2100)],
    ]
  )
  func again(fields: [String]) throws {
    let known = KnownFields()
    let first = try message(fields, KnownFields(), bodyLength: 0)
    for _ in 0..<4 { #expect(try message(fields, known, bodyLength: 0) == first) }
  }

  @Test("what is a request's own is written anew: its client, its length and its name")
  func own() throws {
    let known = KnownFields()
    for _ in 0..<3 { _ = try message(["Host: a", "Content-Type: b/c"], known) }
    let other = try message(["Host: a", "Content-Type: b/c"], known, bodyLength: 1205) {
      $0.client = SocketAddress(host: "2001:db8::1", port: 7)
      $0.identifier = (10, 255)
    }
    let name = "000000000000000a00000000000000ff"
    #expect(other.hasSuffix("GET\0/a\0b\0/a?b\0" + "1205\0" + "2001:db8::1\0" + "7\0" + name))
    let early = try message(["Host: a", "Content-Type: b/c"], known)
    #expect(early.hasSuffix("\0\0192.0.2.107\0" + "5309\0" + "0123456789abcdeffedcba9876543210"))
  }

  @Test("fields are known where the server is the same, and the application")
  func context() throws {
    let known = KnownFields()
    for _ in 0..<3 { _ = try message(["Host: a"], known) }
    let changes: [(inout WorkerRequest.Context) -> Void] = [
      { $0.scheme = Array("https".utf8) }, { $0.scriptName = Array("/shop".utf8) },
      { $0.version = Array("HTTP/2.0".utf8) }, { $0.serverName = Array("z".utf8) },
    ]
    for change in changes {
      let fresh = try message(["Host: a"], KnownFields(), change: change)
      for _ in 0..<3 { #expect(try message(["Host: a"], known, change: change) == fresh) }
    }
  }

  @Test("more fields than are kept are written as they are said")
  func many() throws {
    let known = KnownFields()
    for _ in 0..<3 {
      for number in 0..<600 {
        let text = try message(["Host: a", "Number: \(number)"], known)
        #expect(text.contains("HTTP_NUMBER\0\(number)\0"))
      }
    }
  }
}
