/// Keeps what belongs to descriptors that rest, and goes on with it when they wake.
public protocol RestingKeeper: AnyObject {
  /// Called on the loop when a descriptor no longer rests.
  ///
  /// - Parameters:
  ///   - descriptor: Its number.
  ///   - hasInput: Whether a read finds something to do, which may be the end; if not, the deadline
  ///     has come or the rest was cancelled.
  func descriptorWoke(_ descriptor: Int32, hasInput: Bool)
}

extension EventLoop {
  /// Lets a descriptor rest until it can be read or `deadline` comes; then ``keeper`` is told, once.
  ///
  /// A coroutine that waits keeps its stack, some kilobytes; a descriptor that rests costs nothing
  /// but its slot. Nobody waits for the descriptor, and ``isReadable(_:)`` is false.
  public func rest(_ descriptor: Int32, until deadline: Deadline) {
    let slot = Int(descriptor) * 2
    precondition(slots[slot].waiter == 0, "a descriptor rests while a coroutine waits for it")
    precondition(slots[slot].readiness.isEmpty, "a descriptor rests though it can be read")
    slots[slot].reason = .event
    slots[slot].isResting = true
    wheel.arm(slot, at: deadline, in: slots)
  }

  /// Ends a rest and tells the keeper.
  func endRest(_ slot: Int, _ reason: WakeReason) {
    slots[slot].isResting = false
    slots[slot].deadline = 0
    keeper?.descriptorWoke(Int32(slot / 2), hasInput: reason == .event)
  }
}
