/// Waits for a text in whatever a server sends.
///
/// For TCP the bytes come in any pieces; for UDP each datagram is a piece.
public struct ExpectProbe: Sendable {
  /// The most bytes that are read.
  public static let answerBytes = 64 << 10

  private var search: PatternSearch
  private var byteCount = 0
  private var beginning: [UInt8] = []

  /// Creates a probe that expects this pattern; an empty one is found in the first byte.
  public init(_ pattern: BytePattern) { search = PatternSearch(pattern) }

  /// Takes bytes that came; at least one.
  ///
  /// - Returns: The verdict, or nil when more bytes are needed.
  public mutating func receive(_ bytes: Span<UInt8>) -> ProbeVerdict? {
    // What lies behind the limit is not looked at, so that pieces of any size mean the same.
    let part = bytes.extracting(..<min(bytes.count, Self.answerBytes - byteCount))
    if beginning.count < ProbeFailure.detailBytes {
      let room = min(part.count, ProbeFailure.detailBytes - beginning.count)
      for index in 0..<room { beginning.append(part[index]) }
    }
    byteCount += part.count
    search.take(part)
    if search.isFound { return .passed("answered as expected") }
    guard byteCount < Self.answerBytes else {
      return .failed(.tooLong, "\(Self.answerBytes) bytes without the expected text")
    }
    return nil
  }

  /// What it means that nothing more comes.
  public func end() -> ProbeVerdict {
    guard byteCount > 0 else { return .failed(.closed, "closed without a word") }
    return .failed(.content, "the answer begins: \(printable(beginning))")
  }

  /// What has come so far, for the detail of a time-out; empty if nothing has.
  public var heard: String { printable(beginning) }
}
