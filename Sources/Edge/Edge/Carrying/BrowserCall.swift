import GRPC
import MartletBytes

/// A call of gRPC that comes from a browser, and is translated for a member on its stream.
struct BrowserCall {
  let form: WebForm
  /// What the browser calls its content.
  let contentType: [UInt8]
  private var decoder = WebTextDecoder()
  /// How much content has come from the member, how much that became, how much of it was read, and how
  /// much of what has come was told of as used.
  private var received = 0
  private var written = 0
  private var read = 0
  private var told = 0

  /// - Returns: nil when it is no call of a browser.
  init?(contentType: Span<UInt8>) {
    guard let form = WebForm(contentType: contentType) else { return nil }
    self.form = form
    self.contentType = Array(copying: contentType)
  }

  /// Takes base64 apart; false: it is none.
  mutating func decode(_ text: Span<UInt8>, into bytes: inout [UInt8]) -> Bool {
    decoder.decode(text, into: &bytes)
  }

  /// Notes that content has come, and what it became.
  mutating func note(received: Int, written: Int) {
    self.received += received
    self.written += written
  }

  /// How much of what has come is used, now that further `count` bytes of what it became were read.
  mutating func used(_ count: Int) -> Int {
    read += count
    let all = read >= written ? received : min(received, form == .text ? read / 4 * 3 : read)
    defer { told = max(told, all) }
    return max(0, all - told)
  }

  /// Gives the head of an answer the type that the browser knows; with more to come its content is in
  /// chunks, as the trailers become a part of it.
  func translate(_ head: inout [UInt8], isLast: Bool) {
    var result: [UInt8] = []
    var start = head.startIndex
    while let end = head[start...].firstIndex(of: 0x0A) {
      let line = Array(head[start...end])
      start = end + 1
      if line.count <= 2 {
        if !isLast { result += Self.chunked }
        result += line
      } else if Self.has(line, Self.typeName) {
        let value = Array(line.dropFirst(Self.typeName.count).dropLast(2).drop { $0 == 0x20 })
        result += Self.typeName + [0x20] + form.webType(of: value) + [0x0D, 0x0A]
      } else if isLast || !Self.has(line, Self.lengthName) && !Self.has(line, Self.codingName) {
        result += line
      }
    }
    head = result
  }

  private static func has(_ line: [UInt8], _ name: [UInt8]) -> Bool {
    line.count > name.count
      && line.prefix(name.count).elementsEqual(name) { $0 | 0x20 == $1 | 0x20 }
  }

  private static let typeName = Array("content-type:".utf8)
  private static let lengthName = Array("content-length:".utf8)
  private static let codingName = Array("transfer-encoding:".utf8)
  private static let chunked = Array("Transfer-Encoding: chunked\r\n".utf8)
}
