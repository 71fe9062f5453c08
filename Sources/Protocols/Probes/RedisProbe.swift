/// Asks a Redis server, or one that speaks like it, whether it serves: `PING`, `+PONG`.
///
/// A server that wants a password first (`-NOAUTH`) serves too; one that loads its data (`-LOADING`),
/// or answers another error, does not.
///
/// - Source: the Redis serialization protocol, RESP2.
public struct RedisProbe: Sendable {
  /// What is sent.
  public static let opening = Array("*1\r\n$4\r\nPING\r\n".utf8)
  /// The longest line that is read.
  public static let lineBytes = 512

  private var line: [UInt8] = []

  /// Creates a probe that stands before the first byte of the answer.
  public init() {}

  /// Takes bytes that came.
  ///
  /// - Returns: The verdict, or nil when more bytes are needed.
  public mutating func receive(_ bytes: Span<UInt8>) -> ProbeVerdict? {
    for index in bytes.indices {
      let byte = bytes[index]
      if line.isEmpty, byte != UInt8(ascii: "+"), byte != UInt8(ascii: "-") {
        return .failed(.malformed, "not an answer of Redis")
      }
      if byte == UInt8(ascii: "\n") { return verdict }
      guard line.count < Self.lineBytes else {
        return .failed(.tooLong, "a line of more than \(Self.lineBytes) bytes")
      }
      line.append(byte)
    }
    return nil
  }

  private var verdict: ProbeVerdict {
    guard line.last == UInt8(ascii: "\r") else {
      return .failed(.malformed, "a line ends without CR")
    }
    let text = printable(line.dropLast())
    if text == "+PONG" { return .passed("PONG") }
    if text.hasPrefix("-NOAUTH") { return .passed("wants a password") }
    return text.hasPrefix("-") ? .failed(.refused, text) : .failed(.malformed, text)
  }

  /// What it means that the server closes now.
  public func end() -> ProbeVerdict { .failed(.closed, "closed within its answer") }
}
