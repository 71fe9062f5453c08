import Invariants
import MartletBytes

private let headLimit = 64
private let bodyLimit = 4096

/// What a stream that comes in these parts has, and nil where it cannot be taken apart.
private func messages(_ bytes: [UInt8], cuts: [Int]) -> [[[UInt8]]?] {
  var decoder = HeadedDecoder(headLimit: headLimit, bodyLimit: bodyLimit)
  var messages: [[[UInt8]]?] = []
  var start = 0
  for end in cuts + [bytes.count] {
    let part = Array(bytes[start..<end])
    start = end
    var offset = 0
    do throws(FramingError) {
      while let event = try decoder.next(in: part.span, from: &offset) {
        switch event {
        case .head(let head, let count):
          require(
            head.count <= headLimit && count <= bodyLimit,
            "no message is longer than the limits"
          )
          messages.append([head, []])
        case .body(let range):
          require(!range.isEmpty && range.upperBound == offset, "a part has bytes that came")
          messages[messages.count - 1]?[1] += part[range]
        }
      }
    } catch {
      return messages + [nil]
    }
    require(offset == part.count, "all that came is looked at")
  }
  return messages
}

/// Called by libFuzzer with each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzHeaded(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  let stream = unsafe input(start, count)
  let whole = messages(stream, cuts: [])
  for cuts in cuts(of: stream) {
    require(messages(stream, cuts: cuts) == whole, "every split gives the same")
  }
  var again: [UInt8] = []
  for case .some(let message) in whole {
    again += HeadedFrame.start(head: message[0], bodyBytes: message[1].count) + message[1]
  }
  let readable = whole.last == .some(nil) ? whole.dropLast() : whole[...]
  require(messages(again, cuts: [])[...] == readable, "what is written is read again")
  return 0
}
