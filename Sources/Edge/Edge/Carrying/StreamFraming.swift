import HTTP1
import HTTPMessage
import MartletBytes

/// Finds head, content and trailers in a message that is written as HTTP/1.1 and goes out on a stream of
/// HTTP/2: as strict as about what comes from others.
///
/// The caller gives what is written, takes step after step, and says what follows a head. Lines that are
/// not complete are kept here, so that all bytes of a write are taken but content for which there is no
/// room.
struct StreamFraming {
  /// What comes behind a head.
  enum Body {
    /// Another head: this one was an interim one.
    case nothingYet
    /// The end.
    case empty
    /// So many bytes.
    case fixed(UInt64)
    /// Chunks.
    case chunks
    /// Bytes up to the end: of a tunnel, or of a body that ends with its connection.
    case open
  }

  /// What was found.
  enum Step {
    /// Everything was used: more has to be written.
    case needsBytes
    /// A head, up to its empty line: ``follow(_:)`` is to be called.
    case head(Range<Int>)
    /// Content; what of it was sent is told by ``sent(_:)``.
    case content(Range<Int>)
    /// The message is over, with ``trailers``.
    case end
    /// Whoever writes breaks the framing.
    case broken
  }

  private enum State {
    case head
    case fixed(UInt64)
    case chunks
    case open
    /// The end is to be told.
    case ending
    case over
  }

  private var state = State.head
  private var decoder = ChunkedDecoder(limits: ReverseProxy.responseLimits)
  /// What is to come of a chunk that was looked at already.
  private var chunkLeft = 0
  /// A head or a trailer that has not come whole.
  private var before: [UInt8] = []
  /// The trailers, each as a line.
  private(set) var trailers: [UInt8] = []

  /// Begins anew.
  mutating func reset() {
    state = .head
    chunkLeft = 0
    before = []
    if !trailers.isEmpty { trailers = [] }
  }

  /// Whether no head was followed by a body yet.
  var awaitsHead: Bool { if case .head = state { true } else { false } }
  /// Whether everything was written, and the end was told.
  var isOver: Bool { if case .over = state { true } else { false } }
  /// Whether the body ends with its connection.
  var isOpen: Bool { if case .open = state { true } else { false } }

  /// Ends a message whose end is that of the connection.
  mutating func close() { state = .over }

  /// What is written now, behind what was kept of earlier writes, and how much that was; nil: nothing was.
  mutating func joined(with bytes: Span<UInt8>) -> (bytes: [UInt8], keptCount: Int)? {
    guard !before.isEmpty else { return nil }
    var all: [UInt8] = []
    swap(&all, &before)
    let keptCount = all.count
    all.append(copying: bytes)
    return (all, keptCount)
  }

  /// Takes the next step in `bytes`, from `offset` on, and moves `offset` behind what it used; content is
  /// used when it was sent.
  mutating func next(in bytes: Span<UInt8>, at offset: inout Int) -> Step {
    switch state {
    case .head:
      guard let end = Self.endOfHead(bytes, from: offset) else {
        keep(bytes, &offset)
        return .needsBytes
      }
      let start = offset
      offset = end
      return .head(start..<end)
    case .fixed(let left):
      guard offset < bytes.count else { return .needsBytes }
      return .content(offset..<offset + Int(min(left, UInt64(bytes.count - offset))))
    case .chunks: return nextChunk(bytes, &offset)
    case .open:
      return offset < bytes.count ? .content(offset..<bytes.count) : .needsBytes
    case .ending:
      state = .over
      return .end
    case .over:
      // Nothing follows.
      offset = bytes.count
      return .needsBytes
    }
  }

  /// Says what comes behind the head that was found.
  mutating func follow(_ body: Body) {
    switch body {
    case .nothingYet: state = .head
    case .empty, .fixed(0): state = .ending
    case .fixed(let length): state = .fixed(length)
    case .chunks:
      state = .chunks
      decoder = ChunkedDecoder(limits: ReverseProxy.responseLimits)
    case .open: state = .open
    }
  }

  /// Says how much of the content that was found was sent.
  mutating func sent(_ count: Int) {
    switch state {
    case .fixed(let left):
      state = left == UInt64(count) ? .ending : .fixed(left - UInt64(count))
    case .chunks: chunkLeft -= count
    default: break
    }
  }

  private mutating func nextChunk(_ bytes: Span<UInt8>, _ offset: inout Int) -> Step {
    while true {
      if chunkLeft > 0 {
        guard offset < bytes.count else { return .needsBytes }
        return .content(offset..<offset + min(chunkLeft, bytes.count - offset))
      }
      do throws(MessageError) {
        switch try decoder.next(in: bytes, at: &offset) {
        case .needBytes:
          if offset < bytes.count { keep(bytes, &offset) }
          return .needsBytes
        case .data(let range):
          // Looked at, and not passed on yet.
          offset = range.lowerBound
          chunkLeft = range.count
        case .trailer(let name, let value):
          trailers.append(copying: bytes.extracting(name))
          trailers += [0x3A, 0x20]
          trailers.append(copying: bytes.extracting(value))
          trailers += [0x0D, 0x0A]
        case .end:
          state = .over
          return .end
        }
      } catch {
        return .broken
      }
    }
  }

  /// Keeps a line that is not complete until more comes.
  private mutating func keep(_ bytes: Span<UInt8>, _ offset: inout Int) {
    before = Array(copying: bytes.extracting(offset..<bytes.count))
    offset = bytes.count
  }

  private static func endOfHead(_ bytes: Span<UInt8>, from start: Int) -> Int? {
    var offset = start
    while let end = ByteSearch.firstIndex(of: 0x0A, in: bytes, from: offset) {
      // A line with nothing before its end.
      if end - offset <= 1, end > start { return end + 1 }
      offset = end + 1
    }
    return nil
  }
}
