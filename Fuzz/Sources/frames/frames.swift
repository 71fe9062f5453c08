import Invariants
import MartletBytes

/// The forms that inputs are read in; their first byte chooses.
private let forms: [FrameForm] = [
  .fixed(3),
  .lines,
  .delimited([13, 10]),
  .delimited(Array("aab".utf8)),
  .counted(LengthField(byteCount: 1)),
  .counted(LengthField(byteCount: 2, order: .littleEndian, surplus: 2)),
  .counted(LengthField(byteCount: 4, offset: 1)),
  .counted(LengthField(byteCount: 8)),
]

private let limit = 4096

/// The messages of a stream that comes in these parts, with nil where it cannot be taken apart.
private func messages(_ bytes: [UInt8], _ form: FrameForm, cuts: [Int]) -> [[UInt8]?] {
  var frames = Frames(form, limit: limit)
  var messages: [[UInt8]?] = []
  var start = 0
  for end in cuts + [bytes.count] {
    frames.receive(Array(bytes[start..<end]).span)
    start = end
    do throws(FramingError) {
      while let message = try frames.next() { messages.append(message) }
    } catch {
      return messages + [nil]
    }
  }
  return messages
}

/// Called by libFuzzer with each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzFrames(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  let bytes = unsafe input(start, count)
  guard let first = bytes.first else { return 0 }
  let form = forms[Int(first) % forms.count]
  let stream = Array(bytes.dropFirst())
  let whole = messages(stream, form, cuts: [])
  for cuts in cuts(of: stream) {
    require(messages(stream, form, cuts: cuts) == whole, "every split gives the same")
  }
  var again: [UInt8] = []
  for message in whole {
    guard let message else { break }
    require(message.count <= limit, "no message is longer than the limit")
    let head =
      if case .counted(let field) = form { [UInt8](repeating: 0, count: field.offset) } else {
        [UInt8]()
      }
    do throws(FramingError) {
      again += try form.frame(message, head: head)
    } catch {
      require(false, "what was read can be written")
    }
  }
  let readable = whole.last == .some(nil) ? whole.dropLast() : whole[...]
  require(messages(again, form, cuts: [])[...] == readable, "what is written is read again")
  return 0
}
