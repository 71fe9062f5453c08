import CLinux
import MartletSystem

// The table's memory is mapped once and never moves: pointers into it stay good for the loop's life.
// Only the loop's thread touches it.

/// What a loop knows of one place where a coroutine can wait.
///
/// Descriptor *n* has the slots 2*n* (read) and 2*n* + 1 (write); timers have slots behind them.
@frozen @usableFromInline
struct Slot {
  /// The parked job, or the continuation in the fall-back; 0 when nobody waits.
  @usableFromInline var waiter: UInt = 0
  /// The tick at which the waiter is woken; 0: never.
  @usableFromInline var deadline: UInt32 = 0
  /// The tick of the wheel's bucket that holds the slot; 0: none.
  @usableFromInline var linkedAt: UInt32 = 0
  /// The neighbours in the bucket; −1: none.
  @usableFromInline var next: Int32 = -1
  @usableFromInline var previous: Int32 = -1
  /// The descriptor whose waits end when this one closes, or while it rests, the one that it rests
  /// for; −1: none.
  @usableFromInline var partner: Int32 = -1
  /// Counts the owners of the slot: an event or a wake-up for an earlier one is dropped.
  @usableFromInline var generation: UInt32 = 0
  /// The partner's generation when it was linked.
  @usableFromInline var partnerGeneration: UInt32 = 0
  @usableFromInline var readiness = Readiness()
  @usableFromInline var reason = WakeReason.event
  /// Whether the descriptor rests: no coroutine waits for it, its keeper is told instead.
  @usableFromInline var isResting = false
  /// Whether the kernel tells when the descriptor can be written; of the slot for writing alone.
  @usableFromInline var isWatched = false
  /// Whether the poller is told to be silent about what nobody waits for; see `muteUnheard`.
  @usableFromInline var isMuted = false
  /// The tick at which the waiter, or the last one, began to wait.
  @usableFromInline var waitsSince: UInt32 = 0

  @usableFromInline init() {}
}

/// What is known of a descriptor without asking the kernel.
@frozen @usableFromInline
struct Readiness: OptionSet {
  @usableFromInline let rawValue: UInt8
  @inlinable init(rawValue: UInt8) { self.rawValue = rawValue }

  /// A call would find something to do.
  @inlinable static var ready: Readiness { Readiness(rawValue: 1) }
  /// The other side closed, or the connection broke: calls no longer wait.
  @inlinable static var closed: Readiness { Readiness(rawValue: 2) }
  /// The connection broke: it was reset, or could not be opened.
  @inlinable static var broken: Readiness { Readiness(rawValue: 4) }

  /// What an event says that is about a close.
  init(closing event: UInt32) {
    self = event & martlet_event_broken != 0 ? [.ready, .closed, .broken] : [.ready, .closed]
  }
}

/// What woke a waiter.
@usableFromInline
enum WakeReason: UInt8 {
  case event, deadline, cancellation
}

/// The slots of a loop, in memory that costs nothing until it is touched.
@safe @usableFromInline
struct SlotTable {
  @usableFromInline let slots: UnsafeMutablePointer<Slot>
  /// Slots from here on are timers.
  @usableFromInline let firstTimer: Int
  @usableFromInline let count: Int

  static let timerCount = 1 << 16

  /// Maps slots for descriptors below `descriptorLimit`.
  ///
  /// - Throws: ``SystemError`` when the memory is not to be had.
  init(descriptorLimit: Int) throws(SystemError) {
    firstTimer = descriptorLimit * 2
    count = firstTimer + Self.timerCount
    // Safe: the mapping has room for `count` slots; each is initialised before its first use, by
    // `watch` or by `takeTimer`.
    guard let pages = unsafe martlet_map_zeros(count * MemoryLayout<Slot>.stride) else {
      throw SystemError(.mmap, 12)
    }
    unsafe slots = pages.bindMemory(to: Slot.self, capacity: count)
  }

  func unmap() {
    // Safe: called once, when the loop ends.
    unsafe martlet_unmap(slots, count * MemoryLayout<Slot>.stride)
  }

  /// The slot with a number that the loop itself has given out.
  @usableFromInline
  subscript(index: Int) -> Slot {
    @inlinable @inline(__always)
    unsafeAddress {
      assert(index >= 0 && index < count)
      // Safe: slot numbers come from descriptors below the limit and from `takeTimer`.
      return unsafe UnsafePointer(slots + index)
    }
    @inlinable @inline(__always)
    nonmutating unsafeMutableAddress {
      assert(index >= 0 && index < count)
      // Safe: as above; only the loop's thread is here.
      return unsafe slots + index
    }
  }
}
