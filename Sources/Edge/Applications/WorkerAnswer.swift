/// The beginning of a message that a worker sends.
public struct WorkerAnswer: Hashable, Sendable {
  /// What it is.
  public enum Kind: UInt8, Sendable {
    /// A head with all of its body.
    case whole = 1
    /// A head, and the beginning of its body.
    case head
    /// More of a body.
    case data
    /// The end of a body.
    case end
    /// An end that came too early.
    case cut
    /// A descriptor from which the rest of a body comes.
    case rest
    /// The application was loaded.
    case ready
  }

  /// What it is.
  public let kind: Kind
  /// Whether the head says how long the body is.
  public let hasLength: Bool
  /// The request that it answers.
  public let number: UInt64
  /// How long the application took for it, as far as that is known, in nanoseconds.
  public let applicationTime: Int64
  /// Where the head is in the message.
  public let head: Range<Int>

  /// The bytes of a message before its head.
  public static let headBytes = 20
  /// The longest message.
  public static let messageBytes = 192 << 10

  /// Reads a message; nil: it is none that a worker sends.
  public init?(_ bytes: Span<UInt8>) {
    guard bytes.count >= Self.headBytes, let kind = Kind(rawValue: bytes[0]) else { return nil }
    let size = Int(bytes.little(UInt32.self, at: 4))
    guard size <= bytes.count - Self.headBytes else { return nil }
    self.kind = kind
    hasLength = bytes[1] & 1 != 0
    number = bytes.little(UInt64.self, at: 8)
    applicationTime = Int64(bytes.little(UInt32.self, at: 16)) * 1000
    head = Self.headBytes..<Self.headBytes + size
  }
}
