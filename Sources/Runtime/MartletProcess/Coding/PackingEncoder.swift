/// Where a value is put while it is packed; a container is finished after it was made.
private final class PackingPlace {
  var value: PackedValue?
  var list: [PackingPlace]?
  var map: [(name: String, place: PackingPlace)]?

  var packed: PackedValue {
    if let list { return .list(list.map(\.packed)) }
    if let map { return .map(map.map { ($0.name, $0.place.packed) }) }
    return value ?? .null
  }
}

/// Packs one value.
struct PackingEncoder: Encoder {
  private let place: PackingPlace
  let codingPath: [any CodingKey]
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  private init(_ place: PackingPlace, _ path: [any CodingKey]) {
    self.place = place
    codingPath = path
  }

  static func packed<Value: Encodable>(
    _ value: Value,
    at path: [any CodingKey]
  ) throws -> PackedValue {
    // Element by element an array of bytes would take as long as a million calls a megabyte.
    if let bytes = value as? [UInt8] { return .bytes(bytes) }
    if let text = value as? String { return .text(text) }
    if let number = value as? Int { return PackedValue(number) }
    let place = PackingPlace()
    try value.encode(to: PackingEncoder(place, path))
    return place.packed
  }

  func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
    if place.map == nil { place.map = [] }
    return KeyedEncodingContainer(Members<Key>(place: place, codingPath: codingPath))
  }

  func unkeyedContainer() -> any UnkeyedEncodingContainer {
    if place.list == nil { place.list = [] }
    return Elements(place: place, codingPath: codingPath)
  }

  func singleValueContainer() -> any SingleValueEncodingContainer {
    Single(place: place, codingPath: codingPath)
  }

  private struct Single: SingleValueEncodingContainer {
    let place: PackingPlace
    let codingPath: [any CodingKey]

    func encodeNil() throws { place.value = .null }
    func encode(_ value: Bool) throws { place.value = .flag(value) }
    func encode(_ value: String) throws { place.value = .text(value) }
    func encode(_ value: Double) throws { place.value = .real(value) }
    func encode(_ value: Float) throws { place.value = .real(Double(value)) }
    func encode(_ value: Int) throws { place.value = PackedValue(value) }
    func encode(_ value: Int8) throws { place.value = PackedValue(value) }
    func encode(_ value: Int16) throws { place.value = PackedValue(value) }
    func encode(_ value: Int32) throws { place.value = PackedValue(value) }
    func encode(_ value: Int64) throws { place.value = PackedValue(value) }
    func encode(_ value: UInt) throws { place.value = PackedValue(value) }
    func encode(_ value: UInt8) throws { place.value = PackedValue(value) }
    func encode(_ value: UInt16) throws { place.value = PackedValue(value) }
    func encode(_ value: UInt32) throws { place.value = PackedValue(value) }
    func encode(_ value: UInt64) throws { place.value = PackedValue(value) }
    func encode<Value: Encodable>(_ value: Value) throws {
      place.value = try PackingEncoder.packed(value, at: codingPath)
    }
  }

  private struct Elements: UnkeyedEncodingContainer {
    let place: PackingPlace
    let codingPath: [any CodingKey]
    var count: Int { place.list?.count ?? 0 }

    private func next() -> PackingPlace {
      let next = PackingPlace()
      place.list?.append(next)
      return next
    }

    func encodeNil() throws { next().value = .null }
    func encode<Value: Encodable>(_ value: Value) throws {
      next().value = try PackingEncoder.packed(value, at: codingPath)
    }
    func nestedContainer<Key: CodingKey>(
      keyedBy type: Key.Type
    ) -> KeyedEncodingContainer<Key> {
      PackingEncoder(next(), codingPath).container(keyedBy: type)
    }
    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
      PackingEncoder(next(), codingPath).unkeyedContainer()
    }
    func superEncoder() -> any Encoder { PackingEncoder(next(), codingPath) }
  }

  private struct Members<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let place: PackingPlace
    let codingPath: [any CodingKey]

    private func next(_ name: String) -> PackingPlace {
      let next = PackingPlace()
      place.map?.append((name, next))
      return next
    }

    func encodeNil(forKey key: Key) throws { next(key.stringValue).value = .null }
    func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws {
      next(key.stringValue).value = try PackingEncoder.packed(value, at: codingPath + [key])
    }
    func nestedContainer<Nested: CodingKey>(
      keyedBy type: Nested.Type,
      forKey key: Key
    ) -> KeyedEncodingContainer<Nested> {
      PackingEncoder(next(key.stringValue), codingPath + [key]).container(keyedBy: type)
    }
    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
      PackingEncoder(next(key.stringValue), codingPath + [key]).unkeyedContainer()
    }
    func superEncoder() -> any Encoder { PackingEncoder(next("super"), codingPath) }
    func superEncoder(forKey key: Key) -> any Encoder {
      PackingEncoder(next(key.stringValue), codingPath + [key])
    }
  }
}

extension PackedValue {
  init(_ number: some FixedWidthInteger) {
    self = number < 0 ? .negative(UInt64(number.magnitude)) : .number(UInt64(number))
  }
}
