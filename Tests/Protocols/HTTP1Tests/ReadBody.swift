import HTTP1
import HTTPMessage
import MartletBytes

/// What a decoder made of a chunked body, in a form that can be compared and printed.
struct ReadBody: Hashable {
  var content: [UInt8] = []
  var trailers: [String] = []
  /// Whether the body's end was found.
  var isOver = false
  /// How many bytes were used.
  var byteCount = 0
}

/// Gives the pieces of `bytes` that end at `cuts` to `step`, each behind what was left of the last.
///
/// `step` is called with a buffer and an offset into it until it says that it needs more bytes, or
/// that all is over.
private func feed(
  _ bytes: [UInt8],
  cuts: [Int],
  to step: (_ buffer: [UInt8], _ offset: inout Int) throws -> Bool
) rethrows -> Int {
  var start = 0
  for end in cuts + [bytes.count] {
    // The bytes before those that are given stand for what a real buffer holds there.
    let padding = [UInt8](repeating: 0x0D, count: end % 3)
    let buffer = padding + bytes[start..<end]
    var offset = padding.count
    let wantsMore = try step(buffer, &offset)
    start += offset - padding.count
    if !wantsMore { break }
  }
  return start
}

/// Decodes a body whose bytes arrive in pieces that end at `cuts`.
func readBody(
  _ bytes: [UInt8],
  cuts: [Int] = [],
  limits: HeadLimits = HeadLimits()
) throws -> ReadBody {
  var decoder = ChunkedDecoder(limits: limits)
  var body = ReadBody()
  body.byteCount = try feed(bytes, cuts: cuts) { buffer, offset in
    while true {
      switch try decoder.next(in: buffer.span, at: &offset) {
      case .needBytes: return true
      case .data(let range): body.content += buffer[range]
      case .trailer(let name, let value): body.trailers.append(line(name, value, in: buffer))
      case .end:
        body.isOver = true
        return false
      }
    }
  }
  return body
}

/// What a decoder lets pass of a body whose bytes arrive in pieces that end at `cuts`: the bytes
/// that are passed on, and beside them what they amount to.
func passBody(
  _ bytes: [UInt8],
  cuts: [Int] = [],
  limits: HeadLimits = HeadLimits()
) throws -> (passed: [UInt8], contentCount: Int, body: ReadBody) {
  var decoder = ChunkedDecoder(limits: limits)
  var body = ReadBody()
  var passed: [UInt8] = []
  var contentCount = 0
  body.byteCount = try feed(bytes, cuts: cuts) { buffer, offset in
    while true {
      switch try decoder.pass(in: buffer.span, at: &offset) {
      case .needBytes: return true
      case .bytes(let range, let count):
        passed += buffer[range]
        contentCount += count
      case .trailer(let name, let value): body.trailers.append(line(name, value, in: buffer))
      case .end:
        body.isOver = true
        return false
      }
    }
  }
  return (passed, contentCount, body)
}

private func line(_ name: Range<Int>, _ value: Range<Int>, in bytes: [UInt8]) -> String {
  let name = String(decoding: bytes[name], as: UTF8.self)
  return name + "=" + String(decoding: bytes[value], as: UTF8.self)
}
