import Synchronization

/// Lines of a log on their way from a loop to the thread that writes them.
///
/// There are two buffers: the loop fills one while the other is being written. A loop never waits:
/// when its buffer is full and the other one has not come back, lines are dropped and counted.
///
/// The loop's side is this value; the writer's side is its ``lane``.
///
/// ```swift
/// if log.append({ buffer in format.append(record, text, to: &buffer) }) { wake() }  // each request
/// if log.handOver() { wake() }                                                      // each tick
/// ```
public struct LogBuffer: ~Copyable {
  /// How large the buffers are.
  public struct Limits: Hashable, Sendable {
    /// From how many bytes on a buffer is handed over without waiting for the tick.
    public var handOverBytes = 32 << 10
    /// How many bytes may wait; a line that begins below them is taken whole.
    public var bytes = 256 << 10

    /// Creates the limits that suit most loops.
    public init() {}
  }

  /// The writer's side.
  public let lane: LogLane

  @usableFromInline var front: TextBuffer
  @usableFromInline let limits: Limits

  /// How many lines were dropped since the buffer was made.
  public private(set) var droppedLineCount: UInt64 = 0

  /// Creates the loop's side of a new lane.
  public init(limits: Limits = Limits()) {
    precondition(limits.handOverBytes > 0, "a buffer holds something")
    precondition(limits.bytes >= limits.handOverBytes, "a full buffer can be handed over")
    self.limits = limits
    lane = LogLane()
    front = TextBuffer(capacity: 0)
  }

  /// How many bytes wait to be handed over.
  public var byteCount: Int { front.count }

  /// Appends a line, which `write` writes with its end, and hands over the buffer when it is large.
  ///
  /// Where there is no room, the line is dropped and counted.
  ///
  /// - Returns: Whether the writer has something to take now, and should be woken.
  @inlinable
  public mutating func append(_ write: (inout TextBuffer) -> Void) -> Bool {
    if front.count >= limits.handOverBytes {
      // The writer has not been ready since the line before; perhaps it is now.
      let isHandedOver = handOver()
      if front.count >= limits.bytes {
        drop()
        return false
      }
      write(&front)
      return isHandedOver
    }
    write(&front)
    return front.count >= limits.handOverBytes && handOver()
  }

  @inline(never)
  @usableFromInline
  mutating func drop() { droppedLineCount &+= 1 }

  /// Hands over what waits, if the writer has given back the other buffer.
  ///
  /// - Returns: Whether the writer has something to take now, and should be woken.
  public mutating func handOver() -> Bool {
    guard !front.isEmpty, var spare = lane.spare() else { return false }
    swap(&spare, &front)
    lane.fill(spare)
    return true
  }
}

/// The way between a loop and the writer's thread, with room for one full buffer.
///
/// Any thread may use it; each step takes a lock for a few instructions.
public final class LogLane: Sendable {
  private struct State: ~Copyable {
    /// The buffer that the loop may have, while the writer has none.
    var spare: TextBuffer? = TextBuffer(capacity: 0)
    /// The buffer that the writer may take.
    var full: TextBuffer?
  }

  private let state = Mutex(State())

  init() {}

  func spare() -> TextBuffer? { state.withLock { $0.spare.take() } }

  func fill(_ buffer: consuming TextBuffer) {
    var full: TextBuffer? = consume buffer
    state.withLock { $0.full = full.take() }
  }

  /// Takes the lines that the loop handed over, if there are any.
  ///
  /// - Returns: A buffer that is to be given back with ``giveBack(_:)`` after it was written.
  public func take() -> TextBuffer? { state.withLock { $0.full.take() } }

  /// Gives back a buffer that was taken, so that the loop can hand over the next.
  public func giveBack(_ buffer: consuming TextBuffer) {
    buffer.truncate(to: 0)
    var spare: TextBuffer? = consume buffer
    state.withLock { $0.spare = spare.take() }
  }
}
