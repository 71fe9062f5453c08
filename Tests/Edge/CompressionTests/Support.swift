import Compression
import HTTPMessage
import Testing

/// Numbers that come again with the same seed.
struct SeededNumbers: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  // SplitMix64 of Steele, Lea and Flood.
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var word = state
    word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
    return word ^ word >> 31
  }
}

let codings: [ContentCoding] = [.gzip, .brotli, .zstandard]

/// Something like a page: words that come again, and some that do not.
func text(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
  var numbers = SeededNumbers(seed: seed)
  let words = ["<div class=\"", "item", "\">", "price", "</div>\n", "shop", " and ", "more "]
  var bytes: [UInt8] = []
  while bytes.count < count {
    bytes += Array((words.randomElement(using: &numbers) ?? "").utf8)
    if Int.random(in: 0..<5, using: &numbers) == 0 {
      bytes += Array("\(UInt32.random(in: 0 ... .max, using: &numbers))".utf8)
    }
  }
  return Array(bytes.prefix(count))
}

/// All that an encoder makes of pieces, each with what is wanted behind it, in blocks of a size.
func encoded(
  _ encoder: Encoder,
  _ pieces: [([UInt8], Push)],
  length: Int? = nil,
  block size: Int = 65_536
) throws -> [UInt8] {
  try encoder.begin(length: length)
  var block = CodedBlock(capacity: size)
  var all: [UInt8] = []
  for (piece, push) in pieces {
    var offset = 0
    while try !encoder.encode(piece.span, from: &offset, push, into: &block) {
      try #require(block.count <= size)
      all += block.bytes
      block.removeAll()
    }
    #expect(offset == piece.count)
    all += block.bytes
    block.removeAll()
  }
  return all
}

/// All that a decoder makes of pieces, in blocks of a size.
func decoded(
  _ decoder: Decoder,
  _ pieces: [[UInt8]],
  block size: Int = 65_536,
  ends: Bool = true
) throws -> [UInt8] {
  try decoder.begin()
  var block = CodedBlock(capacity: size)
  var all: [UInt8] = []
  for index in pieces.indices {
    let push: Push = ends && index == pieces.count - 1 ? .end : .more
    let piece = pieces[index]
    var offset = 0
    while try !decoder.decode(piece.span, from: &offset, push, into: &block) {
      try #require(block.count <= size)
      all += block.bytes
      block.removeAll()
    }
    all += block.bytes
    block.removeAll()
  }
  return all
}

/// Bytes cut into pieces at random.
func cut(_ bytes: [UInt8], _ numbers: inout SeededNumbers) -> [[UInt8]] {
  var pieces: [[UInt8]] = []
  var start = 0
  let most = [1, 3, 17, 400, 40_000].randomElement(using: &numbers) ?? 1
  while start < bytes.count {
    let end = min(bytes.count, start + Int.random(in: 1...most, using: &numbers))
    pieces.append(Array(bytes[start..<end]))
    start = end
  }
  return pieces.isEmpty ? [[]] : pieces
}
