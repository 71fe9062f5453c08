/// Keeps what belongs to descriptors that rest, and goes on with it when they wake.
public protocol RestingKeeper: AnyObject {
  /// Called on the loop when a descriptor no longer rests.
  ///
  /// - Parameters:
  ///   - descriptor: The number of the one that it rested for, which is itself if none was named.
  ///   - hasInput: Whether what it rested for has come: a read finds something to do, which may be
  ///     the end, or a write finds room; if not, the deadline has come or the rest was cancelled.
  func descriptorWoke(_ descriptor: Int32, hasInput: Bool)

  /// Called on the loop when all events of a turn are delivered, if ``EventLoop/tellsKeeper`` was set.
  func eventsWereDelivered()
}

extension RestingKeeper {
  /// Does nothing.
  public func eventsWereDelivered() {}
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
  @inlinable
  public func rest(_ descriptor: Int32, for owner: Int32? = nil, until deadline: Deadline) {
    let slot = Int(descriptor) &* 2
    precondition(slots[slot].readiness.isEmpty, "a descriptor rests though it can be read")
    rest(slot, for: owner ?? descriptor, until: deadline)
  }

  /// Lets a descriptor rest until it can be written, after a write was refused for now or while it
  /// connects, or until `deadline` comes; then ``keeper`` is told, once.
  ///
  /// It may rest until it can be read at the same time.
  @inlinable
  public func restForWriting(
    _ descriptor: Int32,
    for owner: Int32? = nil,
    until deadline: Deadline
  ) {
    let slot = Int(descriptor) &* 2 &+ 1
    rest(slot, for: owner ?? descriptor, until: deadline)
    if !slots[slot].isWatched { watchWriting(slot) }
  }

  @usableFromInline
  func rest(_ slot: Int, for owner: Int32, until deadline: Deadline) {
    precondition(slots[slot].waiter == 0, "a descriptor rests while a coroutine waits for it")
    slots[slot].reason = .event
    slots[slot].isResting = true
    slots[slot].partner = owner
    if slots[slot].isMuted { unmute(slot) }
    wheel.arm(slot, at: deadline, in: slots)
  }

  /// Lets a descriptor rest until the next turn of the loop, whether or not it can be read.
  ///
  /// Whoever has done much at once lets others have their turn so.
  public func restBriefly(_ descriptor: Int32, for owner: Int32? = nil) {
    let slot = Int(descriptor) &* 2
    rest(slot, for: owner ?? descriptor, until: .never)
    brief.append(WakeToken(slot: slot, generation: slots[slot].generation))
  }

  /// Ends the rests that were to last until this turn.
  func endBriefRests() {
    // What rests briefly again meanwhile does so until the next turn.
    let tokens = brief
    brief.removeAll(keepingCapacity: true)
    for token in tokens
    where slots[token.slot].isResting && slots[token.slot].generation == token.generation {
      endRest(token.slot, .event, telling: keeper)
    }
  }

  /// Whether a descriptor rests until it can be read.
  @inlinable
  public func isResting(_ descriptor: Int32) -> Bool { slots[Int(descriptor) &* 2].isResting }

  /// Whether a descriptor rests until it can be written.
  @inlinable
  public func isRestingForWriting(_ descriptor: Int32) -> Bool {
    slots[Int(descriptor) &* 2 &+ 1].isResting
  }

  /// Ends a rest and tells the keeper.
  func endRest(_ slot: Int, _ reason: WakeReason, telling keeper: (any RestingKeeper)?) {
    let owner = slots[slot].partner
    slots[slot].partner = -1
    slots[slot].isResting = false
    slots[slot].deadline = 0
    slots[slot].reason = reason
    keeper?.descriptorWoke(owner, hasInput: reason == .event)
  }
}
