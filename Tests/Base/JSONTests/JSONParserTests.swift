import JSON
import Testing

@Suite("JSON, RFC 8259")
struct JSONParserTests {
  private func parse(
    _ text: String,
    _ limits: JSONLimits = JSONLimits()
  ) throws(JSONError)
    -> JSONValue
  {
    try JSONValue(parsing: text.utf8, limits: limits)
  }

  @Test(
    "reads every kind of value",
    arguments: [
      ("null", JSONValue.null), ("true", .flag(true)), (" false\r\n", .flag(false)),
      ("0", .number(0)), ("-0", .number(0)), ("-17", .number(-17)),
      ("9223372036854775807", .number(.max)),
      ("9223372036854775808", .real(9_223_372_036_854_775_808)),
      ("1.5", .real(1.5)), ("1e2", .real(100)), ("-2.5E-1", .real(-0.25)),
      ("\"\"", .text("")), (#""a\"\\\/\b\f\n\r\t\u0041é""#, .text("a\"\\/\u{8}\u{C}\n\r\tAé")),
      (#""\uD83D\uDE00""#, .text("😀")), ("[]", .list([])),
      ("[1 , [ ] ]", .list([.number(1), .list([])])),
      ("{}", .object([])), (#"{"a":{"b":null}}"#, .object(["a": .object(["b": .null])])),
    ]
  )
  func reads(text: String, value: JSONValue) throws { #expect(try parse(text) == value) }

  @Test(
    "refuses everything else, with the place",
    arguments: [
      ("", JSONError.Problem.ended, 0), ("  ", .ended, 2), ("nul", .ended, 3),
      ("nulL", .unexpected, 3),
      ("01", .number, 0), ("-", .number, 0), ("1.", .number, 0), (".5", .unexpected, 0),
      ("1e", .number, 0), ("1e400", .number, 0), ("+1", .unexpected, 0), ("NaN", .unexpected, 0),
      ("[1,]", .unexpected, 3), ("[1", .ended, 2), ("{\"a\" 1}", .unexpected, 5),
      ("{a:1}", .unexpected, 1),
      ("{\"a\":1,}", .unexpected, 7), ("\"a", .ended, 2), ("\"\u{1}\"", .string, 1),
      ("\"\n\"", .string, 1),
      (#""\x""#, .string, 1), (#""\u12G4""#, .string, 5), (#""\uD800""#, .string, 1),
      (#""\uDC00\uD800""#, .string, 1), (#""\uD800\u0041""#, .string, 1), ("1 2", .trailing, 2),
      ("[] x", .trailing, 3), (#"{"a":1,"a":2}"#, .repeated, 7),
      (#"{"a":1,"\u0061":2}"#, .repeated, 7),
      ("'a'", .unexpected, 0), ("// x\n1", .unexpected, 0),
    ]
  )
  func refuses(text: String, problem: JSONError.Problem, offset: Int) {
    #expect(throws: JSONError(problem, at: offset)) { try parse(text) }
  }

  @Test("refuses a string that is not UTF-8")
  func notUTF8() {
    #expect(throws: JSONError(.string, at: 0)) {
      try JSONValue(parsing: [0x22, 0xC3, 0x28, 0x22] as [UInt8])
    }
  }

  @Test("keeps its limits: what is at one is read, what is one over is not")
  func limits() throws {
    let limits = JSONLimits(byteCount: 20, depth: 3, valueCount: 5)
    _ = try parse("[[[1]]]", limits)
    #expect(throws: JSONError(.tooDeep, at: 3)) { try parse("[[[[1]]]]", limits) }
    _ = try parse("[1,2,3,4]", limits)
    #expect(throws: JSONError(.tooMany, at: 9)) { try parse("[1,2,3,4,5]", limits) }
    _ = try parse("\"" + String(repeating: "a", count: 18) + "\"", limits)
    #expect(throws: JSONError(.tooLong, at: 20)) {
      try parse("\"" + String(repeating: "a", count: 19) + "\"", limits)
    }
  }

  @Test("a thousand braces in each other are refused, and do not end the process")
  func deep() {
    let text = String(repeating: "[", count: 500_000)
    #expect(throws: JSONError(.tooDeep, at: 32)) { try parse(text) }
  }

  @Test("what is written is read as the same value", arguments: 0..<200 as Range<UInt64>)
  func roundTrip(seed: UInt64) throws {
    var random = SeededRandom(seed)
    let value = JSONValue.random(depth: 4, &random)
    #expect(try parse(value.compact) == value)
    #expect(try parse(value.formatted()) == value)
    #expect(!value.compact.utf8.contains(0x0A))
  }

  @Test(
    "random bytes are read or refused, and a changed text never ends the process",
    arguments: 0..<500 as Range<UInt64>
  )
  func randomBytes(seed: UInt64) {
    var random = SeededRandom(seed)
    var bytes = Array(JSONValue.random(depth: 3, &random).compact.utf8)
    for _ in 0..<Int.random(in: 1...4, using: &random) {
      let place = Int.random(in: 0...bytes.count, using: &random)
      switch Int.random(in: 0..<3, using: &random) {
      case 0: bytes.insert(.random(in: 0...255, using: &random), at: place)
      case 1 where place < bytes.count: bytes.remove(at: place)
      default: bytes.removeLast(bytes.count - place)
      }
    }
    do throws(JSONError) {
      let value = try JSONValue(parsing: bytes)
      #expect(try JSONValue(parsing: value.compact.utf8) == value)
    } catch {
      #expect(error.offset <= bytes.count)
    }
  }

  @Test("a member is found by its name, and only in an object")
  func members() throws {
    let value = try parse(#"{"a": 1, "b": [true, "x"]}"#)
    #expect(value["a"]?.number == 1)
    #expect(value["b"]?.list?.first?.flag == true)
    #expect(value["b"]?.list?.last?.text == "x")
    #expect(value["c"] == nil)
    #expect(value["b"]?["a"] == nil)
  }

  @Test("nothing that is written can end a line or command a terminal")
  func controls() {
    let text = String(String.UnicodeScalarView((0..<0xA0).compactMap { Unicode.Scalar($0) }))
    let written = JSONValue.text(text).compact
    #expect(written.unicodeScalars.allSatisfy { (0x20..<0x7F).contains($0.value) })
  }
}

/// Numbers that are the same in each run.
struct SeededRandom: RandomNumberGenerator {
  private var state: UInt64

  init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 0x2545_F491_4F6C_DD1D }

  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state
  }
}

extension JSONValue {
  /// A value that is the same for the same numbers.
  static func random(depth: Int, _ random: inout SeededRandom) -> JSONValue {
    switch Int.random(in: 0..<(depth > 0 ? 8 : 6), using: &random) {
    case 0: return .null
    case 1: return .flag(.random(using: &random))
    case 2: return .number(Int.random(in: .min ... .max, using: &random))
    case 3: return .real(Double.random(in: -1e9...1e9, using: &random) + 0.5)
    case 4, 5: return .text(text(&random))
    case 6:
      let count = Int.random(in: 0..<4, using: &random)
      return .list((0..<count).map { _ in .random(depth: depth - 1, &random) })
    default:
      let count = Int.random(in: 0..<4, using: &random)
      return .object(
        (0..<count).map { Member("\($0)" + text(&random), .random(depth: depth - 1, &random)) }
      )
    }
  }

  private static func text(_ random: inout SeededRandom) -> String {
    let letters: [Character] = ["a", "\"", "\\", "\n", "\u{7F}", "é", "😀", "/", "\0", "\u{2028}"]
    return String(
      (0..<Int.random(in: 0..<6, using: &random)).map { _ in
        letters.randomElement(using: &random) ?? "a"
      }
    )
  }
}
