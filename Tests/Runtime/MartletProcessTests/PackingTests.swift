import MartletProcess
import Testing

@Suite("Packing")
struct PackingTests {
  struct Everything: Codable, Hashable {
    enum Kind: Codable, Hashable {
      case plain
      case filled(Int, name: String)
    }

    var small: Int8 = -128
    var large: Int = .min
    var most: UInt64 = .max
    var real = 1.5
    var float: Float = -0.25
    var isSet = true
    var text = "naïve\u{0} 🐦"
    var bytes: [UInt8] = Array(0...255)
    var numbers: [Int] = [1, -1, 300, -70_000]
    var nothing: Int?
    var something: Int? = 5
    var kinds: [Kind] = [.plain, .filled(7, name: "seven")]
    var table: [String: [Double]] = ["a": [1, 2], "b": []]
    var byNumber: [Int: String] = [1: "one"]
    var nested: [[String]] = [["x"], []]
  }

  class Base: Codable {
    var first = 1
  }

  final class Derived: Base {
    var second = 2
    private enum Key: CodingKey { case second }

    override init() { super.init() }
    required init(from decoder: any Decoder) throws {
      let container = try decoder.container(keyedBy: Key.self)
      second = try container.decode(Int.self, forKey: .second)
      try super.init(from: try container.superDecoder())
    }
    override func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: Key.self)
      try container.encode(second, forKey: .second)
      try super.encode(to: container.superEncoder())
    }
  }

  @Test("gives back what went in")
  func roundTrips() throws {
    let value = Everything()
    #expect(try Packing.unpack(from: try Packing.pack(value)) == value)
    #expect(try Packing.unpack(from: try Packing.pack([value, value])) == [value, value])
    #expect(try Packing.unpack(Int?.self, from: try Packing.pack(Int?.none)) == nil)
    #expect(try Packing.unpack(from: try Packing.pack("text")) == "text")
    let derived = Derived()
    (derived.first, derived.second) = (3, 4)
    let back: Derived = try Packing.unpack(from: try Packing.pack(derived))
    #expect(back.first == 3 && back.second == 4)
  }

  @Test("an array of bytes takes as many bytes, and a few")
  func bytes() throws {
    #expect(try Packing.pack([UInt8](repeating: 1, count: 1000)).count == 1003)
  }

  @Test("refuses what is no value, wherever it was cut or changed")
  func refuses() throws {
    let whole = try Packing.pack(Everything())
    for cut in whole.indices {
      #expect(throws: (any Error).self) {
        try Packing.unpack(Everything.self, from: whole[..<cut])
      }
      var changed = whole
      changed[cut] ^= 0xFF
      // It may be another value; it is never a trap.
      do { _ = try Packing.unpack(Everything.self, from: changed) } catch {}
    }
    #expect(throws: PackingFailure.notInForm) { try Packing.unpack(Int.self, from: [3, 1, 0]) }
    #expect(throws: PackingFailure.notInForm) {
      try Packing.unpack(Int.self, from: [3] + [UInt8](repeating: 0xFF, count: 10))
    }
    #expect(throws: PackingFailure.notInForm) {
      try Packing.unpack([Int].self, from: [8, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F])
    }
    #expect(throws: DecodingError.self) { try Packing.unpack(String.self, from: [3, 1]) }
    #expect(throws: DecodingError.self) {
      try Packing.unpack(UInt8.self, from: try Packing.pack(256))
    }
  }

  @Test("refuses lists that stand too deep in each other")
  func depth() throws {
    var bytes: [UInt8] = [3, 1]
    for _ in 0..<63 { bytes = [8, 1] + bytes }
    #expect(throws: DecodingError.self) { try Packing.unpack([Int].self, from: bytes) }
    #expect(throws: PackingFailure.tooDeep) {
      try Packing.unpack([Int].self, from: [8, 1] + bytes)
    }
  }
}
