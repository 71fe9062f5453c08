/// A lazy timer wheel over the slots of a loop: arming writes two numbers, disarming one.
///
/// A slot hangs in the bucket of the earliest deadline it ever had; when that bucket comes up, the
/// slot's true deadline decides whether it is woken, hung up again, or let go. Most deadlines are
/// moved or dropped before they come, and those cost nothing more.
@usableFromInline
struct TimerWheel {
  static let bucketCount = 1024

  private var buckets = [Int32](repeating: -1, count: bucketCount)
  /// The tick up to which buckets have been taken down.
  @usableFromInline private(set) var tick: UInt32
  /// How many slots hang in the wheel.
  private(set) var linkedCount = 0

  init(tick: UInt32) { self.tick = max(tick, 1) }

  /// Sets the deadline of a slot.
  mutating func arm(_ index: Int, at deadline: Deadline, in slots: SlotTable) {
    slots[index].deadline = deadline.tick
    guard deadline.tick != 0 else { return }
    let linkedAt = slots[index].linkedAt
    if linkedAt == 0 {
      link(index, at: deadline.tick, in: slots)
    } else if Int32(bitPattern: deadline.tick &- linkedAt) < 0 {
      unlink(index, in: slots)
      link(index, at: deadline.tick, in: slots)
    }
  }

  private mutating func link(_ index: Int, at tick: UInt32, in slots: SlotTable) {
    // Not before the next bucket to be taken down, nor beyond one turn of the wheel.
    let distance = Int32(bitPattern: tick &- self.tick)
    var at = self.tick &+ UInt32(min(max(distance, 1), Int32(Self.bucketCount - 1)))
    // 0 says that a slot hangs nowhere; it comes up once in two years.
    if at == 0 { at = 1 }
    let bucket = Int(at) & (Self.bucketCount - 1)
    let head = buckets[bucket]
    slots[index].linkedAt = at
    slots[index].next = head
    slots[index].previous = -1
    if head >= 0 { slots[Int(head)].previous = Int32(index) }
    buckets[bucket] = Int32(index)
    linkedCount += 1
  }

  /// Takes a slot out of its bucket; needed only when the slot changes hands.
  mutating func unlink(_ index: Int, in slots: SlotTable) {
    let slot = slots[index]
    guard slot.linkedAt != 0 else { return }
    if slot.previous >= 0 {
      slots[Int(slot.previous)].next = slot.next
    } else {
      buckets[Int(slot.linkedAt) & (Self.bucketCount - 1)] = slot.next
    }
    if slot.next >= 0 { slots[Int(slot.next)].previous = slot.previous }
    slots[index].linkedAt = 0
    linkedCount -= 1
  }

  /// How long nothing comes up, at `now` of the loop's clock, rounded up; at least one.
  ///
  /// - Complexity: O(*n*) in the buckets.
  func milliseconds(from now: Int64) -> Int32 {
    var ticks: Int64 = 1
    while ticks < Int64(Self.bucketCount),
      buckets[Int(truncatingIfNeeded: Int64(tick) &+ ticks) & (Self.bucketCount - 1)] < 0
    {
      ticks += 1
    }
    // The clock of ticks lacks the upper bits of the other: what counts is how far the tick has gone.
    let gone = now & (1 << EventLoop.tickShift - 1)
    return Int32(((ticks << EventLoop.tickShift) - gone) / 1_000_000) + 1
  }

  /// Moves the clock to `now` and appends the slots whose deadline came to `expired`.
  mutating func advance(to now: UInt32, in slots: SlotTable, expired: inout [Int]) {
    guard linkedCount > 0 else {
      tick = now
      return
    }
    // After a long sleep one turn of the wheel sees every bucket.
    if now &- tick > UInt32(Self.bucketCount) { tick = now &- UInt32(Self.bucketCount) }
    while tick != now {
      tick &+= 1
      var index = buckets[Int(tick) & (Self.bucketCount - 1)]
      buckets[Int(tick) & (Self.bucketCount - 1)] = -1
      while index >= 0 {
        let slot = Int(index)
        index = slots[slot].next
        slots[slot].linkedAt = 0
        linkedCount -= 1
        let deadline = slots[slot].deadline
        if deadline == 0 { continue }
        if Int32(bitPattern: deadline &- now) > 0 {
          link(slot, at: deadline, in: slots)
        } else {
          expired.append(slot)
        }
      }
    }
  }
}
