import MartletBytes

/// An answer of Redis, of the kinds that commands about single values and scripts get.
///
/// - Source: the Redis serialization protocol, RESP2.
public enum RedisReply: Hashable, Sendable {
  /// `+OK`.
  case status(String)
  /// `-ERR …`.
  case error(String)
  /// `:1`.
  case number(Int64)
  /// `$5`; nil: there is none.
  case bytes([UInt8]?)

  /// Why an answer cannot be read.
  public enum Fault: Error, Hashable, Sendable {
    /// It is of another kind, or not in form.
    case malformed
    /// It has more bytes than are taken.
    case tooLong
  }

  /// The most bytes of a line and of a value.
  public static let lineByteLimit = 4096
  /// The most bytes of a value.
  public static let valueByteLimit = 1 << 20

  /// Reads the answer that `bytes` begin with.
  ///
  /// - Returns: The answer and how many bytes it has; nil: more are needed.
  /// - Throws: ``Fault``; where the next answer begins is not known then.
  public static func read(_ bytes: Span<UInt8>) throws(Fault) -> (reply: RedisReply, count: Int)? {
    guard let end = ByteSearch.firstIndex(of: 0x0A, in: bytes, from: 0) else {
      guard bytes.count <= lineByteLimit else { throw .tooLong }
      return nil
    }
    guard end <= lineByteLimit else { throw .tooLong }
    guard end >= 2, bytes[end - 1] == 0x0D else { throw .malformed }
    let text = String(decoding: Array(copying: bytes.extracting(1..<end - 1)), as: UTF8.self)
    switch bytes[0] {
    case UInt8(ascii: "+"): return (.status(text), end + 1)
    case UInt8(ascii: "-"): return (.error(text), end + 1)
    case UInt8(ascii: ":"):
      guard let number = Int64(text) else { throw .malformed }
      return (.number(number), end + 1)
    case UInt8(ascii: "$"):
      guard let count = Int(text), count >= -1 else { throw .malformed }
      guard count >= 0 else { return (.bytes(nil), end + 1) }
      guard count <= valueByteLimit else { throw .tooLong }
      let start = end + 1
      guard bytes.count >= start + count + 2 else { return nil }
      guard bytes[start + count] == 0x0D, bytes[start + count + 1] == 0x0A else {
        throw .malformed
      }
      let value = Array(copying: bytes.extracting(start..<start + count))
      return (.bytes(value), start + count + 2)
    default: throw .malformed
    }
  }

  /// The bytes of a command with its arguments.
  public static func command(_ words: [[UInt8]]) -> [UInt8] {
    var bytes = Array("*\(words.count)\r\n".utf8)
    for word in words {
      bytes += "$\(word.count)\r\n".utf8
      bytes += word
      bytes += [0x0D, 0x0A]
    }
    return bytes
  }
}
