import HTTP1
import HTTPMessage
import MartletBytes
import Testing

@Suite("Response reader, RFC 9112 sections 4 to 8")
struct ResponseReaderTests {
  /// A response, the method it answers, its status, and its content.
  struct Example: Sendable, CustomTestStringConvertible {
    let method: String
    let text: String
    let status: UInt16
    let content: String
    var endsWithConnection = false

    var testDescription: String { String(text.prefix { $0 != "\r\n" }) + " to \(method)" }
  }

  static let examples = [
    Example(
      method: "GET",
      text: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
      status: 200,
      content: "hello"
    ),
    Example(
      method: "GET",
      text: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
      status: 200,
      content: ""
    ),
    Example(
      method: "HEAD",
      text: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
      status: 200,
      content: ""
    ),
    Example(method: "GET", text: "HTTP/1.1 304 Not Modified\r\n\r\n", status: 304, content: ""),
    Example(
      method: "POST",
      text: "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n"
        + "5\r\nhello\r\n7;a=b\r\n, world\r\n0\r\nX-Sum: 1\r\n\r\n",
      status: 201,
      content: "hello, world"
    ),
    Example(
      method: "GET",
      text: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        + "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
      status: 200,
      content: "ok"
    ),
    Example(
      method: "GET",
      text: "HTTP/1.0 200 OK\r\n\r\nto the end",
      status: 200,
      content: "to the end",
      endsWithConnection: true
    ),
  ]

  @Test("reads the responses of a pipeline one behind the other, however the bytes are split")
  func pipeline() throws {
    let wholes = Self.examples.filter { $0.method == "POST" || $0.method == "GET" }
      .filter { !$0.endsWithConnection }
    let bytes = wholes.flatMap { Array($0.text.utf8) }
    for size in 1...bytes.count {
      var reader = ResponseReader(answering: "GET")
      var found: [(status: UInt16, content: String)] = []
      var content: [UInt8] = []
      for start in stride(from: 0, to: bytes.count, by: size) {
        content += try reader.take(Array(bytes[start..<min(start + size, bytes.count)]))
        while reader.isWhole {
          found.append((reader.head.status, String(decoding: content, as: UTF8.self)))
          let hadMore = reader.hasMore
          content = try reader.beginNext()
          #expect(reader.isUntouched != hadMore)
        }
      }
      #expect(reader.isUntouched)
      #expect(found.map(\.status) == wholes.map(\.status), "parts of \(size)")
      #expect(found.map(\.content) == wholes.map(\.content), "parts of \(size)")
    }
  }

  @Test("reads the same however the bytes are split", arguments: examples)
  func splits(example: Example) throws {
    let bytes = Array(example.text.utf8)
    for first in 0..<bytes.count {
      for second in first..<bytes.count {
        var reader = ResponseReader(answering: example.method)
        #expect(reader.isUntouched)
        var content = try reader.take(Array(bytes[..<first]))
        content += try reader.take(Array(bytes[first..<second]))
        content += try reader.take(Array(bytes[second...]))
        #expect(reader.isWhole != example.endsWithConnection, "cut at \(first) and \(second)")
        #expect(reader.hasHead)
        #expect(!reader.isUntouched)
        let isWhole = reader.end()
        #expect(isWhole)
        #expect(reader.head.status == example.status)
        #expect(String(decoding: content, as: UTF8.self) == example.content)
      }
    }
  }

  @Test(
    "is not whole where the connection ends within",
    arguments: examples.filter { !$0.endsWithConnection }
  )
  func truncated(example: Example) throws {
    let bytes = Array(example.text.utf8)
    for count in 0..<bytes.count {
      var reader = ResponseReader(answering: example.method)
      try reader.take(Array(bytes[..<count]))
      let isWhole = reader.end()
      #expect(!isWhole, "\(count) bytes")
    }
  }

  @Test("tells fields of the head, the last one's alone, and no more of them than asked for")
  func fields() throws {
    var reader = ResponseReader(answering: "GET")
    let text =
      "HTTP/1.1 103 Early Hints\r\nLocation: /early\r\n\r\n"
      + "HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n"
    try reader.take(Array(text.utf8))
    #expect(reader.field("location") == "/there")
    #expect(reader.field("Location", limit: 3) == "/th")
    #expect(reader.field("link") == nil)
  }

  @Test("refuses what is not in form")
  func refused() {
    for text in [
      "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
    ] {
      var reader = ResponseReader(answering: "GET")
      #expect(throws: MessageError.self) { try reader.take(Array(text.utf8)) }
    }
  }
}
