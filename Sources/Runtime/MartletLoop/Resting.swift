/// Keeps what belongs to descriptors that rest, and goes on with it when they wake.
public protocol RestingKeeper: AnyObject {
  /// Called on the loop when a descriptor no longer rests.
  ///
  /// - Parameters:
  ///   - descriptor: The number of the one that it rested for, which is itself if none was named.
  ///   - hasInput: Whether a read finds something to do, which may be the end; if not, the deadline
  ///     has come or the rest was cancelled.
  func descriptorWoke(_ descriptor: Int32, hasInput: Bool)
}

extension EventLoop {
  /// Lets a descriptor rest until it can be read or `deadline` comes; then ``keeper`` is told, once.
  ///
  /// A coroutine that waits keeps its stack, some kilobytes, and takes time to stop and to go on; a
  /// descriptor that rests costs nothing but its slot. Nobody waits for the descriptor, and
  /// ``isReadable(_:)`` is false. The keeper hears the number of `owner`, if there is one: so a
  /// connection to a member rests for the client that it serves.
  ///
  /// What ended the rest other than input ends the descriptor's next wait too: a coroutine that goes
  /// on from here finds the time-out or the cancellation where it would have met it.
  public func rest(_ descriptor: Int32, for owner: Int32? = nil, until deadline: Deadline) {
    let slot = Int(descriptor) * 2
    precondition(slots[slot].waiter == 0, "a descriptor rests while a coroutine waits for it")
    precondition(slots[slot].readiness.isEmpty, "a descriptor rests though it can be read")
    slots[slot].reason = .event
    slots[slot].isResting = true
    slots[slot].partner = owner ?? descriptor
    wheel.arm(slot, at: deadline, in: slots)
  }

  /// Ends a rest and tells the keeper.
  func endRest(_ slot: Int, _ reason: WakeReason) {
    let owner = slots[slot].partner
    slots[slot].partner = -1
    slots[slot].isResting = false
    slots[slot].deadline = 0
    slots[slot].reason = reason
    keeper?.descriptorWoke(owner, hasInput: reason == .event)
  }
}
