import CLinux
public import MartletSystem

/// Which descriptors the loop watches.
extension EventLoop {
  /// Begins to watch a descriptor.
  ///
  /// With `assumesReady` the first read is tried without waiting for an event. That it can be written is
  /// not told before somebody waits for it, except with `isConnecting`: most sockets take whatever they
  /// are given, and those that connect say in this way that they have.
  ///
  /// - Throws: ``SystemError`` when the kernel refuses, or the number is beyond the table (EMFILE).
  public func watch(
    _ descriptor: Int32,
    assumesReady: Bool = false,
    isConnecting: Bool = false
  ) throws(SystemError) {
    let events = Self.streamEvents
    try watch(
      descriptor,
      assumesReady: assumesReady,
      events: isConnecting ? events | martlet_event_writable : events
    )
    if isConnecting { slots[Int(descriptor) * 2 + 1].isWatched = true }
  }

  private static let streamEvents = martlet_event_readable | martlet_event_half_closed

  /// Has the kernel tell from now on when a descriptor can be written, also if it can by now.
  @usableFromInline
  func watchWriting(_ slot: Int) {
    slots[slot].isWatched = true
    rewatch(Int32(slot / 2))
  }

  /// Has the poller tell what somebody waits for, and whatever else is not muted.
  private func rewatch(_ descriptor: Int32) {
    // An inner socket has no poller: whoever writes to it signals.
    guard descriptor < descriptorLimit else { return }
    let read = Int(descriptor) * 2
    var events = slots[read].isMuted ? 0 : Self.streamEvents
    if slots[read + 1].isWatched { events |= martlet_event_writable }
    let data = UInt64(slots[read].generation) << 32 | UInt64(UInt32(bitPattern: descriptor))
    // It is watched already, so that nothing is to be allocated: there is no error to expect.
    _ = poller.rewatch(
      descriptor,
      events: events == 0 ? 0 : events | martlet_event_edge,
      data: data
    )
  }

  /// Silences what a level-triggered poller would tell again at once, though nobody waits for it.
  ///
  /// What was told is remembered, as with edges; who waits for more ends the silence.
  func muteUnheard(_ read: Int, _ happened: UInt32) {
    var isChanged = false
    if happened & ~martlet_event_writable != 0, isUnheard(read), !slots[read].isMuted {
      slots[read].isMuted = true
      isChanged = true
    }
    // One word is enough: whoever is refused the next time asks anew.
    if happened & martlet_event_writable != 0, slots[read + 1].isWatched {
      slots[read + 1].isWatched = false
      isChanged = true
    }
    if isChanged { rewatch(Int32(read / 2)) }
  }

  private func isUnheard(_ slot: Int) -> Bool {
    slots[slot].waiter == 0 && !slots[slot].isResting
  }

  /// Has the poller tell again what it was silent about.
  @usableFromInline
  func unmute(_ slot: Int) {
    slots[slot].isMuted = false
    rewatch(Int32(slot / 2))
  }

  /// Begins to watch a listening descriptor that other loops watch too: one of them is woken.
  ///
  /// - Throws: ``SystemError`` as ``watch(_:assumesReady:)``.
  public func watchShared(_ descriptor: Int32) throws(SystemError) {
    try watch(
      descriptor,
      assumesReady: true,
      events: martlet_event_readable | martlet_event_exclusive
    )
  }

  /// Begins to watch a descriptor that is read a part at a time.
  ///
  /// As long as something is left, it can be read again in the next turn: whoever is told must read.
  ///
  /// - Throws: ``SystemError`` as ``watch(_:assumesReady:)``.
  public func watchLevel(_ descriptor: Int32) throws(SystemError) {
    try watch(descriptor, assumesReady: false, events: martlet_event_readable, isEdge: false)
  }

  private func watch(
    _ descriptor: Int32,
    assumesReady: Bool,
    events: UInt32,
    isEdge: Bool = true
  ) throws(SystemError) {
    let isInner = descriptor >= descriptorLimit
    guard descriptor < (isInner ? slots.firstTimer / 2 : watchLimit) else {
      throw SystemError(polling.watchCall, EMFILE)
    }
    let read = Int(descriptor) * 2
    let generation = slots[read].generation &+ 1
    for slot in read...read + 1 {
      slots[slot] = Slot()
      slots[slot].generation = generation
    }
    if assumesReady { slots[read].readiness = .ready }
    let data = UInt64(generation) << 32 | UInt64(UInt32(bitPattern: descriptor))
    if isInner {
      watchedEnd.inner = max(watchedEnd.inner, descriptor &+ 1)
      return
    }
    watchedEnd.descriptors = max(watchedEnd.descriptors, descriptor &+ 1)
    let result = poller.watch(
      descriptor,
      events: isEdge ? events | martlet_event_edge : events,
      data: data
    )
    try check(Int64(result), polling.watchCall)
  }

  /// Forgets a descriptor that is about to be closed, or handed elsewhere.
  ///
  /// Called by the coroutine that owns the descriptor: nobody waits for it.
  public func forget(_ descriptor: Int32, staysOpen: Bool = false) {
    let read = Int(descriptor) * 2
    for slot in read...read + 1 {
      precondition(slots[slot].waiter == 0, "a descriptor is closed while a coroutine waits for it")
      wheel.unlink(slot, in: slots)
      slots[slot].deadline = 0
      slots[slot].isResting = false
      slots[slot].isMuted = false
      slots[slot].generation &+= 1
    }
    guard descriptor < descriptorLimit else { return }
    if staysOpen { poller.unwatch(descriptor) } else { poller.forget(descriptor) }
  }
}
