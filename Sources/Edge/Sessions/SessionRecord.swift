import MartletBytes

/// The number of a session: 16 random bytes, which the client has sealed in its cookie.
public struct SessionNumber: Hashable, Sendable {
  /// The halves.
  public let high: UInt64
  /// The halves.
  public let low: UInt64

  /// How many bytes it has.
  public static let byteCount = 16

  /// A number that nobody has guessed.
  public static func random() -> SessionNumber {
    var system = SystemRandomNumberGenerator()
    return SessionNumber(high: system.next(), low: system.next())
  }

  init(high: UInt64, low: UInt64) { (self.high, self.low) = (high, low) }

  init?(_ bytes: Span<UInt8>) {
    guard bytes.count == Self.byteCount else { return nil }
    var halves: [UInt64] = [0, 0]
    for index in bytes.indices { halves[index / 8] = halves[index / 8] << 8 | UInt64(bytes[index]) }
    self.init(high: halves[0], low: halves[1])
  }

  var bytes: [UInt8] {
    [high, low].flatMap { half in
      stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: half >> UInt64($0)) }
    }
  }

  /// 32 hexadecimal digits.
  public var text: String {
    [high, low].map { half in
      let digits = String(half, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }.joined()
  }
}

/// What a store has of a session.
///
/// As bytes: 1, the begin (8), the last request (8), then texts: how many bytes (4) and these; the name, the user,
/// and the values, name before value. Numbers are little-endian.
public struct SessionRecord: Hashable, Sendable {
  /// What applications know it by: it stays when the cookie's number changes.
  public var name: String
  /// When it began, and when it was used last, in seconds since 1970.
  public var beganAt: Int64
  /// When it was used last.
  public var usedAt: Int64
  /// Who the client is; empty: nobody has signed in.
  public var user = ""
  /// What is remembered.
  public var values: [String: String] = [:]

  /// A session that begins.
  public init(name: String, at seconds: Int64) {
    self.name = name
    (beganAt, usedAt) = (seconds, seconds)
  }

  /// When it is over, by these terms.
  public func end(_ terms: SessionTerms) -> Int64 {
    min(beganAt + terms.absoluteSeconds, usedAt + terms.idleSeconds)
  }

  private static let version: UInt8 = 1

  /// As it is kept.
  public var bytes: [UInt8] {
    var bytes = [Self.version]
    Self.append(UInt64(bitPattern: beganAt), count: 8, to: &bytes)
    Self.append(UInt64(bitPattern: usedAt), count: 8, to: &bytes)
    let texts = [name, user] + values.sorted { $0.key < $1.key }.flatMap { [$0.key, $0.value] }
    for text in texts {
      Self.append(UInt64(text.utf8.count), count: 4, to: &bytes)
      bytes += text.utf8
    }
    return bytes
  }

  private static func append(_ number: UInt64, count: Int, to bytes: inout [UInt8]) {
    for place in 0..<count { bytes.append(UInt8(truncatingIfNeeded: number >> UInt64(place * 8))) }
  }

  /// Reads what was kept; nil: it was not made by this.
  public init?(_ bytes: [UInt8]) {
    guard bytes.count >= 17, bytes[0] == Self.version else { return nil }
    func number(at start: Int, count: Int) -> UInt64 {
      (0..<count).reduce(0) { $0 | UInt64(bytes[start + $1]) << UInt64($1 * 8) }
    }
    beganAt = Int64(bitPattern: number(at: 1, count: 8))
    usedAt = Int64(bitPattern: number(at: 9, count: 8))
    var texts: [String] = []
    var offset = 17
    while offset < bytes.count {
      guard bytes.count - offset >= 4 else { return nil }
      let count = Int(number(at: offset, count: 4))
      offset += 4
      guard count <= bytes.count - offset, texts.count < 2 + 2 * SessionTerms.valueLimit,
        let text = String(validating: bytes[offset..<offset + count], as: UTF8.self)
      else { return nil }
      texts.append(text)
      offset += count
    }
    guard texts.count >= 2, texts.count % 2 == 0 else { return nil }
    (name, user) = (texts[0], texts[1])
    for index in stride(from: 2, to: texts.count, by: 2) { values[texts[index]] = texts[index + 1] }
  }

  /// Whether it is as short as these terms ask for.
  public func fits(_ terms: SessionTerms) -> Bool {
    values.count <= SessionTerms.valueLimit
      && user.utf8.count
        + values.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count } <= terms.byteLimit
  }
}
