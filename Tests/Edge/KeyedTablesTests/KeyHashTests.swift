import KeyedTables
import Testing

@Suite("Keys")
struct KeyHashTests {
  @Test("are hashed as SipHash-2-4 says")
  func vectors() {
    let hash = KeyHash(low: 0x0706_0504_0302_0100, high: 0x0F0E_0D0C_0B0A_0908)
    #expect(hash.hash(Array(0..<15 as Range<UInt8>).span) == 0xA129_CA61_49BE_45E5)
    #expect(hash.hash([UInt8]().span) == 0x726F_DB47_DD0E_0E31)
  }

  @Test("of two words are hashed as their bytes")
  func words() {
    let hash = KeyHash(low: 1, high: 2)
    let bytes = (0..<16).map { UInt8($0) }
    #expect(
      hash.key(of: 0x0706_0504_0302_0100, 0x0F0E_0D0C_0B0A_0908) == hash.hash(bytes.span)
    )
  }

  @Test("are others with another secret, and never 0")
  func secrets() {
    let bytes = Array("192.0.2.1".utf8)
    #expect(KeyHash.random().key(of: bytes.span) != KeyHash.random().key(of: bytes.span))
    #expect(KeyHash.common != 0)
  }
}
