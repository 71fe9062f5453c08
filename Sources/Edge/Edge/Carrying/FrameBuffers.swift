import HTTP2
import MartletLoop
import MartletNet

// What connections that carry several exchanges hold between two turns: those of clients and those to members.

/// The beginning of a frame that is not complete.
struct FrameInput: ~Copyable {
  private var partial: Lent?

  /// What a call has received.
  enum Received: ~Copyable {
    /// Nothing is there.
    case nothing
    /// The other side has closed.
    case end
    /// Bytes, which begin with a frame.
    case bytes(Lent)
  }

  /// Whether a frame has begun.
  var hasPartial: Bool { partial != nil }

  /// Receives what is there, behind what is kept.
  ///
  /// - Throws: ``StreamError``.
  mutating func receive(from stream: Stream, on loop: EventLoop) throws(StreamError) -> Received {
    guard var more = partial.take() else {
      guard let bytes = try stream.readNow(.body) else { return .nothing }
      return bytes.isEmpty ? .end : .bytes(bytes)
    }
    if more.capacity < BufferSize.body.bytes { more = loop.enlarged(more) }
    guard let count = try stream.moreNow(&more) else {
      partial = consume more
      return .nothing
    }
    return count == 0 ? .end : .bytes(more)
  }

  /// Keeps what stands from `offset` on, if there is anything.
  mutating func keep(_ bytes: consuming Lent, from offset: Int) {
    guard offset < bytes.count else { return }
    bytes.removeFirst(offset)
    partial = consume bytes
  }

  /// Keeps a short beginning in a small buffer, as long as nothing comes.
  mutating func shrink(on loop: EventLoop) {
    guard var waiting = partial.take() else { return }
    if waiting.capacity > BufferSize.head.bytes, waiting.count < BufferSize.head.bytes / 2 {
      var small = loop.lend(.head)
      small.append(waiting.bytes)
      waiting = small
    }
    partial = consume waiting
  }

  mutating func clear() { partial = nil }
}

/// What has something to say on a connection.
protocol FrameSource: ~Copyable {
  /// Gives what it has to say, in the place of what `bytes` has.
  mutating func takeOutput(into bytes: inout [UInt8])
}

extension ConnectionMachine: FrameSource {}

/// What is being sent.
struct FrameOutput {
  private var bytes: [UInt8] = []
  private var sentCount = 0

  /// How many bytes wait.
  var count: Int { bytes.count - sentCount }

  /// Sends what waits and what `machine` has to say; if the socket is full, the stream rests for writing.
  ///
  /// - Returns: Whether all was sent.
  /// - Throws: ``StreamError``.
  mutating func send(
    _ machine: inout some FrameSource & ~Copyable,
    over stream: Stream,
    within limit: Timeout,
    on loop: EventLoop
  ) throws(StreamError) -> Bool {
    while true {
      if sentCount == bytes.count {
        machine.takeOutput(into: &bytes)
        sentCount = 0
        if bytes.isEmpty { return true }
      }
      sentCount += try stream.writeNow(bytes, from: sentCount)
      if sentCount < bytes.count {
        stream.restForWriting(for: stream.descriptor, until: loop.deadline(after: limit))
        return false
      }
    }
  }

  /// Throws away what `machine` has to say: nobody reads it any more.
  mutating func discard(_ machine: inout ConnectionMachine) {
    machine.takeOutput(into: &bytes)
    bytes.removeAll(keepingCapacity: true)
    sentCount = 0
  }

  mutating func clear() {
    bytes = []
    sentCount = 0
  }
}

/// A stream that is told of what has come for it.
protocol CarriedStream: AnyObject {
  /// Whether something has come that ``signal()`` was not called for yet.
  var isTouched: Bool { get set }
  /// Tells whoever waits of what has come.
  func signal()
}

/// Streams for which something has come.
///
/// They are told once all that was read is looked at: most often the whole message is there then.
final class TouchedStreams<Carried: CarriedStream> {
  private var all: [Carried] = []

  func add(_ stream: Carried) {
    guard !stream.isTouched else { return }
    stream.isTouched = true
    all.append(stream)
  }

  /// Tells all of them, and those that are added meanwhile.
  func signal() {
    while !all.isEmpty {
      var streams: [Carried] = []
      swap(&streams, &all)
      for stream in streams {
        stream.isTouched = false
        stream.signal()
      }
      guard all.isEmpty else { continue }
      // The memory is used again.
      streams.removeAll(keepingCapacity: true)
      all = streams
      return
    }
  }
}
