import MartletBytes
import Testing

@Suite("SHA-1") struct SHA1Tests {
  private func text(_ bytes: [UInt8]) -> String {
    bytes.map { byte in
      let text = String(byte, radix: 16)
      return text.count < 2 ? "0" + text : text
    }.joined()
  }

  @Test(
    "messages have the digests of RFC 3174 and FIPS 180-2",
    arguments: [
      ("", 1, "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
      ("abc", 1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
      (
        "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
        "84983e441c3bd26ebaae4aa1f95129e5e54670f1"
      ),
      ("a", 1_000_000, "34aa973cd4c4daa4f61eeb2bdbad27316534016f"),
      (
        "0123456701234567012345670123456701234567012345670123456701234567", 10,
        "dea356a2cddd90c7a7ecedc5ebb563934f460452"
      ),
    ] as [(String, Int, String)]
  )
  func vectors(part: String, count: Int, digest: String) {
    let message = Array(String(repeating: part, count: count).utf8)
    #expect(text(SHA1.digest(of: message)) == digest)
  }
}
