/// The call that asks a server whether it serves: `grpc.health.v1.Health/Check`.
public enum HealthCall {
  /// Its path.
  public static let path = "/grpc.health.v1.Health/Check"
  /// The longest name of a service.
  public static let serviceBytes = 1024
  /// The bytes before each message: whether it is compressed, and its length.
  public static let prefixBytes = 5

  /// What a server says.
  public enum Answer: Hashable, Sendable {
    /// It serves.
    case serving
    /// It does not.
    case notServing
    /// It does not know the service.
    case serviceUnknown
    /// It says nothing that is known.
    case unknown
  }

  /// The request about a service, with its prefix; empty: the server as a whole.
  public static func request(service: String) -> [UInt8] {
    let name = Array(service.utf8.prefix(serviceBytes))
    var message: [UInt8] = []
    if !name.isEmpty {
      // Field 1, a string.
      message.append(0x0A)
      var length = name.count
      while length >= 0x80 {
        message.append(UInt8(length & 0x7F) | 0x80)
        length >>= 7
      }
      message.append(UInt8(length))
      message += name
    }
    return [
      0, 0, 0, UInt8(truncatingIfNeeded: message.count >> 8),
      UInt8(truncatingIfNeeded: message.count),
    ] + message
  }

  /// Reads an answer with its prefix, which is whole.
  ///
  /// - Returns: nil when it is not in the form of one, or compressed, which nobody has asked for.
  public static func answer(_ bytes: Span<UInt8>) -> Answer? {
    guard bytes.count >= prefixBytes, bytes[0] == 0 else { return nil }
    var length = 0
    for index in 1..<prefixBytes { length = length << 8 | Int(bytes[index]) }
    guard length == bytes.count - prefixBytes else { return nil }
    var offset = prefixBytes
    // A field that is not there has the value 0.
    var status: UInt64 = 0
    while offset < bytes.count {
      guard let key = number(bytes, &offset) else { return nil }
      switch key & 7 {
      case 0:
        guard let value = number(bytes, &offset) else { return nil }
        if key >> 3 == 1 { status = value }
      case 1: offset += 8
      case 2:
        guard let count = number(bytes, &offset), count <= UInt64(bytes.count) else { return nil }
        offset += Int(count)
      case 5: offset += 4
      default: return nil
      }
    }
    guard offset == bytes.count else { return nil }
    switch status {
    case 1: return .serving
    case 2: return .notServing
    case 3: return .serviceUnknown
    default: return .unknown
    }
  }

  /// Reads a number of seven bits a byte.
  private static func number(_ bytes: Span<UInt8>, _ offset: inout Int) -> UInt64? {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while offset < bytes.count, shift < 64 {
      let byte = bytes[offset]
      offset += 1
      value |= UInt64(byte & 0x7F) << shift
      if byte & 0x80 == 0 { return value }
      shift += 7
    }
    return nil
  }
}
