import MartletBytes

/// What an application says of itself when it is asked, before the first request of a connection.
///
/// - Source: FastCGI 1.0, section 4.1.
public struct FastCGIValues: Hashable, Sendable {
  /// Whether a connection may carry several requests at once.
  public var multiplexes = false
  /// How many requests it takes at once; nil: it has not said so.
  public var requestLimit: Int?

  /// Creates what an application says that says nothing.
  public init() {}

  /// The record that asks for it.
  public static let question: [UInt8] = {
    var pairs: [UInt8] = []
    for name in [multiplexesName, requestLimitName] { pairs += [UInt8(name.count), 0] + name }
    var bytes: [UInt8] = []
    FastCGIRecord(.getValues, request: 0, contentCount: pairs.count).append(to: &bytes)
    return bytes + pairs
  }()

  /// Reads the pairs of an answer; what was not asked for is passed over, and so is what is no number.
  ///
  /// - Throws: ``GatewayFault/fieldLine`` when they are cut short.
  public init(_ pairs: Span<UInt8>) throws(GatewayFault) {
    var offset = 0
    while offset < pairs.count {
      let pair = try FastCGIPair(in: pairs, at: &offset)
      let name = Array(copying: pairs.extracting(pair.name))
      let value = String(decoding: Array(copying: pairs.extracting(pair.value)), as: UTF8.self)
      if name == Self.multiplexesName { multiplexes = value == "1" }
      if name == Self.requestLimitName { requestLimit = UInt32(value).map { Int($0) } }
    }
  }

  private static let multiplexesName = Array("FCGI_MPXS_CONNS".utf8)
  private static let requestLimitName = Array("FCGI_MAX_REQS".utf8)
}

/// A name with its value among others, as variables and answers about an application are written.
///
/// - Source: FastCGI 1.0, section 3.4.
struct FastCGIPair {
  let name: Range<Int>
  let value: Range<Int>

  /// Reads the pair at `offset`, which is moved behind it.
  ///
  /// - Throws: ``GatewayFault/fieldLine`` when it is cut short.
  init(in bytes: Span<UInt8>, at offset: inout Int) throws(GatewayFault) {
    let nameCount = try Self.length(bytes, &offset)
    let valueCount = try Self.length(bytes, &offset)
    guard nameCount + valueCount <= bytes.count - offset else { throw .fieldLine }
    name = offset..<offset + nameCount
    value = name.upperBound..<name.upperBound + valueCount
    offset = value.upperBound
  }

  private static func length(_ bytes: Span<UInt8>, _ offset: inout Int) throws(GatewayFault) -> Int
  {
    guard offset < bytes.count else { throw .fieldLine }
    let first = bytes[offset]
    guard first >= 0x80 else {
      offset += 1
      return Int(first)
    }
    guard offset + 4 <= bytes.count else { throw .fieldLine }
    let high = Int(first & 0x7F) << 24 | Int(bytes[offset + 1]) << 16
    let length = high | Int(bytes[offset + 2]) << 8 | Int(bytes[offset + 3])
    offset += 4
    return length
  }
}
