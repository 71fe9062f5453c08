import MartletBytes
import Testing

/// A way to tell messages apart, with a name for the log.
struct NamedForm: Sendable, CustomTestStringConvertible {
  var name: String
  var form: FrameForm
  var testDescription: String { name }

  static let all = [
    NamedForm(name: "lines", form: .lines),
    NamedForm(name: "two bytes", form: .delimited([0x0D, 0x0A])),
    NamedForm(name: "a delimiter that overlaps itself", form: .delimited(Array("aabaaab".utf8))),
    NamedForm(name: "one byte of length", form: .counted(LengthField(byteCount: 1))),
    NamedForm(
      name: "three bytes, the least first",
      form: .counted(LengthField(byteCount: 3, order: .littleEndian))
    ),
    NamedForm(name: "as gRPC", form: .counted(LengthField(byteCount: 4, offset: 1))),
    NamedForm(
      name: "a length that counts itself",
      form: .counted(LengthField(byteCount: 8, surplus: 8))
    ),
  ]

  /// What stands before the number of a message, in those forms that have something there.
  var head: [UInt8] {
    if case .counted(let field) = form { return Array(repeating: 7, count: field.offset) }
    return []
  }

  /// Messages as one stream.
  func stream(_ messages: [[UInt8]]) throws(FramingError) -> [UInt8] {
    var stream: [UInt8] = []
    for message in messages { stream += try form.frame(message, head: head) }
    return stream
  }
}

@Suite("Messages in a stream of bytes")
struct FramingTests {
  private static let messages = ["", "a", "abaab", "", "{\"a\":1}", "abab", "last"].map {
    Array($0.utf8)
  }

  private func messages(
    of parts: [ArraySlice<UInt8>],
    _ form: FrameForm,
    limit: Int = 1000
  ) throws(FramingError) -> [[UInt8]] {
    var frames = Frames(form, limit: limit)
    var messages: [[UInt8]] = []
    for part in parts {
      frames.receive(Array(part).span)
      while let message = try frames.next() { messages.append(message) }
    }
    return messages
  }

  @Test("are the same however the stream is cut", arguments: NamedForm.all)
  func splits(_ named: NamedForm) throws {
    let stream = try named.stream(Self.messages)
    for first in 0...stream.count {
      for second in first...stream.count {
        let parts = [stream[..<first], stream[first..<second], stream[second...]]
        #expect(try messages(of: parts, named.form) == Self.messages, "at \(first), \(second)")
      }
    }
    let single = stream.indices.map { stream[$0...$0] }
    #expect(try messages(of: single, named.form) == Self.messages)
  }

  @Test("of a fixed length come one behind the other")
  func fixed() throws {
    let bytes = Array("abcdef".utf8)
    #expect(
      try messages(of: [bytes[..<4], bytes[4...]], .fixed(3)) == [[97, 98, 99], [100, 101, 102]]
    )
    #expect(throws: FramingError.unfitLength(2)) { try FrameForm.fixed(3).frame([1, 2]) }
  }

  @Test("may be as long as the limit and no longer, which is known before they come")
  func limit() throws {
    let counted = FrameForm.counted(LengthField(byteCount: 2))
    #expect(try messages(of: [[0, 5, 1, 2, 3, 4, 5]], counted, limit: 5) == [[1, 2, 3, 4, 5]])
    #expect(throws: FramingError.tooLong(limit: 5)) {
      try messages(of: [[0, 6]], counted, limit: 5)
    }
    #expect(try messages(of: [[1, 1, 1, 10]], .lines, limit: 3) == [[1, 1, 1]])
    #expect(throws: FramingError.tooLong(limit: 3)) {
      try messages(of: [[1, 1], [1, 1]], .lines, limit: 3)
    }
    // The beginning of a delimiter is none of the message until something else follows it.
    let pair = FrameForm.delimited([13, 10])
    #expect(try messages(of: [[1, 1, 1, 13], [10]], pair, limit: 3) == [[1, 1, 1]])
    #expect(throws: FramingError.tooLong(limit: 3)) {
      try messages(of: [[1, 1, 1, 13], [13]], pair, limit: 3)
    }
  }

  @Test("before one that is refused are given all the same")
  func failure() throws {
    var frames = Frames(.counted(LengthField(byteCount: 1)), limit: 2)
    frames.receive([1, 9, 0, 200, 1, 1].span)
    #expect(try frames.next() == [9])
    #expect(try frames.next() == [])
    for _ in 0..<2 { #expect(throws: FramingError.tooLong(limit: 2)) { try frames.next() } }
    frames.receive([1, 1].span)
    #expect(throws: FramingError.tooLong(limit: 2)) { try frames.next() }
  }

  @Test("with a length less than what it counts already, or beyond all numbers, are refused")
  func malformed() {
    let itself = FrameForm.counted(LengthField(byteCount: 4, surplus: 4))
    #expect(throws: FramingError.malformedLength) { try messages(of: [[0, 0, 0, 3]], itself) }
    let long = FrameForm.counted(LengthField(byteCount: 8))
    let all = [UInt8](repeating: 255, count: 8)
    #expect(throws: FramingError.malformedLength) { try messages(of: [all[...]], long) }
  }

  @Test("that could not be found again are not sent")
  func unsendable() throws {
    #expect(throws: FramingError.containsDelimiter) { try FrameForm.lines.frame([1, 10, 2]) }
    // Not in the message itself, but where it meets the delimiter.
    let twice = FrameForm.delimited([1, 1])
    #expect(throws: FramingError.containsDelimiter) { try twice.frame([2, 1]) }
    #expect(try twice.frame([1, 2]) == [1, 2, 1, 1])
    let short = FrameForm.counted(LengthField(byteCount: 1))
    #expect(throws: FramingError.unfitLength(256)) {
      try short.frame([UInt8](repeating: 0, count: 256))
    }
    #expect(try short.frame([UInt8](repeating: 0, count: 255)).count == 256)
  }

  @Test("are told part by part, with their length and what stands before it")
  func parts() throws {
    var decoder = FrameDecoder(.counted(LengthField(byteCount: 2, offset: 1)), limit: 1 << 16)
    var offset = 0
    let start: [UInt8] = [9, 0, 3, 65]
    let first = try #require(try decoder.next(in: start.span, from: &offset))
    #expect(first.begins && !first.ends && first.byteCount == 3 && first.range == 3..<4)
    #expect(Array(decoder.head) == [9] && decoder.isWithinFrame)
    #expect(try decoder.next(in: start.span, from: &offset) == nil)
    offset = 0
    let rest: [UInt8] = [66, 67, 8, 0, 0]
    let second = try #require(try decoder.next(in: rest.span, from: &offset))
    #expect(!second.begins && second.ends && second.range == 0..<2 && !decoder.isWithinFrame)
    let empty = try #require(try decoder.next(in: rest.span, from: &offset))
    #expect(empty.begins && empty.ends && empty.range.isEmpty && Array(decoder.head) == [8])
  }
}
