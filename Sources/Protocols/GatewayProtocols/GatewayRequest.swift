import HTTPMessage
import MartletBytes

/// The head of a request in the form of a gateway protocol: the variables, and what goes before and behind them.
///
/// Names and values are added one by one; a value has no zero byte, which HTTP does not let pass.
///
/// - Source: RFC 3875, section 4.1; FastCGI 1.0, sections 3.4 and 5; SCGI; uwsgi.
public struct GatewayRequest: Sendable {
  /// What the member speaks.
  public private(set) var form: GatewayProtocol
  /// What has been added.
  private var pairs: [UInt8] = []

  /// The most bytes of variables that the protocols can carry.
  public static let byteLimit = 65_535

  /// The number of the one request of a connection.
  public static let requestNumber: UInt16 = 1

  /// Creates a request without variables.
  public init(_ form: GatewayProtocol) {
    self.form = form
  }

  /// Begins anew with the variables of `other`, and keeps the room.
  public mutating func reset(to other: borrowing GatewayRequest) {
    form = other.form
    pairs.removeAll(keepingCapacity: true)
    add(other)
  }

  /// Adds the variables of a request in the same form.
  public mutating func add(_ other: borrowing GatewayRequest) {
    precondition(other.form == form, "variables in another form")
    pairs.append(copying: other.pairs.span)
  }

  /// How many bytes of variables there are.
  public var byteCount: Int { pairs.count }

  /// Whether the protocol can carry what was added.
  public var fits: Bool { pairs.count <= Self.byteLimit }

  // MARK: Variables

  /// Adds a variable.
  public mutating func add(_ name: String, _ value: Span<UInt8>) {
    begin(name.utf8.count, value.count)
    pairs.append(copying: name.utf8.span)
    put(value)
  }

  /// Adds a variable.
  public mutating func add(_ name: String, _ value: [UInt8]) { add(name, value.span) }

  /// Adds a variable.
  public mutating func add(_ name: String, _ value: String) { add(name, value.utf8.span) }

  /// Adds a variable of two parts.
  public mutating func add(_ name: String, _ value: Span<UInt8>, _ rest: Span<UInt8>) {
    begin(name.utf8.count, value.count + rest.count)
    pairs.append(copying: name.utf8.span)
    between()
    pairs.append(copying: value)
    pairs.append(copying: rest)
    end()
  }

  /// Adds a number.
  public mutating func add(_ name: String, number: UInt64) { add(name, String(number)) }

  /// Adds a field of the request as `HTTP_NAME`, unless its name could be taken for another's, or for what it
  /// must not be.
  ///
  /// Letters, digits and hyphens make a name that stands for one field alone. `Proxy` would be `HTTP_PROXY`, by
  /// which programs are told whom to send their own requests to.
  ///
  /// - Returns: Whether it was added.
  /// - Source: RFC 3875, section 4.1.18.
  @discardableResult
  public mutating func add(field name: Span<UInt8>, _ value: Span<UInt8>) -> Bool {
    guard Self.isPassedOn(name) else { return false }
    begin(5 + name.count, value.count)
    pairs.append(environmentNameOf: name)
    put(value)
    return true
  }

  /// Adds a field that came in several lines, joined by `separator`.
  ///
  /// - Returns: Whether it was added.
  @discardableResult
  public mutating func add(
    field name: Span<UInt8>,
    in head: Span<UInt8>,
    _ values: [Range<Int>],
    separator: String
  ) -> Bool {
    guard Self.isPassedOn(name) else { return false }
    let count = values.reduce(0) { $0 + $1.count }
    begin(5 + name.count, count + max(0, values.count - 1) * separator.utf8.count)
    pairs.append(environmentNameOf: name)
    between()
    for (index, range) in values.enumerated() {
      if index > 0 { pairs.append(contentsOf: separator.utf8) }
      pairs.append(copying: head.extracting(range))
    }
    end()
    return true
  }

  /// Whether a field of this name is passed on.
  public static func isPassedOn(_ name: Span<UInt8>) -> Bool {
    guard !name.isEmpty, name.count <= 256 else { return false }
    let passed = nameBytes
    for index in name.indices where !passed.contains(name[index]) { return false }
    return !equalIgnoringCase(name, proxy.span)
  }

  private static let nameBytes = ByteClass { byte in
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D: true
    default: false
    }
  }
  private static let proxy = Array("proxy".utf8)

  private mutating func put(_ value: Span<UInt8>) {
    between()
    if !value.isEmpty { pairs.append(copying: value) }
    end()
  }

  /// Writes what stands before a name.
  private mutating func begin(_ nameCount: Int, _ valueCount: Int) {
    valueLength = valueCount
    switch form {
    case .fastCGI:
      var lengths = InlineArray<8, UInt8>(repeating: 0)
      let count = Self.put(valueCount, in: &lengths, at: Self.put(nameCount, in: &lengths, at: 0))
      pairs.append(copying: lengths.span.extracting(first: count))
    case .uwsgi: put(short: nameCount)
    case .scgi: break
    }
  }

  private var valueLength = 0

  /// Writes what stands between a name and its value.
  private mutating func between() {
    switch form {
    case .fastCGI: break
    case .uwsgi: put(short: valueLength)
    case .scgi: pairs.append(0)
    }
  }

  private mutating func end() { if form == .scgi { pairs.append(0) } }

  /// One byte for a length below 128, else four.
  ///
  /// - Returns: The offset behind it.
  private static func put(
    _ length: Int,
    in bytes: inout InlineArray<8, UInt8>,
    at offset: Int
  ) -> Int {
    guard length >= 128 else {
      bytes[offset] = UInt8(length)
      return offset + 1
    }
    bytes[offset] = UInt8(truncatingIfNeeded: length >> 24) | 0x80
    bytes[offset + 1] = UInt8(truncatingIfNeeded: length >> 16)
    bytes[offset + 2] = UInt8(truncatingIfNeeded: length >> 8)
    bytes[offset + 3] = UInt8(truncatingIfNeeded: length)
    return offset + 4
  }

  /// Two bytes, the lower one first.
  private mutating func put(short length: Int) {
    pairs.append(UInt8(truncatingIfNeeded: length))
    pairs.append(UInt8(truncatingIfNeeded: length >> 8))
  }

  // MARK: What is sent

  /// The most bytes that go around the variables.
  public static let frameByteLimit = 64

  /// Gives the request up to its content, in parts: what goes before the variables, these, and what goes behind.
  ///
  /// That are at most ``byteCount`` and ``frameByteLimit`` bytes. The variables must fit, which ``fits`` tells.
  /// `contentLength` is for SCGI, which has it stand first.
  public func write(
    contentLength: UInt64,
    keepsConnection: Bool,
    role: FastCGIRecord.Role = .responder,
    request: UInt16 = requestNumber,
    _ put: (Span<UInt8>) -> Void
  ) {
    precondition(fits, "more variables than the protocol can carry")
    switch form {
    case .fastCGI:
      put(FastCGIRecord(.beginRequest, request: request, contentCount: 8).bytes.span)
      let begin: InlineArray<8, UInt8> = [0, role.rawValue, keepsConnection ? 1 : 0, 0, 0, 0, 0, 0]
      put(begin.span)
      put(FastCGIRecord(.params, request: request, contentCount: pairs.count).bytes.span)
      put(pairs.span)
      put(FastCGIRecord(.params, request: request, contentCount: 0).bytes.span)
    case .uwsgi:
      let head: InlineArray<4, UInt8> = [
        0, UInt8(truncatingIfNeeded: pairs.count), UInt8(truncatingIfNeeded: pairs.count >> 8), 0,
      ]
      put(head.span)
      put(pairs.span)
    case .scgi:
      let first = "CONTENT_LENGTH\0\(contentLength)\0SCGI\u{0}1\u{0}"
      put("\(first.utf8.count + pairs.count):".utf8.span)
      put(first.utf8.span)
      put(pairs.span)
      put(",".utf8.span)
    }
  }

  /// The request up to its content.
  public func encoded(contentLength: UInt64, keepsConnection: Bool) -> [UInt8] {
    var bytes: [UInt8] = []
    write(contentLength: contentLength, keepsConnection: keepsConnection) {
      bytes.append(copying: $0)
    }
    return bytes
  }
}
