/// Why bytes are not a value of JSON.
public struct JSONError: Error, Hashable, Sendable {
  /// What is wrong.
  public enum Problem: String, Hashable, Sendable {
    /// The text is longer than ``JSONLimits/byteCount``.
    case tooLong = "the text is too long"
    /// Lists and objects stand deeper in each other than ``JSONLimits/depth``.
    case tooDeep = "lists and objects stand too deep in each other"
    /// There are more values than ``JSONLimits/valueCount``.
    case tooMany = "there are too many values"
    /// The text ends within a value.
    case ended = "the text ends within a value"
    /// Here nothing begins that could stand here.
    case unexpected = "this cannot stand here"
    /// A number is not in form, or too large.
    case number = "this is not a number of JSON"
    /// A string has a control character, a wrong escape, or is not UTF-8.
    case string = "this is not a string of JSON"
    /// A name stands twice in one object.
    case repeated = "a name stands twice in one object"
    /// Something follows the value.
    case trailing = "something follows the value"
  }

  /// What is wrong.
  public var problem: Problem
  /// The first byte that is wrong, from 0.
  public var offset: Int

  /// Creates an error.
  public init(_ problem: Problem, at offset: Int) {
    self.problem = problem
    self.offset = offset
  }
}

extension JSONError: CustomStringConvertible {
  /// The problem and its place.
  public var description: String { "\(problem.rawValue), at byte \(offset)" }
}

/// Bounds of what is read.
public struct JSONLimits: Hashable, Sendable {
  /// The longest text, in bytes.
  public var byteCount: Int
  /// How deep lists and objects may stand in each other.
  public var depth: Int
  /// The most values, those in lists and objects included.
  public var valueCount: Int

  /// Creates limits; if nothing else is said: 1 MiB, 32 levels, 100,000 values.
  public init(byteCount: Int = 1 << 20, depth: Int = 32, valueCount: Int = 100_000) {
    self.byteCount = byteCount
    self.depth = depth
    self.valueCount = valueCount
  }
}

extension JSONValue {
  /// Reads a text that is one value, with white space around it.
  ///
  /// A name that stands twice in one object is refused: readers differ in which of the values they
  /// take.
  ///
  /// - Throws: ``JSONError`` with the place.
  /// - Complexity: O(*n*).
  /// - Source: RFC 8259.
  public init(
    parsing bytes: some Collection<UInt8>,
    limits: JSONLimits = JSONLimits()
  ) throws(JSONError) {
    guard bytes.count <= limits.byteCount else { throw JSONError(.tooLong, at: limits.byteCount) }
    var parser = JSONParser(bytes: Array(bytes), limits: limits)
    self = try parser.whole()
  }
}

private struct JSONParser {
  let bytes: [UInt8]
  let limits: JSONLimits
  var offset = 0
  var valueCount = 0

  init(bytes: [UInt8], limits: JSONLimits) {
    self.bytes = bytes
    self.limits = limits
  }

  private var next: UInt8? { offset < bytes.count ? bytes[offset] : nil }

  mutating func whole() throws(JSONError) -> JSONValue {
    let value = try value(depth: 0)
    skipSpace()
    guard offset == bytes.count else { throw JSONError(.trailing, at: offset) }
    return value
  }

  private mutating func skipSpace() {
    while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 {
      offset += 1
    }
  }

  /// Takes this byte, with white space before it, if it is next.
  private mutating func takes(_ byte: UInt8) -> Bool {
    skipSpace()
    guard next == byte else { return false }
    offset += 1
    return true
  }

  private func unexpected() -> JSONError {
    JSONError(offset == bytes.count ? .ended : .unexpected, at: offset)
  }

  private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
    skipSpace()
    valueCount += 1
    guard valueCount <= limits.valueCount else { throw JSONError(.tooMany, at: offset) }
    switch next ?? 0 {
    case UInt8(ascii: "{"): return try object(depth: depth)
    case UInt8(ascii: "["): return try list(depth: depth)
    case UInt8(ascii: "\""): return .text(try string())
    case UInt8(ascii: "t"): return try word("true", .flag(true))
    case UInt8(ascii: "f"): return try word("false", .flag(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
    default: throw unexpected()
    }
  }

  private mutating func word(_ word: String, _ value: JSONValue) throws(JSONError) -> JSONValue {
    for byte in word.utf8 {
      guard next == byte else { throw unexpected() }
      offset += 1
    }
    return value
  }

  private mutating func list(depth: Int) throws(JSONError) -> JSONValue {
    guard depth < limits.depth else { throw JSONError(.tooDeep, at: offset) }
    offset += 1
    var values: [JSONValue] = []
    if takes(UInt8(ascii: "]")) { return .list(values) }
    repeat {
      values.append(try value(depth: depth + 1))
    } while takes(UInt8(ascii: ","))
    guard takes(UInt8(ascii: "]")) else { throw unexpected() }
    return .list(values)
  }

  private mutating func object(depth: Int) throws(JSONError) -> JSONValue {
    guard depth < limits.depth else { throw JSONError(.tooDeep, at: offset) }
    offset += 1
    var members: [JSONValue.Member] = []
    var names: Set<String> = []
    if takes(UInt8(ascii: "}")) { return .object(members) }
    repeat {
      skipSpace()
      let place = offset
      guard next == UInt8(ascii: "\"") else { throw unexpected() }
      let name = try string()
      guard names.insert(name).inserted else { throw JSONError(.repeated, at: place) }
      guard takes(UInt8(ascii: ":")) else { throw unexpected() }
      members.append(JSONValue.Member(name, try value(depth: depth + 1)))
    } while takes(UInt8(ascii: ","))
    guard takes(UInt8(ascii: "}")) else { throw unexpected() }
    return .object(members)
  }

  // MARK: Numbers

  private mutating func digits() -> Int {
    let start = offset
    while let byte = next, (0x30...0x39).contains(byte) { offset += 1 }
    return offset - start
  }

  private mutating func number() throws(JSONError) -> JSONValue {
    let start = offset
    var isWhole = true
    if next == UInt8(ascii: "-") { offset += 1 }
    let first = next
    let digitCount = digits()
    guard digitCount == 1 || digitCount > 1 && first != UInt8(ascii: "0") else {
      throw JSONError(.number, at: start)
    }
    if next == UInt8(ascii: ".") {
      isWhole = false
      offset += 1
      guard digits() > 0 else { throw JSONError(.number, at: start) }
    }
    if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
      isWhole = false
      offset += 1
      if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { offset += 1 }
      guard digits() > 0 else { throw JSONError(.number, at: start) }
    }
    let text = String(decoding: bytes[start..<offset], as: UTF8.self)
    if isWhole, let number = Int(text) { return .number(number) }
    guard let number = Double(text), number.isFinite else { throw JSONError(.number, at: start) }
    return .real(number)
  }

  // MARK: Strings

  private mutating func string() throws(JSONError) -> String {
    let start = offset
    offset += 1
    var content: [UInt8] = []
    while let byte = next {
      offset += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let text = String(validating: content, as: UTF8.self) else {
          throw JSONError(.string, at: start)
        }
        return text
      case UInt8(ascii: "\\"): content += Array(String(try escaped()).utf8)
      case 0..<0x20: throw JSONError(.string, at: offset - 1)
      default: content.append(byte)
      }
    }
    throw JSONError(.ended, at: offset)
  }

  private mutating func escaped() throws(JSONError) -> Unicode.Scalar {
    let place = offset - 1
    guard let byte = next else { throw JSONError(.ended, at: offset) }
    offset += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"): break
    default: throw JSONError(.string, at: place)
    }
    var code = try fourDigits()
    if (0xD800..<0xDC00).contains(code), next == UInt8(ascii: "\\"), offset + 1 < bytes.count,
      bytes[offset + 1] == UInt8(ascii: "u")
    {
      offset += 2
      let low = try fourDigits()
      guard (0xDC00..<0xE000).contains(low) else { throw JSONError(.string, at: place) }
      code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
    }
    // Half of a pair alone is no character.
    guard let scalar = Unicode.Scalar(code) else { throw JSONError(.string, at: place) }
    return scalar
  }

  private mutating func fourDigits() throws(JSONError) -> UInt32 {
    var code: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = next else { throw JSONError(.ended, at: offset) }
      guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else {
        throw JSONError(.string, at: offset)
      }
      code = code << 4 | UInt32(digit)
      offset += 1
    }
    return code
  }
}
