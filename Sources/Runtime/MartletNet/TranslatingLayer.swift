public import MartletLoop
public import MartletSystem

// Invariant of this file: a buffer that is sent from or received into is borrowed from the caller until the
// call returns, and no pointer to it is kept.

/// A layer behind which another protocol is spoken: what the stream sends is framed on its way, and what comes
/// is turned into what the stream reads.
///
/// Nothing that is sent is copied: frames are given to the kernel beside it. What comes is read by the layer
/// into a buffer of the loop, and is turned into output only when the stream has read all of what was there
/// before.
@safe open class TranslatingLayer: SocketLayer {
  /// What goes around a piece of what is sent.
  public struct Frame {
    /// What goes before it.
    public var header: [UInt8]
    /// How long the piece is, at most as long as what was asked about.
    public var contentCount: Int
    /// What goes behind it.
    public var tail: [UInt8]

    /// Creates a frame.
    public init(header: [UInt8], contentCount: Int, tail: [UInt8]) {
      precondition(contentCount > 0, "a frame around nothing")
      self.header = header
      self.contentCount = contentCount
      self.tail = tail
    }
  }

  /// The loop of the stream.
  public unowned let loop: EventLoop
  private let descriptor: Int32
  /// How many bytes are to be sent as they are.
  private var plainCount = 0
  private var frame: Frame?
  private var headerSent = 0
  private var contentSent = 0
  private var tailSent = 0
  /// Whether the last byte of a frame's content was sent, and not said to be, because its tail waits.
  private var owesByte = false
  /// Whether the last receive has emptied the socket.
  private var wasShort = true
  private var isBroken = false
  private var hasEnded = false

  /// Creates the layer of a stream's socket.
  public init(of stream: Stream, on loop: EventLoop) {
    self.loop = loop
    descriptor = stream.descriptor
    super.init()
  }

  // MARK: What is spoken

  /// What goes around the next piece of the `count` bytes that are to be sent.
  open func frame(of count: Int) -> Frame { Frame(header: [], contentCount: count, tail: []) }

  /// Takes what has come, all of it.
  ///
  /// - Returns: False when it is of no use, and the connection is not either.
  open func take(_ bytes: Span<UInt8>) -> Bool { false }

  /// Takes the end of what comes.
  open func takeEnd() {}

  /// Whether there is something for the stream to read.
  open var hasOutput: Bool { false }

  /// Gives what there is, at most `limit` bytes.
  ///
  /// - Returns: How many bytes that were.
  open func give(upTo limit: Int, _ take: (Span<UInt8>) -> Void) -> Int { 0 }

  // MARK: Sending

  /// Has the next `count` bytes sent as they are, before anything is framed again.
  public func sendPlainly(_ count: Int) {
    plainCount = count
    frame = nil
    owesByte = false
  }

  /// Whether everything was sent that was begun.
  public var isBetweenFrames: Bool { plainCount == 0 && frame == nil }

  open override func send(_ bytes: UnsafeRawBufferPointer, endsNext: Bool) -> Int {
    var taken = 0
    if owesByte, bytes.count > 0 {
      let result = sendTail()
      if result < 0 { return result }
      guard frame == nil else { return -Self.wouldBlock }
      owesByte = false
      taken = 1
    }
    while taken < bytes.count {
      let isPlain = plainCount > 0
      // Safe: the part lies within the caller's buffer, which the slice checks.
      let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[taken...])
      let result = isPlain ? unsafe sendPlain(rest) : unsafe sendFramed(rest)
      // What was taken is told first; the same happens again with the next call.
      if result < 0 { return taken > 0 ? taken : result }
      taken += result
      // The socket is full.
      if isPlain ? plainCount > 0 && result < rest.count : frame != nil { break }
      if result == 0 { break }
    }
    return taken
  }

  private func sendPlain(_ bytes: UnsafeRawBufferPointer) -> Int {
    let count = min(plainCount, bytes.count)
    // Safe: the caller keeps its bytes for this call.
    let result = unsafe loop.kernel.send(
      descriptor,
      UnsafeRawBufferPointer(rebasing: bytes[..<count]),
      more: false
    )
    if result > 0 { plainCount -= result }
    return result
  }

  /// Sends a piece with what goes around it.
  private func sendFramed(_ bytes: UnsafeRawBufferPointer) -> Int {
    let frame = self.frame ?? begin(bytes.count)
    let count = min(frame.contentCount - contentSent, bytes.count)
    let isLast = contentSent + count == frame.contentCount
    // Safe: arrays and the caller's bytes live for the call, and parts of them are checked slices.
    let result = unsafe frame.header.withUnsafeBytes { header in
      unsafe frame.tail.withUnsafeBytes { tail in
        unsafe loop.kernel.send(
          descriptor,
          UnsafeRawBufferPointer(rebasing: header[headerSent...]),
          UnsafeRawBufferPointer(rebasing: bytes[..<count]),
          UnsafeRawBufferPointer(rebasing: tail[..<(isLast ? tail.count : 0)])
        )
      }
    }
    if result < 0 { return result }
    let inHeader = min(result, frame.header.count - headerSent)
    let inContent = min(result - inHeader, count)
    headerSent += inHeader
    contentSent += inContent
    tailSent = result - inHeader - inContent
    guard contentSent == frame.contentCount else {
      return inContent > 0 ? inContent : -Self.wouldBlock
    }
    if tailSent == frame.tail.count {
      self.frame = nil
      return inContent
    }
    // Who sends waits for room only for bytes that were not taken: so the last one is not, for now.
    owesByte = true
    return inContent > 1 ? inContent - 1 : -Self.wouldBlock
  }

  private func begin(_ count: Int) -> Frame {
    let frame = frame(of: count)
    self.frame = frame
    headerSent = 0
    contentSent = 0
    tailSent = 0
    return frame
  }

  private func sendTail() -> Int {
    guard let frame else { return 0 }
    // Safe: the array lives for the call.
    let result = unsafe frame.tail.withUnsafeBytes { tail in
      unsafe loop.kernel.send(
        descriptor,
        UnsafeRawBufferPointer(rebasing: tail[tailSent...]),
        more: false
      )
    }
    if result > 0 { tailSent += result }
    if tailSent == frame.tail.count { self.frame = nil }
    return result
  }

  // MARK: Receiving

  open override func receive(into bytes: UnsafeMutableRawBufferPointer) -> Int {
    while true {
      if hasOutput {
        var count = 0
        _ = give(upTo: bytes.count) { piece in
          // Safe: no more is given than was asked for, which the slice checks.
          unsafe piece.withUnsafeBytes { source in
            let target = unsafe UnsafeMutableRawBufferPointer(
              rebasing: bytes[count..<count + source.count]
            )
            unsafe target.copyMemory(from: source)
          }
          count += piece.count
        }
        return count
      }
      if isBroken { return -Self.protocolError }
      if hasEnded { return 0 }
      let result = fetch()
      if result < 0 { return result }
    }
  }

  /// Receives what has come on the socket.
  private func fetch() -> Int {
    var buffer = loop.lend(.body)
    // Safe: the free part is ours until `didFill`.
    let result = unsafe loop.kernel.receive(descriptor, into: buffer.freeStorage)
    if result < 0 { return result }
    guard result > 0 else {
      hasEnded = true
      takeEnd()
      return 0
    }
    wasShort = result < buffer.capacity
    buffer.didFill(result)
    if !take(buffer.bytes) { isBroken = true }
    return result
  }

  open override var isDrained: Bool { wasShort && !hasOutput && !isBroken && !hasEnded }

  open override func hasInput() -> Bool {
    while !hasOutput, !isBroken, !hasEnded {
      if fetch() < 0 { return false }
    }
    return true
  }

  private static let wouldBlock = 11
  private static let protocolError = 71
}
