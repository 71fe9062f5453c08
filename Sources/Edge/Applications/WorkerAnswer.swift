/// What a worker says at once of one answer; a message holds one or several.
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
    /// How often threads that could have run were looked at, as ``WorkerAnswer/number``, and how long they have
    /// waited for the interpreter's lock, as ``WorkerAnswer/applicationTime``.
    case lock
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
  /// Where the content is in the message; the next answer begins where it ends.
  public let content: Range<Int>

  /// The bytes before a head.
  public static let headBytes = 24
  /// The longest message.
  public static let messageBytes = 192 << 10

  /// Reads what begins at `start` of a message; nil: it is nothing that a worker sends.
  public init?(_ bytes: Span<UInt8>, at start: Int = 0) {
    let left = bytes.count - start - Self.headBytes
    guard left >= 0, let kind = Kind(rawValue: bytes[start]) else { return nil }
    let headCount = Int(bytes.little(UInt32.self, at: start + 4))
    let contentCount = Int(bytes.little(UInt32.self, at: start + 8))
    guard headCount <= left, contentCount <= left - headCount else { return nil }
    self.kind = kind
    hasLength = bytes[start + 1] & 1 != 0
    number = bytes.little(UInt64.self, at: start + 12)
    applicationTime = Int64(bytes.little(UInt32.self, at: start + 20)) * 1000
    let headStart = start + Self.headBytes
    head = headStart..<headStart + headCount
    content = head.upperBound..<head.upperBound + contentCount
  }
}
