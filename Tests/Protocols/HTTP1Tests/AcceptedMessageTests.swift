import HTTP1
import HTTPMessage
import TestCorpora
import Testing

/// What a reader made of some bytes, whatever it was.
private enum Reading<Message: Hashable>: Hashable {
  case incomplete
  case refused(MessageError)
  case message(Message)

  init(_ read: () throws -> Message?) rethrows {
    do {
      self = try read().map(Self.message) ?? .incomplete
    } catch let error as MessageError {
      self = .refused(error)
    }
  }
}

@Suite("Messages of the corpora")
struct AcceptedMessageTests {
  /// Requires that `read` gives the same for every cut, every two cuts near each other, and byte by
  /// byte; and that it never tells more than the bytes do.
  private func requireSplits<Message: Hashable>(
    of bytes: [UInt8],
    _ read: (_ cuts: [Int]) throws -> Message?
  ) throws {
    let whole = try Reading { try read([]) }
    #expect(try Reading { try read(Array(0..<bytes.count)) } == whole)
    for first in 0..<bytes.count {
      for second in first..<min(first + 2, bytes.count) {
        let split = try Reading { try read([first, second]) }
        #expect(split == whole, "cut at \(first) and \(second)")
      }
    }
  }

  @Test(
    "are accepted as requests, and every split gives the same",
    arguments: try Corpus.request.names()
  )
  func requests(name: String) throws {
    let bytes = try Corpus.request.bytes(of: name)
    #expect(try readRequest(bytes) != nil)
    try requireSplits(of: bytes) { try readRequest(bytes, cuts: $0) }
  }

  @Test(
    "are accepted as responses, and every split gives the same",
    arguments: try Corpus.response.names()
  )
  func responses(name: String) throws {
    let bytes = try Corpus.response.bytes(of: name)
    #expect(try readResponse(bytes) != nil)
    for method in [Method.get, .head, .connect] {
      try requireSplits(of: bytes) { try readResponse(bytes, answering: method, cuts: $0) }
    }
  }

  @Test(
    "are accepted as bodies, and every split gives the same",
    arguments: try Corpus.chunked.names()
  )
  func bodies(name: String) throws {
    let bytes = try Corpus.chunked.bytes(of: name)
    let whole = try readBody(bytes)
    #expect(whole.isOver || !whole.content.isEmpty)
    try requireSplits(of: bytes) { try readBody(bytes, cuts: $0) }
    try requireSplits(of: bytes) { try passBody(bytes, cuts: $0).body }
  }

  @Test(
    "are read alike in every split when bytes of them are changed",
    arguments: 0..<8 as Range<UInt64>
  )
  func changed(seed: UInt64) throws {
    var random = SeededGenerator(seed)
    for name in try Corpus.request.names() {
      let bytes = changed(try Corpus.request.bytes(of: name), by: &random)
      let cuts = random.cuts(of: bytes)
      let whole = try Reading { try readRequest(bytes) }
      let split = try Reading { try readRequest(bytes, cuts: cuts) }
      #expect(split == whole, "\(name), seed \(seed), cut at \(cuts)")
    }
    for name in try Corpus.response.names() {
      let bytes = changed(try Corpus.response.bytes(of: name), by: &random)
      let cuts = random.cuts(of: bytes)
      let whole = try Reading { try readResponse(bytes) }
      let split = try Reading { try readResponse(bytes, cuts: cuts) }
      #expect(split == whole, "\(name), seed \(seed), cut at \(cuts)")
    }
    for name in try Corpus.chunked.names() {
      let bytes = changed(try Corpus.chunked.bytes(of: name), by: &random)
      let cuts = random.cuts(of: bytes)
      let whole = try Reading { try readBody(bytes) }
      let split = try Reading { try readBody(bytes, cuts: cuts) }
      #expect(split == whole, "\(name), seed \(seed), cut at \(cuts)")
    }
  }

  /// `bytes` with up to three of them replaced, removed or doubled.
  private func changed(_ bytes: [UInt8], by random: inout SeededGenerator) -> [UInt8] {
    var bytes = bytes
    let telling = Array("\r\n\0 \t:;,/%.0aA\u{7F}".utf8)
    for _ in 0..<Int.random(in: 1...3, using: &random) where !bytes.isEmpty {
      let index = Int.random(in: bytes.indices, using: &random)
      switch Int.random(in: 0..<3, using: &random) {
      case 0: bytes[index] = telling[Int.random(in: telling.indices, using: &random)]
      case 1: bytes.remove(at: index)
      default: bytes.insert(bytes[index], at: index)
      }
    }
    return bytes
  }
}

@Suite("Requests made of random parts")
struct RandomRequestTests {
  private static let tokenBytes = Array("abcXYZ019!#$%&'*+-.^_`|~".utf8)
  private static let valueBytes = Array("aZ09 \t:;,\"'()<>@/[]?={}\\%-".utf8) + [0x80, 0xE9, 0xFF]

  private func token(_ count: ClosedRange<Int>, _ random: inout SeededGenerator) -> String {
    let count = Int.random(in: count, using: &random)
    let bytes = (0..<count).map { _ in
      Self.tokenBytes[Int.random(in: Self.tokenBytes.indices, using: &random)]
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  @Test("are read as the parts they were made of", arguments: 0..<200 as Range<UInt64>)
  func roundTrip(seed: UInt64) throws {
    var random = SeededGenerator(seed)
    let method = token(1...32, &random)
    var bytes = Array("\(method) /a HTTP/1.1\r\nHost: h\r\n".utf8)
    var names: [String] = []
    var values: [[UInt8]] = []
    for _ in 0..<Int.random(in: 0...40, using: &random) {
      // No known name begins with these, so that no field has a meaning.
      let name = "zz" + token(0...60, &random)
      var value = (0..<Int.random(in: 0...70, using: &random)).map { _ in
        Self.valueBytes[Int.random(in: Self.valueBytes.indices, using: &random)]
      }
      let spaces = String(repeating: " ", count: Int.random(in: 0...3, using: &random))
      bytes += Array(name.utf8) + [0x3A] + Array(spaces.utf8) + value + Array("\t\r\n".utf8)
      while let first = value.first, first == 0x20 || first == 0x09 { value.removeFirst() }
      while let last = value.last, last == 0x20 || last == 0x09 { value.removeLast() }
      names.append(name)
      values.append(value)
    }
    bytes += [0x0D, 0x0A]
    var parser = RequestParser(limits: HeadLimits())
    var head = RequestHead()
    let isComplete = try parser.parse(bytes.span, into: &head)
    #expect(isComplete, "seed \(seed)")
    #expect(text(head.methodRange, in: bytes) == method)
    #expect(head.fields.dropFirst().map { text($0.nameRange, in: bytes) } == names)
    #expect(head.fields.dropFirst().map { Array(bytes[$0.valueRange.range]) } == values)
    #expect(head.byteCount == bytes.count)
    let cuts = random.cuts(of: bytes)
    #expect(try readRequest(bytes, cuts: cuts) == ReadHead(head, bytes), "seed \(seed)")
  }
}

/// Random numbers that are the same in every run: those of a linear congruential generator.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 1 }

  mutating func next() -> UInt64 {
    var word: UInt64 = 0
    for _ in 0..<2 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      word = word << 32 | state >> 32
    }
    return word
  }

  /// A few offsets in `bytes`, in order.
  mutating func cuts(of bytes: [UInt8]) -> [Int] {
    var cuts: [Int] = []
    for _ in 0..<Int.random(in: 1...6, using: &self) {
      cuts.append(Int.random(in: 0...bytes.count, using: &self))
    }
    return cuts.sorted()
  }
}
