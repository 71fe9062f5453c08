import MartletBytes
import Testing

@Suite("Byte search")
struct ByteSearchTests {
  @Test("finds the first match at every position and length", arguments: 0..<50)
  func findsEverywhere(count: Int) {
    for position in 0..<count {
      var bytes = [UInt8](repeating: 0x61, count: count)
      bytes[position] = 0x0A
      for start in 0...count {
        let found = ByteSearch.firstIndex(of: 0x0A, in: bytes.span, from: start)
        let control = ByteSearch.firstControl(in: bytes.span, from: start)
        #expect(found == (start <= position ? position : nil))
        #expect(control == found)
      }
    }
  }

  @Test("calls exactly the controls but HTAB a control", arguments: UInt8.min...UInt8.max)
  func controls(byte: UInt8) {
    let expected = (byte < 0x20 && byte != 0x09) || byte == 0x7F
    for padding in [0, 16] {
      let bytes =
        [UInt8](repeating: 0x61, count: padding) + [byte]
        + [UInt8](repeating: 0x62, count: padding)
      let found = ByteSearch.firstControl(in: bytes.span, from: 0)
      #expect(found == (expected ? padding : nil))
    }
  }
}

@Suite("Byte class")
struct ByteClassTests {
  @Test("contains what its predicate says", arguments: UInt8.min...UInt8.max)
  func contains(byte: UInt8) {
    let odd = ByteClass { $0 % 2 == 1 }
    #expect(odd.contains(byte) == (byte % 2 == 1))
  }

  @Test("reads hexadecimal digits", arguments: zip(Array("0123456789abcdefABCDEF".utf8), 0..<22))
  func hexDigits(digit: UInt8, index: Int) {
    #expect(hexDigit(digit) == UInt8(index < 16 ? index : index - 6))
    #expect(hexDigit(0x67) == nil)
  }

  @Test("lowers only ASCII letters", arguments: UInt8.min...UInt8.max)
  func lowers(byte: UInt8) {
    let letter = (0x41...0x5A).contains(byte)
    #expect(lowercased(byte) == (letter ? byte + 32 : byte))
  }
}
