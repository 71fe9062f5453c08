/// Values as bytes, between processes of one machine.
///
/// Any `Codable` value goes in and comes out the same; arrays of bytes and texts are copied as they are. Both
/// sides are the same program or know the same types: nothing says of which type a value is.
public enum Packing {
  /// The bytes of a value.
  ///
  /// - Throws: What the value throws.
  public static func pack<Value: Encodable>(_ value: Value) throws -> [UInt8] {
    var bytes: [UInt8] = []
    try pack(value, to: &bytes)
    return bytes
  }

  /// Puts the bytes of a value behind others.
  ///
  /// - Throws: What the value throws.
  public static func pack<Value: Encodable>(_ value: Value, to bytes: inout [UInt8]) throws {
    try PackingEncoder.packed(value, at: []).write(to: &bytes)
  }

  /// The value of bytes.
  ///
  /// - Throws: ``PackingFailure`` or `DecodingError`, and what the value throws.
  public static func unpack<Value: Decodable>(
    _ type: Value.Type = Value.self,
    from bytes: ArraySlice<UInt8>
  ) throws -> Value {
    try PackingDecoder.value(type, of: try PackedValue(bytes), at: [])
  }

  /// The value of bytes.
  ///
  /// - Throws: ``PackingFailure`` or `DecodingError`, and what the value throws.
  public static func unpack<Value: Decodable>(
    _ type: Value.Type = Value.self,
    from bytes: [UInt8]
  ) throws -> Value { try unpack(type, from: bytes[...]) }
}
