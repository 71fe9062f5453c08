import MartletBytes
public import MartletSystem

/// A request on its way to a worker.
public struct WorkerRequest: Sendable {
  /// What is known of a request besides its head.
  public struct Context: Sendable {
    /// The client's address.
    public var client: SocketAddress?
    /// `http` or `https`.
    public var scheme: [UInt8] = []
    /// By what the server is known where the request does not say.
    public var serverName: [UInt8] = []
    /// The part of the path that names the application.
    public var scriptName: [UInt8] = []
    /// The version that the client speaks.
    public var version: [UInt8] = []
    /// By what the request is known in logs, there in 32 hexadecimal digits.
    public var identifier: (high: UInt64, low: UInt64)?
    /// How important it is where requests wait, from 0 to 9.
    public var priority = 5

    /// Creates a context in which nothing is known.
    public init() {}
  }

  /// What goes with a message besides its bytes.
  public struct Attachment: Sendable {
    /// What is done with a file.
    public enum Use: UInt8, Sendable {
      /// It holds the body.
      case body = 1
      /// A WebSocket's bytes pass through it.
      case webSocket = 2
      /// What is missing of the body comes from it, as ``WorkerRequest/piece(of:)`` writes it.
      case stream = 4
    }

    /// The file, or socket.
    public var file: OpenFile
    /// What is done with it.
    public var use: Use

    /// Creates an attachment.
    public init(_ file: OpenFile, for use: Use) {
      self.file = file
      self.use = use
    }
  }

  /// By what its answer is known.
  public let number: UInt64
  /// The loop that waits for the answer.
  public let loop: UInt8
  /// How important it is where requests wait.
  public let priority: Int
  /// The message.
  public let bytes: [UInt8]
  /// What goes with it.
  public let attachment: Attachment?

  /// Whether its body comes while the application is at it.
  var isStreamed: Bool { attachment?.use == .stream }

  /// The bytes of a message before the environment.
  static let headBytes = 24
  /// The longest environment that is sent, in bytes.
  public static let environmentLimit = 60 << 10
  /// The longest body that stands in the message, in bytes; longer ones lie in a file.
  public static let inlineLimit = 32 << 10

  /// The longest part of a streamed body in one message, in bytes.
  public static let pieceLimit = 64 << 10

  /// Writes a request with its environment and its body, as far as that does not lie in a file or is to
  /// come; `contentLength` is nil where nobody has said how long it will be.
  ///
  /// What its fields become is looked up in `known`.
  ///
  /// - Throws: ``WorkerRequestError``.
  public init(
    number: UInt64,
    loop: UInt8,
    head: Span<UInt8>,
    context: Context,
    body: [UInt8],
    attachment: Attachment? = nil,
    contentLength: UInt64?,
    known: KnownFields
  ) throws(WorkerRequestError) {
    self.number = number
    self.loop = loop
    priority = context.priority
    self.attachment = attachment
    var bytes: [UInt8] = []
    bytes.reserveCapacity(head.count * 2 + body.count + 512)
    bytes += [1, loop, attachment?.use.rawValue ?? 0, 0, 0, 0, 0, 0]
    bytes.append(little: number)
    let isInFile = attachment?.use == .body
    bytes.append(little: isInFile ? contentLength ?? 0 : UInt64(body.count))
    var writer = EnvironmentWriter(consume bytes)
    let commonSize = try writer.write(head, context, contentLength: contentLength, known)
    let size = writer.bytes.count - Self.headBytes
    guard size <= Self.environmentLimit else { throw .tooLarge }
    writer.replace(at: 4, by: commonSize)
    writer.replace(at: 6, by: size - commonSize)
    if !body.isEmpty { writer.put(body) }
    self.bytes = writer.bytes
  }

  /// The message that a part of a streamed body is; none: the body is over.
  public static func piece(of bytes: Span<UInt8>) -> [UInt8] {
    var message: [UInt8] = []
    message.reserveCapacity(bytes.count + 1)
    message.append(bytes.isEmpty ? 0 : 1)
    message.append(copying: bytes)
    return message
  }
}

/// Why a request cannot be given to an application.
public enum WorkerRequestError: Error, Hashable, Sendable {
  /// The environment is longer than ``WorkerRequest/environmentLimit``.
  case tooLarge
  /// The path has a zero byte, which no environment can hold.
  case zeroByte
}

extension [UInt8] {
  mutating func append(little number: UInt64) {
    for place in 0..<8 { append(UInt8(truncatingIfNeeded: number >> (UInt64(place) * 8))) }
  }
}

extension Span<UInt8> {
  func little<Number: FixedWidthInteger>(_: Number.Type, at start: Int) -> Number {
    var number: Number = 0
    for place in 0..<Number.bitWidth / 8 {
      number |= Number(truncatingIfNeeded: self[start + place]) << Number(place * 8)
    }
    return number
  }
}
