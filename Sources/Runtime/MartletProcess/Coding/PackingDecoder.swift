/// Takes one value out of what was packed.
struct PackingDecoder: Decoder {
  private let packed: PackedValue
  let codingPath: [any CodingKey]
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  private init(_ packed: PackedValue, _ path: [any CodingKey]) {
    self.packed = packed
    codingPath = path
  }

  static func value<Value: Decodable>(
    _ type: Value.Type,
    of packed: PackedValue,
    at path: [any CodingKey]
  ) throws -> Value {
    switch packed {
    case .bytes(let bytes): if let bytes = bytes as? Value { return bytes }
    case .text(let text): if let text = text as? Value { return text }
    default: break
    }
    return try Value(from: PackingDecoder(packed, path))
  }

  fileprivate static func mismatch(_ type: Any.Type, _ path: [any CodingKey]) -> DecodingError {
    .typeMismatch(type, .init(codingPath: path, debugDescription: "something else stands here"))
  }

  func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
    guard case .map(let members) = packed else {
      throw Self.mismatch([String: Any].self, codingPath)
    }
    return KeyedDecodingContainer(Members<Key>(members: members, codingPath: codingPath))
  }

  func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
    guard case .list(let values) = packed else { throw Self.mismatch([Any].self, codingPath) }
    return Elements(values: values, codingPath: codingPath)
  }

  func singleValueContainer() throws -> any SingleValueDecodingContainer {
    Single(packed: packed, codingPath: codingPath)
  }

  private struct Single: SingleValueDecodingContainer {
    let packed: PackedValue
    let codingPath: [any CodingKey]

    func decodeNil() -> Bool { if case .null = packed { true } else { false } }

    func decode(_ type: Bool.Type) throws -> Bool {
      guard case .flag(let isSet) = packed else { throw mismatch(type, codingPath) }
      return isSet
    }
    func decode(_ type: String.Type) throws -> String {
      guard case .text(let text) = packed else { throw mismatch(type, codingPath) }
      return text
    }
    func decode(_ type: Double.Type) throws -> Double {
      guard case .real(let number) = packed else { throw mismatch(type, codingPath) }
      return number
    }
    func decode(_ type: Float.Type) throws -> Float { Float(try decode(Double.self)) }
    func decode(_ type: Int.Type) throws -> Int { try number(type) }
    func decode(_ type: Int8.Type) throws -> Int8 { try number(type) }
    func decode(_ type: Int16.Type) throws -> Int16 { try number(type) }
    func decode(_ type: Int32.Type) throws -> Int32 { try number(type) }
    func decode(_ type: Int64.Type) throws -> Int64 { try number(type) }
    func decode(_ type: UInt.Type) throws -> UInt { try number(type) }
    func decode(_ type: UInt8.Type) throws -> UInt8 { try number(type) }
    func decode(_ type: UInt16.Type) throws -> UInt16 { try number(type) }
    func decode(_ type: UInt32.Type) throws -> UInt32 { try number(type) }
    func decode(_ type: UInt64.Type) throws -> UInt64 { try number(type) }
    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
      try PackingDecoder.value(type, of: packed, at: codingPath)
    }

    private func number<Number: FixedWidthInteger>(_ type: Number.Type) throws -> Number {
      switch packed {
      case .number(let number): if let number = Number(exactly: number) { return number }
      case .negative(let distance):
        if distance <= 1 << 63,
          let number = Number(exactly: 0 &- Int64(truncatingIfNeeded: distance))
        {
          return number
        }
      default: break
      }
      throw mismatch(type, codingPath)
    }

    private func mismatch(_ type: Any.Type, _ path: [any CodingKey]) -> DecodingError {
      PackingDecoder.mismatch(type, path)
    }
  }

  private struct Elements: UnkeyedDecodingContainer {
    let values: [PackedValue]
    let codingPath: [any CodingKey]
    var currentIndex = 0
    var count: Int? { values.count }
    var isAtEnd: Bool { currentIndex == values.count }

    private mutating func next() throws -> PackedValue {
      guard !isAtEnd else { throw PackingDecoder.mismatch([Any].self, codingPath) }
      defer { currentIndex += 1 }
      return values[currentIndex]
    }

    mutating func decodeNil() throws -> Bool {
      guard !isAtEnd, case .null = values[currentIndex] else { return false }
      currentIndex += 1
      return true
    }
    mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
      try PackingDecoder.value(type, of: try next(), at: codingPath)
    }
    mutating func nestedContainer<Key: CodingKey>(
      keyedBy type: Key.Type
    ) throws -> KeyedDecodingContainer<Key> {
      try PackingDecoder(try next(), codingPath).container(keyedBy: type)
    }
    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
      try PackingDecoder(try next(), codingPath).unkeyedContainer()
    }
    mutating func superDecoder() throws -> any Decoder { PackingDecoder(try next(), codingPath) }
  }

  private struct Members<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let members: [(name: String, value: PackedValue)]
    let codingPath: [any CodingKey]
    var allKeys: [Key] { members.compactMap { Key(stringValue: $0.name) } }

    private func find(_ name: String) -> PackedValue? { members.first { $0.name == name }?.value }

    private func member(_ key: any CodingKey) throws -> PackedValue {
      guard let found = find(key.stringValue) else {
        throw DecodingError.keyNotFound(
          key,
          .init(codingPath: codingPath, debugDescription: "no member has this name")
        )
      }
      return found
    }

    func contains(_ key: Key) -> Bool { find(key.stringValue) != nil }
    func decodeNil(forKey key: Key) throws -> Bool {
      if case .null = try member(key) { true } else { false }
    }
    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
      try PackingDecoder.value(type, of: try member(key), at: codingPath + [key])
    }
    func nestedContainer<Nested: CodingKey>(
      keyedBy type: Nested.Type,
      forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> {
      try PackingDecoder(try member(key), codingPath + [key]).container(keyedBy: type)
    }
    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
      try PackingDecoder(try member(key), codingPath + [key]).unkeyedContainer()
    }
    func superDecoder() throws -> any Decoder {
      PackingDecoder(find("super") ?? .null, codingPath)
    }
    func superDecoder(forKey key: Key) throws -> any Decoder {
      PackingDecoder(try member(key), codingPath + [key])
    }
  }
}
