import MartletBytes
import Testing

@Suite("Sixteen bytes")
struct SixteenBytesTests {
  /// The bytes of the two words, the first one first.
  private func bytes(of words: SixteenBytes) -> [UInt8] {
    [words.low, words.high].flatMap { word in
      (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) }
    }
  }

  @Test("are those from the offset on, and zeros behind the end", arguments: 0..<50)
  func reads(count: Int) {
    let all = (0..<count).map { UInt8($0 + 1) }
    for offset in 0...count {
      let wanted = Array(all[offset...].prefix(16))
      let found = bytes(of: SixteenBytes(all.span, at: offset))
      #expect(found == wanted + [UInt8](repeating: 0, count: 16 - wanted.count))
    }
  }

  @Test("find the first byte of a value", arguments: UInt8.min...UInt8.max)
  func finds(byte: UInt8) {
    // Neighbours of the byte: a borrow from one lane to the next would find them.
    let others = [byte &+ 1, byte &- 1, byte ^ 0x80]
    for position in 0..<16 {
      for other in others {
        var all = [UInt8](repeating: other, count: 16)
        #expect(SixteenBytes(all.span, at: 0).firstIndex(of: byte) == nil)
        all[position] = byte
        #expect(SixteenBytes(all.span, at: 0).firstIndex(of: byte) == position)
        all[15] = byte
        #expect(SixteenBytes(all.span, at: 0).firstIndex(of: byte) == position)
      }
    }
  }

  @Test("are the same in any case when folded, and end where they are cut", arguments: 0...16)
  func folds(count: Int) {
    let upper = Array("CONTENT-LENGTH-0".utf8)
    let lower = Array("content-length-0".utf8)
    let folded = SixteenBytes(upper.span, at: 0).folded(count)
    #expect(folded == SixteenBytes(lower.span, at: 0).folded(count))
    #expect(bytes(of: folded) == lower.prefix(count) + [UInt8](repeating: 0, count: 16 - count))
  }

  @Test("are in lower case, and only letters are changed", arguments: UInt8.min...UInt8.max)
  func lowers(byte: UInt8) {
    for count in [1, 8, 9, 16, 20] {
      let all = [UInt8](repeating: byte, count: count)
      let wanted = [UInt8](repeating: lowercased(byte), count: count)
      let used = min(count, 16)
      let folded = FoldedBytes(all.span, at: 0, count: used)
      let words = SixteenBytes(wanted.span, at: 0).first(used)
      #expect(folded.low == words.low)
      #expect(folded.high == words.high)
    }
  }

  @Test("are those of a literal")
  func literals() {
    let text = Array("0123456789abcdefgh".utf8)
    #expect(SixteenBytes("0123456789abcdefgh") == SixteenBytes(text.span, at: 0))
    #expect(bytes(of: SixteenBytes("ab")) == [0x61, 0x62] + [UInt8](repeating: 0, count: 14))
  }
}
