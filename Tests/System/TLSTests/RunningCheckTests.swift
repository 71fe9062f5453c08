import TLS
import Testing

/// A code over bytes that come one after the other: vectors, and every way to give them.
@Suite("Running checks")
struct RunningCheckTests {
  private func code(_ bytes: [UInt8], nonce: [UInt8], in pieces: Int = 1) throws -> [UInt8] {
    let check = try RunningCheck(key: [UInt8](repeating: 0, count: 16), nonce: nonce)
    let size = max(1, (bytes.count + pieces - 1) / pieces)
    var offset = 0
    while offset < bytes.count {
      let end = min(bytes.count, offset + size)
      check.add(bytes.span.extracting(offset..<end))
      offset = end
    }
    return check.finish()
  }

  @Test("are those of the standard's first test case, where there is nothing")
  func nothing() throws {
    // McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B, test case 1.
    let told: [UInt8] = [
      0x58, 0xE2, 0xFC, 0xCE, 0xFA, 0x7E, 0x30, 0x61, 0x36, 0x7F, 0x1D, 0x57, 0xA4, 0xE7, 0x45,
      0x5A,
    ]
    #expect(try code([], nonce: [UInt8](repeating: 0, count: 12)) == told)
  }

  @Test("do not depend on the pieces, and change with every byte and with the nonce")
  func pieces() throws {
    let nonce = [UInt8](repeating: 0, count: 12)
    let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    let whole = try code(bytes, nonce: nonce)
    #expect(whole.count == RunningCheck.byteCount)
    for pieces in [2, 3, 7, 63, 1000] {
      #expect(try code(bytes, nonce: nonce, in: pieces) == whole)
    }
    for place in stride(from: 0, to: 1000, by: 37) {
      var other = bytes
      other[place] ^= 1
      #expect(try code(other, nonce: nonce) != whole)
    }
    #expect(try code(bytes + [0], nonce: nonce) != whole)
    #expect(try code(bytes, nonce: [UInt8](repeating: 0, count: 11) + [1]) != whole)
  }
}
