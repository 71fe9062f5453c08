extension EventLoop {
  /// The moment `timeout` after this turn of the loop began.
  @inlinable
  public func deadline(after timeout: Timeout) -> Deadline {
    guard timeout.ticks != 0 else { return .never }
    let tick = wheel.tick &+ timeout.ticks
    return Deadline(tick: tick == 0 ? 1 : tick)
  }

  /// The first moment at which the loop's clock shows `nanoseconds` of the monotonic clock, or more, to
  /// within a tick of 17 ms; at most two years from now.
  public func deadline(at nanoseconds: Int64) -> Deadline {
    let present = now >> Self.tickShift
    let ticks = max(1, (nanoseconds >> Self.tickShift) + 1 - present)
    return deadline(after: Timeout(ticks: UInt32(min(ticks, Int64(Int32.max)))))
  }

  /// Whether `deadline` has passed.
  @inlinable
  public func hasPassed(_ deadline: Deadline) -> Bool {
    deadline.tick != 0 && Int32(bitPattern: deadline.tick &- wheel.tick) <= 0
  }

  // MARK: Descriptors

  /// Whether a read of `descriptor` would find something to do, as far as is known.
  @inlinable
  public func isReadable(_ descriptor: Int32) -> Bool {
    !slots[Int(descriptor) &* 2].readiness.isEmpty
  }

  /// Whether the other side of `descriptor` is known to have closed.
  @inlinable
  public func isClosed(_ descriptor: Int32) -> Bool {
    slots[Int(descriptor) &* 2].readiness.contains(.closed)
  }

  /// Whether `descriptor` is known to have broken: it was reset, or could not be opened.
  @inlinable
  public func isBroken(_ descriptor: Int32) -> Bool {
    slots[Int(descriptor) &* 2].readiness.contains(.broken)
  }

  /// Says that a read found nothing more: the next one waits for an event.
  @inlinable
  public func clearReadable(_ descriptor: Int32) {
    slots[Int(descriptor) &* 2].readiness.remove(.ready)
  }

  /// Says that a read of `descriptor` is to be tried, of whatever is known.
  public func assumeReadable(_ descriptor: Int32) {
    slots[Int(descriptor) * 2].readiness.insert(.ready)
  }

  /// Says that the kernel would have blocked: whatever was known of the descriptor is out of date.
  @inlinable
  public func clearReadiness(_ descriptor: Int32) {
    slots[Int(descriptor) &* 2].readiness = []
  }

  /// Waits until a read of `descriptor` finds something to do.
  ///
  /// - Throws: ``WaitError``.
  @inlinable
  public func readable(_ descriptor: Int32, by deadline: Deadline) async throws(WaitError) {
    let slot = Int(descriptor) &* 2
    while slots[slot].readiness.isEmpty { try await wait(slot, until: deadline) }
    if slots[slot].reason == .cancellation { try await wait(slot, until: deadline) }
  }

  /// Waits until a write to `descriptor`, which was refused for now, can go on.
  ///
  /// - Throws: ``WaitError``.
  @inlinable
  public func writable(_ descriptor: Int32, by deadline: Deadline) async throws(WaitError) {
    let slot = Int(descriptor) &* 2 &+ 1
    if !slots[slot].isWatched { watchWriting(slot) }
    try await wait(slot, until: deadline)
  }

  /// Lets a close of `descriptor`, on which nobody waits, cancel the waits of `other`.
  ///
  /// This is how a client that leaves ends the wait for its upstream; nil takes the link away, and so
  /// does closing `other`. A close that is known already ends nothing: look at ``isClosed(_:)`` first.
  @inlinable
  public func linkClose(of descriptor: Int32, to other: Int32?) {
    let slot = Int(descriptor) &* 2
    slots[slot].partner = other ?? -1
    if let other { slots[slot].partnerGeneration = slots[Int(other) &* 2].generation }
  }

  /// Lets a close of `descriptor`, on which nobody waits, cancel the wait for `signal`.
  ///
  /// The link is taken away as that to another descriptor is.
  public func linkClose(of descriptor: Int32, to signal: Signal) {
    let slot = Int(descriptor) * 2
    // Below the −1 of no link: timers count downwards.
    slots[slot].partner = Int32(-2 - (signal.slot - slots.firstTimer))
    slots[slot].partnerGeneration = slots[signal.slot].generation
  }

  /// The timer that a link leads to; nil when it leads to a descriptor or nowhere.
  func timer(of partner: Int32) -> Int? {
    partner <= -2 ? slots.firstTimer - 2 - Int(partner) : nil
  }

  /// Ends the waits of the descriptor that is linked to `descriptor`, as if that had closed.
  public func cancelLinked(to descriptor: Int32) { cancelPartner(of: Int(descriptor) * 2) }

  /// Ends a wait for `descriptor` to be read, if a coroutine waits for that now.
  public func cancelPresentRead(of descriptor: Int32) {
    let slot = Int(descriptor) * 2
    if slots[slot].waiter != 0 { wake(slot, .cancellation) }
  }

  /// Ends a wait for `descriptor` to be written, if a coroutine waits for that now.
  public func cancelPresentWrite(of descriptor: Int32) {
    let slot = Int(descriptor) * 2 + 1
    if slots[slot].waiter != 0 { wake(slot, .cancellation) }
  }

  /// Ends the waits of a descriptor's coroutine, the present or else the next one, with
  /// ``WaitError/cancelled``.
  ///
  /// Called on the loop, by another coroutine.
  public func cancelWaits(of descriptor: Int32) {
    wake(Int(descriptor) * 2, .cancellation)
    wake(Int(descriptor) * 2 + 1, .cancellation)
  }

  // MARK: Time

  /// Waits until `deadline`.
  ///
  /// - Throws: ``WaitError/cancelled`` when no timer is left (65,536 wait at once).
  public func sleep(until deadline: Deadline) async throws(WaitError) {
    guard let timer = takeTimer() else { throw .cancelled }
    defer { giveTimer(timer) }
    do {
      try await wait(timer, until: deadline)
    } catch .timedOut {
      return
    }
  }

  /// Waits for `duration`, rounded up to ticks.
  ///
  /// - Throws: ``WaitError/cancelled`` when no timer is left.
  public func sleep(for duration: Duration) async throws(WaitError) {
    try await sleep(until: deadline(after: Timeout(duration)))
  }

  /// Lets everything else that is ready run first, and events be delivered.
  public func yield() async {
    guard let timer = takeTimer() else { return }
    defer { giveTimer(timer) }
    // By the way of other threads: it is taken once a turn, and the loop looks at events before that.
    wake(WakeToken(slot: timer, generation: slots[timer].generation))
    // Nothing but the token wakes this timer, so there is no error to tell.
    try? await wait(timer, until: .never)
  }
}

/// A place where one coroutine of a loop waits until another, or another thread, signals it.
///
/// A signal that comes before the wait is kept, so none is lost; several count as one.
public final class Signal {
  private let loop: EventLoop
  fileprivate let slot: Int
  private var isSet = false

  /// Creates a signal of `loop`.
  ///
  /// - Returns: nil when all timers of the loop are taken.
  public init?(on loop: EventLoop) {
    guard let slot = loop.takeTimer() else { return nil }
    self.loop = loop
    self.slot = slot
  }

  deinit { loop.giveTimer(slot) }

  /// What another thread hands to ``EventLoop/wake(_:)``.
  public var token: WakeToken {
    WakeToken(slot: slot, generation: loop.slots[slot].generation)
  }

  /// Ends the present wait, or the next one.
  ///
  /// On the loop only.
  public func set() {
    isSet = true
    loop.wake(slot, .event)
  }

  /// Waits until another thread wakes ``token``.
  func waitForToken(by deadline: Deadline) async throws(WaitError) {
    try await loop.wait(slot, until: deadline)
  }

  /// Waits for a signal.
  ///
  /// - Throws: ``WaitError/timedOut`` when `deadline` comes first.
  public func wait(by deadline: Deadline = .never) async throws(WaitError) {
    if !isSet { try await loop.wait(slot, until: deadline) }
    isSet = false
  }

  /// Waits for a signal, however long it takes.
  public func untilSet() async {
    while !isSet {
      do throws(WaitError) { try await loop.wait(slot, until: .never) } catch { continue }
    }
    isSet = false
  }
}
