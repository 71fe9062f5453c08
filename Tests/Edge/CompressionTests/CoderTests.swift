import Compression
import HTTPMessage
import Testing

@Suite("Coders")
struct CoderTests {
  @Test(
    "give back what they were given, at every level and with every window",
    arguments: codings,
    CodingWindow.allCases
  )
  func levels(coding: ContentCoding, window: CodingWindow) throws {
    let decoder = try #require(Decoder(coding))
    for level in Encoder.levels(of: coding) {
      let encoder = try #require(Encoder(coding, level: level, window: window))
      for count in [0, 1, 1000, 70_000] {
        let plain = text(count)
        for length in [nil, count] {
          let coded = try encoded(encoder, [(plain, .end)], length: length)
          #expect(try decoded(decoder, [coded]) == plain, "level \(level), \(count) bytes")
          if count > 500 { #expect(coded.count < count) }
        }
      }
    }
  }

  @Test("refuse levels and codings that there are not")
  func unknown() {
    #expect(Encoder(.identity, level: 0, window: .large) == nil)
    #expect(Decoder(.identity) == nil)
    for coding in codings {
      #expect(Encoder(coding, level: 0, window: .large) == nil)
      #expect(Encoder(coding, level: 16, window: .large) == nil)
    }
  }

  @Test(
    "make the same of a body however it is cut, and whatever fits into a block",
    arguments: codings,
    0..<12 as Range<UInt64>
  )
  func splits(coding: ContentCoding, seed: UInt64) throws {
    var numbers = SeededNumbers(seed: seed)
    let encoder = try #require(Encoder(coding, level: 3, window: .large))
    let decoder = try #require(Decoder(coding))
    let plain = text(Int.random(in: 0...100_000, using: &numbers), seed: seed)
    var pieces = cut(plain, &numbers).map { ($0, Push.more) }
    for index in pieces.indices where Int.random(in: 0..<50, using: &numbers) == 0 {
      pieces[index].1 = .flush
    }
    pieces[pieces.count - 1].1 = .end
    let size = [16, 100, 5000, 65_536].randomElement(using: &numbers) ?? 16
    let coded = try encoded(encoder, pieces, block: size)
    let other = [1, 7, 1000, 65_536].randomElement(using: &numbers) ?? 1
    #expect(try decoded(decoder, cut(coded, &numbers), block: other) == plain, "seed \(seed)")
  }

  @Test("let all be decoded that was flushed, before the body ends", arguments: codings)
  func flushes(coding: ContentCoding) throws {
    let encoder = try #require(Encoder(coding, level: 3, window: .large))
    let decoder = try #require(Decoder(coding))
    var coded: [[UInt8]] = []
    var plain: [UInt8] = []
    try encoder.begin(length: nil)
    var block = CodedBlock(capacity: 4096)
    for number in 0..<20 {
      let event = Array("data: event \(number)\n\n".utf8)
      plain += event
      var offset = 0
      let isOut = try encoder.encode(event.span, from: &offset, .flush, into: &block)
      #expect(isOut)
      coded.append(block.bytes)
      block.removeAll()
      #expect(try decoded(decoder, coded, ends: false) == plain, "event \(number)")
      // A flush without anything new makes at most a few bytes.
      offset = 0
      let nothing: [UInt8] = []
      let isEmpty = try encoder.encode(nothing.span, from: &offset, .flush, into: &block)
      #expect(isEmpty && block.count < 16)
      coded.append(block.bytes)
      block.removeAll()
    }
  }

  @Test("do not take a length that was not true", arguments: [1, 999, 1001, 5000])
  func untrue(length: Int) throws {
    let encoder = try #require(Encoder(.zstandard, level: 3, window: .large))
    #expect(throws: CodingError.self) {
      try encoded(encoder, [(text(500), .more), (text(500), .end)], length: length)
    }
    // The next body is none the worse.
    let plain = text(1000)
    let coded = try encoded(encoder, [(plain, .end)])
    #expect(try decoded(try #require(Decoder(.zstandard)), [coded]) == plain)
  }

  @Test("hold no more memory than is said of them", arguments: codings)
  func memory(coding: ContentCoding) throws {
    for (level, length) in [(1, 1000), (3, 16_000), (4, nil), (9, nil)] as [(Int, Int?)] {
      let kind = BodyCoder.Kind(coding, level: level, length: length)
      let coder = try #require(BodyCoder(kind))
      try coder.begin(length: length)
      let plain = text(length ?? 3_000_000)
      var start = 0
      while start < plain.count {
        start += coder.take(plain.span.extracting(start..<plain.count))
        while coder.run(start < plain.count ? .more : .end) != .done { coder.output.removeAll() }
        coder.output.removeAll()
      }
      #expect(coder.byteCount <= BodyCoder.byteCount(of: kind), "level \(level)")
    }
  }
}

@Suite("Decoders")
struct DecoderTests {
  @Test("refuse what ends too early, wherever it is cut", arguments: codings)
  func truncated(coding: ContentCoding) throws {
    let encoder = try #require(Encoder(coding, level: 3, window: .large))
    let decoder = try #require(Decoder(coding))
    let coded = try encoded(encoder, [(text(3000), .end)])
    for count in 1..<coded.count {
      #expect(throws: CodingError.malformed, "\(count) of \(coded.count)") {
        try decoded(decoder, [Array(coded[..<count])])
      }
    }
    // Nothing at all is an empty body.
    #expect(try decoded(decoder, [[]]) == [])
  }

  @Test("refuse what stands behind the end", arguments: codings)
  func trailing(coding: ContentCoding) throws {
    let encoder = try #require(Encoder(coding, level: 3, window: .large))
    let decoder = try #require(Decoder(coding))
    let coded = try encoded(encoder, [(text(3000), .end)])
    #expect(throws: CodingError.malformed) {
      try decoded(decoder, [coded + [0x21, 0x22, 0x23, 0x24]])
    }
    #expect(throws: CodingError.malformed) {
      try decoded(decoder, [coded, [0x21, 0x22, 0x23, 0x24]])
    }
  }

  @Test(
    "read several members one behind the other",
    arguments: [.gzip, .zstandard] as [ContentCoding]
  )
  func members(coding: ContentCoding) throws {
    let encoder = try #require(Encoder(coding, level: 3, window: .large))
    let decoder = try #require(Decoder(coding))
    let first = try encoded(encoder, [(text(2000, seed: 2), .end)])
    let second = try encoded(encoder, [(text(500, seed: 3), .end)])
    let plain = text(2000, seed: 2) + text(500, seed: 3)
    #expect(try decoded(decoder, [first + second]) == plain)
    #expect(try decoded(decoder, [first, second], block: 10) == plain)
    #expect(try decoded(decoder, (first + second).map { [$0] }) == plain)
  }

  @Test(
    "refuse frames of Zstandard before RFC 8878, however they are cut",
    arguments: [0x25, 0x26, 0x27] as [UInt8]
  )
  func legacy(version: UInt8) throws {
    let decoder = try #require(Decoder(.zstandard))
    let frame: [UInt8] = [version, 0xB5, 0x2F, 0xFD, 0x04, 0x70, 0x00, 0x05, 0x79, 0x3E, 0x68]
    #expect(throws: CodingError.malformed) { try decoded(decoder, [frame]) }
    #expect(throws: CodingError.malformed) { try decoded(decoder, frame.map { [$0] }) }
    let encoder = try #require(Encoder(.zstandard, level: 3, window: .large))
    let sound = try encoded(encoder, [(text(500), .end)])
    let skipped: [UInt8] = [0x5A, 0x2A, 0x4D, 0x18, 2, 0, 0, 0, 1, 2]
    let both = skipped + sound + skipped
    #expect(try decoded(decoder, both.map { [$0] }) == text(500))
    #expect(throws: CodingError.malformed) { try decoded(decoder, [sound + frame]) }
  }

  @Test("survive garbage, and spoilt bytes of what was sound", arguments: codings)
  func garbage(coding: ContentCoding) throws {
    var numbers = SeededNumbers(seed: 7)
    let encoder = try #require(Encoder(coding, level: 3, window: .large))
    let decoder = try #require(Decoder(coding, limits: DecodingLimits(byteCount: 1 << 20)))
    let sound = try encoded(encoder, [(text(5000), .end)])
    var refused = 0
    for round in 0..<2000 {
      var bytes = sound
      if round % 2 == 0 {
        bytes = (0..<Int.random(in: 1...300, using: &numbers)).map { _ in
          UInt8.random(in: 0 ... .max, using: &numbers)
        }
        if round % 4 == 0 { bytes = Array(sound.prefix(8)) + bytes }
      } else {
        for _ in 0..<Int.random(in: 1...4, using: &numbers) {
          let place = Int.random(in: 0..<bytes.count, using: &numbers)
          bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &numbers)
        }
      }
      do {
        let plain = try decoded(decoder, cut(bytes, &numbers), block: 3000)
        #expect(plain.count <= 1 << 20)
      } catch is CodingError {
        refused += 1
      }
    }
    #expect(refused > 1000)
  }

  @Test("refuse bombs before they have gone off", arguments: codings)
  func bombs(coding: ContentCoding) throws {
    let encoder = try #require(Encoder(coding, level: 9, window: .large))
    let zeros = [UInt8](repeating: 0, count: 1 << 20)
    var pieces = (0..<64).map { _ in (zeros, Push.more) }
    pieces.append(([], .end))
    let bomb = try encoded(encoder, pieces)
    #expect(bomb.count < 1 << 17)
    let limits = DecodingLimits(byteCount: 8 << 20, ratio: 1 << 30)
    let large = try #require(Decoder(coding, limits: limits))
    #expect(throws: CodingError.tooLarge) { try decoded(large, [bomb]) }
    let steep = try #require(Decoder(coding, limits: DecodingLimits(ratio: 100)))
    #expect(throws: CodingError.tooLarge) { try decoded(steep, [bomb]) }
    // What is small may be as dense as it likes.
    let small = try encoded(encoder, [(Array(zeros.prefix(500_000)), .end)])
    #expect(try decoded(steep, [small]).count == 500_000)
  }

  @Test("take what is exactly as large as it may be, and not a byte more", arguments: codings)
  func limit(coding: ContentCoding) throws {
    let encoder = try #require(Encoder(coding, level: 3, window: .large))
    let coded = try encoded(encoder, [(text(10_000), .end)])
    let limits = DecodingLimits(byteCount: 10_000)
    let enough = try #require(Decoder(coding, limits: limits))
    #expect(try decoded(enough, [coded]).count == 10_000)
    let few = try #require(Decoder(coding, limits: DecodingLimits(byteCount: 9999)))
    #expect(throws: CodingError.tooLarge) { try decoded(few, [coded]) }
  }
}

@Suite("The stock of coders")
struct CoderStockTests {
  private let kind = BodyCoder.Kind(.zstandard, level: 3, length: nil)

  @Test("uses coders again, and makes no more than there is memory for")
  func limits() throws {
    let cost = BodyCoder.byteCount(of: kind)
    let stock = CoderStock(limit: 2 * cost)
    let first = try #require(stock.take(kind, length: nil))
    let second = try #require(stock.take(kind, length: 10))
    #expect(stock.take(kind, length: nil) == nil)
    #expect(stock.usedCount == 2 && stock.byteCount == 2 * cost)
    stock.giveBack(first, isSound: true)
    let third = try #require(stock.take(kind, length: nil))
    #expect(third === first)
    stock.giveBack(second, isSound: false)
    stock.giveBack(third, isSound: true)
    #expect(stock.usedCount == 0)
    // What waits makes room for another kind.
    stock.limit = cost
    let other = BodyCoder.Kind(.gzip, level: 6, length: 100)
    #expect(stock.take(other, length: 100) != nil)
    stock.empty()
    #expect(stock.byteCount <= BodyCoder.byteCount(of: other))
  }

  @Test("gives coders that know nothing of the body before", arguments: codings)
  func fresh(coding: ContentCoding) throws {
    let kind = BodyCoder.Kind(coding, level: 3, length: nil)
    let stock = CoderStock(limit: 1 << 30)
    let decoder = try #require(Decoder(coding))
    for round in 0..<5 {
      let coder = try #require(stock.take(kind, length: nil))
      let plain = text(1000 + round, seed: UInt64(round))
      #expect(coder.take(plain.span) == plain.count)
      if round % 2 == 0 {
        #expect(coder.run(.end) == .done)
        #expect(try decoded(decoder, [coder.output.bytes]) == plain)
        #expect(coder.takenCount == UInt64(plain.count))
      } else {
        // Given back in the middle of a body.
        #expect(coder.run(.flush) == .done)
      }
      stock.giveBack(coder, isSound: true)
    }
  }
}
