import HTTP1
import HTTPMessage
import Invariants

/// What a body is read as, up to its end, its defect or the end of the bytes.
private struct Reading: Hashable {
  var content: [UInt8] = []
  var trailers: [[UInt8]] = []
  var isOver = false
  var error: MessageError?
  var used = 0
}

/// The form of the decoder that is used.
private enum Form {
  case next
  case pass
}

private func read(_ bytes: [UInt8], cuts: [Int], form: Form) -> (Reading, passed: [UInt8]) {
  var decoder = ChunkedDecoder(limits: HeadLimits())
  var reading = Reading()
  var passed: [UInt8] = []
  var start = 0
  for end in cuts + [bytes.count] where !reading.isOver {
    let buffer = bytes.span.extracting(start..<end)
    var offset = 0
    do throws(MessageError) {
      switch form {
      case .next: try next(&decoder, buffer, &offset, &reading)
      case .pass: try pass(&decoder, buffer, &offset, &reading, &passed)
      }
    } catch {
      reading.error = error
      return (reading, passed)
    }
    require(offset <= buffer.count, "no more is used than is given")
    start += offset
  }
  reading.used = start
  return (reading, passed)
}

private func next(
  _ decoder: inout ChunkedDecoder,
  _ buffer: Span<UInt8>,
  _ offset: inout Int,
  _ reading: inout Reading
) throws(MessageError) {
  while true {
    switch try decoder.next(in: buffer, at: &offset) {
    case .needBytes: return
    case .data(let range):
      require(!range.isEmpty, "data is never empty")
      for index in range { reading.content.append(buffer[index]) }
    case .trailer(let name, let value): add(buffer, name, value, to: &reading)
    case .end:
      reading.isOver = true
      return
    }
  }
}

private func pass(
  _ decoder: inout ChunkedDecoder,
  _ buffer: Span<UInt8>,
  _ offset: inout Int,
  _ reading: inout Reading,
  _ passed: inout [UInt8]
) throws(MessageError) {
  while true {
    switch try decoder.pass(in: buffer, at: &offset) {
    case .needBytes: return
    case .bytes(let range, let content):
      require(!range.isEmpty && content <= range.count, "content is a part of what is passed on")
      for index in range { passed.append(buffer[index]) }
    case .trailer(let name, let value): add(buffer, name, value, to: &reading)
    case .end:
      reading.isOver = true
      return
    }
  }
}

private func add(
  _ buffer: Span<UInt8>,
  _ name: Range<Int>,
  _ value: Range<Int>,
  to reading: inout Reading
) {
  var line: [UInt8] = []
  for index in name { line.append(buffer[index]) }
  require(!FieldName(line.span).isForbiddenInTrailers, "a trailer may stand there")
  line.append(0x3A)
  for index in value { line.append(buffer[index]) }
  require(line.allSatisfy { ($0 >= 0x20 || $0 == 0x09) && $0 != 0x7F }, "no control byte")
  reading.trailers.append(line)
}

/// Called by libFuzzer with each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzChunked(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  let bytes = unsafe input(start, count)
  let (whole, _) = read(bytes, cuts: [], form: .next)
  let (passing, passed) = read(bytes, cuts: [], form: .pass)
  require(passing.isOver == whole.isOver && passing.used == whole.used, "both forms agree")
  require(passing.error == whole.error && passing.trailers == whole.trailers, "both forms agree")
  for cuts in cuts(of: bytes) {
    let (split, _) = read(bytes, cuts: cuts, form: .next)
    require(split == whole, "every split gives the same")
    let (splitPassing, splitPassed) = read(bytes, cuts: cuts, form: .pass)
    require(splitPassing.error == passing.error, "every split has the same defect")
    guard whole.error == nil else { continue }
    require(splitPassing == passing && splitPassed == passed, "every split passes on the same")
  }
  guard whole.error == nil else { return 0 }
  let (again, _) = read(passed, cuts: [], form: .next)
  require(again.error == nil && again.content == whole.content, "the same content is passed on")
  require(again.isOver == whole.isOver && again.used == passed.count, "and all of it is used")
  return 0
}
