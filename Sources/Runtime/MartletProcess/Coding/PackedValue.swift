/// A value as it stands between processes: what any `Codable` one becomes.
indirect enum PackedValue {
  case null
  case flag(Bool)
  case number(UInt64)
  /// Below zero, as its distance from zero.
  case negative(UInt64)
  case real(Double)
  case text(String)
  case bytes([UInt8])
  case list([PackedValue])
  case map([(name: String, value: PackedValue)])

  private enum Tag: UInt8 {
    case null, no, yes, number, negative, real, text, bytes, list, map
  }

  // MARK: Writing

  func write(to bytes: inout [UInt8]) {
    switch self {
    case .null: bytes.append(Tag.null.rawValue)
    case .flag(let isSet): bytes.append(isSet ? Tag.yes.rawValue : Tag.no.rawValue)
    case .number(let number): Self.write(.number, number, to: &bytes)
    case .negative(let number): Self.write(.negative, number, to: &bytes)
    case .real(let number):
      bytes.append(Tag.real.rawValue)
      for shift in stride(from: 0 as UInt64, to: 64, by: 8) {
        bytes.append(UInt8(truncatingIfNeeded: number.bitPattern >> shift))
      }
    case .text(let text):
      Self.write(.text, UInt64(text.utf8.count), to: &bytes)
      bytes.append(contentsOf: text.utf8)
    case .bytes(let content):
      Self.write(.bytes, UInt64(content.count), to: &bytes)
      bytes.append(contentsOf: content)
    case .list(let values):
      Self.write(.list, UInt64(values.count), to: &bytes)
      for value in values { value.write(to: &bytes) }
    case .map(let members):
      Self.write(.map, UInt64(members.count), to: &bytes)
      for member in members {
        Self.write(UInt64(member.name.utf8.count), to: &bytes)
        bytes.append(contentsOf: member.name.utf8)
        member.value.write(to: &bytes)
      }
    }
  }

  private static func write(_ tag: Tag, _ number: UInt64, to bytes: inout [UInt8]) {
    bytes.append(tag.rawValue)
    write(number, to: &bytes)
  }

  /// Seven bits a byte, the lowest first; the last byte has its highest bit clear.
  private static func write(_ number: UInt64, to bytes: inout [UInt8]) {
    var rest = number
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  // MARK: Reading

  /// Reads the one value that the bytes are.
  init(_ bytes: ArraySlice<UInt8>) throws(PackingFailure) {
    var reader = Reader(bytes: bytes)
    self = try reader.value(depth: 0)
    guard reader.bytes.isEmpty else { throw .notInForm }
  }

  private struct Reader {
    /// How deep lists may stand in each other.
    private static let depthLimit = 64

    var bytes: ArraySlice<UInt8>

    mutating func value(depth: Int) throws(PackingFailure) -> PackedValue {
      guard depth < Self.depthLimit else { throw .tooDeep }
      guard let first = bytes.popFirst(), let tag = Tag(rawValue: first) else { throw .notInForm }
      switch tag {
      case .null: return .null
      case .no: return .flag(false)
      case .yes: return .flag(true)
      case .number: return .number(try number())
      case .negative: return .negative(try number())
      case .real:
        let bits = try take(8).reversed().reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
        return .real(Double(bitPattern: bits))
      case .text: return .text(try text())
      case .bytes: return .bytes(Array(try take(try count())))
      case .list:
        var values: [PackedValue] = []
        for _ in 0..<(try count()) { values.append(try value(depth: depth + 1)) }
        return .list(values)
      case .map:
        var members: [(String, PackedValue)] = []
        for _ in 0..<(try count()) {
          let name = try text()
          members.append((name, try value(depth: depth + 1)))
        }
        return .map(members)
      }
    }

    /// A count of things that take a byte or more each: there cannot be more of them than bytes.
    private mutating func count() throws(PackingFailure) -> Int {
      let number = try number()
      guard number <= UInt64(bytes.count) else { throw .notInForm }
      return Int(number)
    }

    private mutating func number() throws(PackingFailure) -> UInt64 {
      var (number, shift): (UInt64, UInt64) = (0, 0)
      while let byte = bytes.popFirst() {
        guard shift < 63 || shift == 63 && byte <= 1 else { throw .notInForm }
        number |= UInt64(byte & 0x7F) << shift
        if byte < 0x80 { return number }
        shift += 7
      }
      throw .notInForm
    }

    private mutating func take(_ count: Int) throws(PackingFailure) -> ArraySlice<UInt8> {
      guard count <= bytes.count else { throw .notInForm }
      let taken = bytes.prefix(count)
      bytes = bytes.dropFirst(count)
      return taken
    }

    private mutating func text() throws(PackingFailure) -> String {
      guard let text = String(validating: try take(try count()), as: UTF8.self) else {
        throw .notInForm
      }
      return text
    }
  }
}

/// Why bytes are not the value that is wanted.
public enum PackingFailure: Error, Hashable, Sendable {
  /// They are no value.
  case notInForm
  /// Lists stand deeper in each other than 64.
  case tooDeep
}
