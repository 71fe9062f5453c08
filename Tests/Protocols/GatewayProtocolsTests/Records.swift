import GatewayProtocols

/// Records as an application would send them.
enum Records {
  static func record(
    _ kind: FastCGIRecord.Kind,
    _ content: [UInt8],
    request: UInt16 = 1,
    padding: Int = 0
  ) -> [UInt8] {
    var bytes: [UInt8] = []
    FastCGIRecord(
      kind,
      request: request,
      contentCount: content.count,
      paddingCount: padding
    ).append(to: &bytes)
    return bytes + content + [UInt8](repeating: 0xAA, count: padding)
  }

  static func output(_ text: String, padding: Int = 0) -> [UInt8] {
    record(.standardOutput, Array(text.utf8), padding: padding)
  }

  static func error(_ text: String) -> [UInt8] { record(.standardError, Array(text.utf8)) }

  static func end(status: UInt8 = 0, outcome: UInt8 = 0) -> [UInt8] {
    record(.endRequest, [0, 0, 0, status, outcome, 0, 0, 0])
  }

  /// The answers of a peer, with what HTTP/1.1 makes of them.
  static let plain =
    output("Content-Type: text/plain\r\n\r\nhello") + output("") + end()
  static let split =
    output("Status: 404 Not ", padding: 5) + error("PHP message: no\n") + output("Here\nA: b\n\nx")
    + output(" and y", padding: 255) + end()
}

/// What an answer is read as.
struct Read: Hashable {
  var text: [UInt8] = []
  var said: [UInt8] = []
  var fault: GatewayFault?
  var hasEnded = false
  /// The place of this host that is to answer instead.
  var place: String?
}

/// Reads an answer that comes in these pieces, and perhaps the end of the connection.
func read(
  _ pieces: [[UInt8]],
  _ form: GatewayProtocol = .fastCGI,
  isHead: Bool = false,
  ends: Bool = false,
  by step: Int = 7
) -> Read {
  var answer = GatewayAnswer(form, headByteLimit: 4096)
  answer.begin(isHead: isHead)
  var read = Read()
  func drain() {
    while answer.hasOutput {
      read.place = answer.localTarget.map { String(decoding: $0, as: UTF8.self) }
      _ = answer.read(upTo: step) { span in
        for index in span.indices { read.text.append(span[index]) }
      }
    }
    if let said = answer.takeSaid() { read.said += said }
  }
  for piece in pieces {
    do throws(GatewayFault) {
      try answer.receive(piece.span)
    } catch {
      read.fault = error
      return read
    }
    drain()
  }
  if ends { answer.receiveEnd() }
  drain()
  read.hasEnded = answer.hasEnded
  return read
}
