import MartletBytes
import Testing

@Suite("Messages with a head and a body")
struct HeadedDecoderTests {
  private struct Read: Equatable {
    var messages: [[[UInt8]]] = []
    var isWithinFrame = false
  }

  /// The heads and bodies of a stream that comes in these parts.
  private func read(
    _ parts: [ArraySlice<UInt8>],
    headLimit: Int = 10,
    bodyLimit: Int = 10
  ) throws(FramingError) -> Read {
    var decoder = HeadedDecoder(headLimit: headLimit, bodyLimit: bodyLimit)
    var read = Read()
    for part in parts {
      var offset = 0
      let bytes = Array(part)
      while let event = try decoder.next(in: bytes.span, from: &offset) {
        switch event {
        case .head(let head, _): read.messages.append([head, []])
        case .body(let range): read.messages[read.messages.count - 1][1] += bytes[range]
        }
      }
    }
    read.isWithinFrame = decoder.isWithinFrame
    return read
  }

  private func stream(_ messages: [[[UInt8]]]) -> [UInt8] {
    messages.flatMap { HeadedFrame.start(head: $0[0], bodyBytes: $0[1].count) + $0[1] }
  }

  @Test("are the same however the stream is cut")
  func splits() throws {
    let messages: [[[UInt8]]] = [[[1, 2, 3], [4, 5]], [[], []], [[6], []], [[], [7, 8, 9]]]
    let stream = stream(messages)
    for first in 0...stream.count {
      for second in first...stream.count {
        let parts = [stream[..<first], stream[first..<second], stream[second...]]
        #expect(try read(parts) == Read(messages: messages), "at \(first), \(second)")
      }
    }
    #expect(try read(stream.indices.map { stream[$0...$0] }) == Read(messages: messages))
  }

  @Test("may be as long as the limits and no longer, which is known before they come")
  func limits() throws {
    let longest: [[[UInt8]]] = [[Array(repeating: 1, count: 10), Array(repeating: 2, count: 10)]]
    #expect(try read([stream(longest)[...]]).messages == longest)
    let head = HeadedFrame.start(head: Array(repeating: 1, count: 11), bodyBytes: 0)
    #expect(throws: FramingError.tooLong(limit: 10)) { try read([head.prefix(12)]) }
    let body = HeadedFrame.start(head: [], bodyBytes: 11)
    #expect(throws: FramingError.tooLong(limit: 10)) { try read([body[...]]) }
    // Beyond all numbers that there are.
    let all = [UInt8](repeating: 0, count: 4) + [UInt8](repeating: 255, count: 8)
    #expect(throws: FramingError.tooLong(limit: .max)) {
      try read([all[...]], bodyLimit: .max)
    }
  }

  @Test("tell whether the stream may end")
  func ends() throws {
    let stream = stream([[[1], [2, 3]]])
    for count in 1..<stream.count { #expect(try read([stream.prefix(count)]).isWithinFrame) }
    #expect(try !read([stream[...]]).isWithinFrame)
    #expect(try !read([]).isWithinFrame)
  }
}
