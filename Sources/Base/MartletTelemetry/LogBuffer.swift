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

  @usableFromInline var front: LogPage
  @usableFromInline let limits: Limits

  /// How many lines were dropped since the buffer was made.
  public private(set) var droppedLineCount: UInt64 = 0

  /// Creates the loop's side of a new lane.
  public init(limits: Limits = Limits()) {
    precondition(limits.handOverBytes > 0, "a buffer holds something")
    precondition(limits.bytes >= limits.handOverBytes, "a full buffer can be handed over")
    self.limits = limits
    lane = LogLane()
    front = LogPage()
  }

  /// How many bytes wait to be handed over.
  public var byteCount: Int { front.text.count }

  /// Appends a line, which `write` writes with its end, and hands over the buffer when it is large.
  ///
  /// Where there is no room, the line is dropped and counted.
  ///
  /// - Returns: Whether the writer has something to take now, and should be woken.
  @inlinable
  public mutating func append(_ write: (inout TextBuffer) -> Void) -> Bool {
    if front.text.count >= limits.handOverBytes {
      // The writer has not been ready since the line before; perhaps it is now.
      let isHandedOver = handOver()
      if front.text.count >= limits.bytes {
        drop()
        return false
      }
      write(&front.text)
      return isHandedOver
    }
    write(&front.text)
    return front.text.count >= limits.handOverBytes && handOver()
  }

  @inline(never)
  @usableFromInline
  mutating func drop() { droppedLineCount &+= 1 }

  /// Hands over what waits, if the writer has given back the other buffer.
  ///
  /// - Returns: Whether the writer has something to take now, and should be woken.
  public mutating func handOver() -> Bool {
    guard !front.text.isEmpty, let next = lane.takeSpare() else { return false }
    lane.putFull(front)
    front = next
    return true
  }
}
