/// A descriptor that several owners share, closed when the last of them drops it.
public final class OpenFile: Sendable {
  /// The descriptor.
  public let descriptor: Descriptor

  /// Takes over a descriptor.
  public init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }

  /// Takes over a descriptor by its number, for example one that another process sent.
  public convenience init(adopting number: Int32) { self.init(Descriptor(adopting: number)) }

  /// The kernel's number for it.
  public var number: Int32 { descriptor.number }

  /// Two connected Unix stream sockets.
  ///
  /// - Throws: ``SystemError`` when the process has no descriptor left. System call: `socketpair(2)`.
  public static func socketPair() throws(SystemError) -> (OpenFile, OpenFile) {
    let pair = try Descriptor.socketPair()
    let (first, second) = (pair.first.release(), pair.second.release())
    return (OpenFile(adopting: first), OpenFile(adopting: second))
  }

  /// Two connected Unix sockets between which messages pass whole.
  ///
  /// - Throws: ``SystemError`` when the process has no descriptor left. System call: `socketpair(2)`,
  ///   `SOCK_SEQPACKET`.
  public static func messagePair() throws(SystemError) -> (OpenFile, OpenFile) {
    let pair = try Descriptor.messagePair()
    let (first, second) = (pair.first.release(), pair.second.release())
    return (OpenFile(adopting: first), OpenFile(adopting: second))
  }

  /// A pipe: what is written to the second comes out of the first.
  ///
  /// - Throws: ``SystemError`` when the process has no descriptor left. System call: `pipe2(2)`.
  public static func pipe() throws(SystemError) -> (OpenFile, OpenFile) {
    let pair = try Descriptor.pipe()
    let (first, second) = (pair.first.release(), pair.second.release())
    return (OpenFile(adopting: first), OpenFile(adopting: second))
  }
}
