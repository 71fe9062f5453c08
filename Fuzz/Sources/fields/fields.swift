import HTTP1
import HTTPMessage
import Invariants

/// Called by libFuzzer with each input: the value of a structured field, and the frames of a WebSocket.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzFields(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  let bytes = Array(unsafe input(start, count).prefix(60_000))
  readDictionary(bytes)
  readItem(bytes)
  walkFrames(bytes)
  return 0
}

private func readDictionary(_ bytes: [UInt8]) {
  var walk = DictionaryWalk(0..<bytes.count)
  var end = 0
  while let (name, value) = walk.next(in: bytes.span) {
    require(!name.isEmpty && name.lowerBound >= end, "members come one after the other")
    end = name.upperBound
    switch value {
    case .integer(let number): require(abs(number) < 1_000_000_000_000_000, "fifteen digits")
    case .string(let range), .token(let range), .bytes(let range):
      require(range.lowerBound > end && range.upperBound <= bytes.count, "a value is its member's")
    case .truth, .other: break
    }
  }
  require(walk.next(in: bytes.span) == nil, "what is over stays over")
}

private func readItem(_ bytes: [UInt8]) {
  var fields = FieldLines()
  fields.append(
    FieldLine(
      name: .other,
      nameRange: ByteRange(0..<0),
      valueRange: ByteRange(HTTPGrammar.trimmed(0..<bytes.count, in: bytes.span)),
      lineEnd: UInt16(bytes.count),
      isHopByHop: false
    )
  )
  let none: [UInt8] = []
  guard let item = fields.item(named: none.span, in: bytes.span) else { return }
  // An item is the value of a member too.
  let member = Array("a=".utf8) + bytes[HTTPGrammar.trimmed(0..<bytes.count, in: bytes.span)]
  var walk = DictionaryWalk(0..<member.count)
  let first = walk.next(in: member.span)
  require(first != nil && !walk.isBroken, "what is an item can be a member")
  if case .integer = item { require(first?.value == item, "a number is the same number") }
  if case .truth = item { require(first?.value == item, "a truth is the same truth") }
  fields.append(fields[0])
  require(fields.item(named: none.span, in: bytes.span) == nil, "an item stands once")
}

private func walkFrames(_ bytes: [UInt8]) {
  var whole = WebSocketFrames()
  whole.pass(bytes.span)
  var parts = WebSocketFrames()
  var offset = 0
  while offset < bytes.count {
    let end = min(bytes.count, offset + 1 + Int(bytes[offset] & 31))
    parts.pass(bytes.span.extracting(offset..<end))
    offset = end
  }
  require(whole == parts, "frames end at the same places however they are split")
}
