import HTTP1
import HTTPMessage
import MartletBytes

/// What a parser made of a head, in a form that can be compared and printed.
struct ReadHead: Hashable {
  var startLine: String
  var facts: String
  var fields: [String]
  var bodyLength: BodyLength
  var byteCount: Int
}

/// Reads a request whose bytes arrive in pieces that end at `cuts`; nil when it is incomplete.
func readRequest(
  _ bytes: [UInt8],
  cuts: [Int] = [],
  limits: HeadLimits = HeadLimits()
) throws(MessageError) -> ReadHead? {
  var parser = RequestParser(limits: limits)
  var head = RequestHead()
  for end in cuts + [bytes.count] where try parser.parse(bytes.span.extracting(..<end), into: &head)
  {
    return ReadHead(head, bytes)
  }
  return nil
}

/// Reads a response whose bytes arrive in pieces that end at `cuts`; nil when it is incomplete.
func readResponse(
  _ bytes: [UInt8],
  answering method: Method = .get,
  cuts: [Int] = [],
  limits: HeadLimits = HeadLimits()
) throws(MessageError) -> ReadHead? {
  var parser = ResponseParser(limits: limits)
  var head = ResponseHead()
  for end in cuts + [bytes.count] {
    let given = bytes.span.extracting(..<end)
    guard try parser.parse(given, answering: method, into: &head) else { continue }
    return ReadHead(head, bytes)
  }
  return nil
}

/// The text of a range.
func text(_ range: ByteRange, in bytes: [UInt8]) -> String {
  String(decoding: bytes[range.range], as: UTF8.self)
}

extension ReadHead {
  init(_ head: RequestHead, _ bytes: [UInt8]) {
    startLine = text(head.startLine, in: bytes)
    let ranges = [head.methodRange, head.target, head.authority, head.host, head.path, head.query]
    facts = ranges.map { text($0, in: bytes) }.joined(separator: "|")
    facts += "|\(head.method) \(head.form) \(head.version) \(head.hasQuery)"
    facts += " \(head.options.rawValue) \(head.expectsContinue) \(head.wantsUpgrade)"
    facts += " \(head.acceptsTrailers) \(head.keepsAlive)"
    fields = head.fields.map { Self.describe($0, bytes) }
    bodyLength = head.bodyLength
    byteCount = head.byteCount
  }

  init(_ head: ResponseHead, _ bytes: [UInt8]) {
    startLine = text(head.startLine, in: bytes)
    facts = "\(head.status) \(head.version) \(text(head.reason, in: bytes))"
    facts += " \(head.options.rawValue) \(head.isInformational) \(head.keepsAlive)"
    fields = head.fields.map { Self.describe($0, bytes) }
    bodyLength = head.bodyLength
    byteCount = head.byteCount
  }

  private static func describe(_ line: FieldLine, _ bytes: [UInt8]) -> String {
    let mark = line.isHopByHop ? "-" : ""
    let name = text(line.nameRange, in: bytes)
    let value = text(line.valueRange, in: bytes)
    return "\(mark)\(name)=\(value) \(line.name) \(line.lineEnd)"
  }
}
