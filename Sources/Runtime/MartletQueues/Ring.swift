// Invariants of this file:
// 1. A position is a lap, a mark and an index below `capacity`. `tail` is where the next element goes, `head`
//    where the next one is taken; who moves one of them by an exchange owns the element at its old place.
// 2. The stamp of a place says whose turn it is there: the tail's position when it is empty, that and one
//    when it is full. It is written, with release, after the element was moved in or out; by an exchange after it
//    was moved in, see `publish`.
// 3. `elements` holds an initialised value exactly where the stamp says full, or between the exchange and
//    the stamp's store of who owns it.
// 4. The mark of `tail` means closed: no exchange for a put succeeds after it.

import MartletSync
import Synchronization

// @unchecked: its memory is atomics, and elements that one owner at a time touches, see the invariants.
/// A bounded queue in the order of coming, for any number of threads, without a lock.
///
/// One that was stopped between its exchange and its stamp holds up those behind it, so it is not
/// wait-free; what it says is as if each call happened at one moment.
///
/// - Source: D. Vyukov, “Bounded MPMC queue”, 2010: a stamp at each place.
@safe
final class Ring<Element: Sendable>: QueueStore, @unchecked Sendable {
  /// Bytes between what different threads write: two lines, for processors fetch pairs of them.
  private static var stride: Int { 128 }

  private let capacity: Int
  private let mark: UInt
  private let lap: UInt
  private let memory: UnsafeMutableRawPointer
  private let head: UnsafeMutablePointer<Atomic<UInt>>
  private let tail: UnsafeMutablePointer<Atomic<UInt>>
  private let stamps: UnsafeMutablePointer<Atomic<UInt>>
  private let elements: UnsafeMutablePointer<Element>

  init(capacity: Int) {
    self.capacity = capacity
    var mark: UInt = 1
    while mark < UInt(capacity) + 1 { mark *= 2 }
    self.mark = mark
    lap = mark * 2
    unsafe memory = .allocate(byteCount: Self.stride * 2, alignment: Self.stride)
    unsafe head = memory.bindMemory(to: Atomic<UInt>.self, capacity: 1)
    unsafe tail = (memory + Self.stride).bindMemory(to: Atomic<UInt>.self, capacity: 1)
    unsafe head.initialize(to: Atomic(0))
    unsafe tail.initialize(to: Atomic(0))
    unsafe stamps = .allocate(capacity: capacity)
    unsafe elements = .allocate(capacity: capacity)
    for index in 0..<capacity { unsafe (stamps + index).initialize(to: Atomic(UInt(index))) }
  }

  deinit {
    // Nobody else is here any more: what is left is taken and dropped.
    while case .element = take() {}
    unsafe stamps.deinitialize(count: capacity)
    unsafe stamps.deallocate()
    unsafe elements.deallocate()
    unsafe memory.deallocate()
  }

  func put(_ element: Element) -> Putting {
    var turns = Turns(shortCount: Queue<Element>.shortTurns)
    var seen = unsafe tail.pointee.load(ordering: .relaxed)
    while true {
      if seen & mark != 0 { return .closed }
      let index = Int(seen & (mark - 1))
      let stamp = unsafe stamps[index].load(ordering: .acquiring)
      if stamp == seen {
        let (isMine, found) = unsafe tail.pointee.compareExchange(
          expected: seen,
          desired: after(seen),
          ordering: .sequentiallyConsistent
        )
        if isMine {
          unsafe (elements + index).initialize(to: element)
          publish(seen &+ 1, at: index)
          return .done
        }
        seen = found
      } else {
        if stamp &+ lap == seen &+ 1,
          unsafe head.pointee.load(ordering: .sequentiallyConsistent) &+ lap == seen
        {
          return .full
        }
        turns.turn()
        seen = unsafe tail.pointee.load(ordering: .sequentiallyConsistent)
      }
    }
  }

  /// Stamps a place whose element may be taken from now on.
  ///
  /// By an exchange: the optimiser puts the element's retain behind stores, atomic ones too, and by then who has
  /// taken it may have let go of the last reference.
  @inline(__always)
  private func publish(_ stamp: UInt, at index: Int) {
    _ = unsafe stamps[index].exchange(stamp, ordering: .acquiringAndReleasing)
  }

  func take() -> Taken<Element> {
    var turns = Turns(shortCount: Queue<Element>.shortTurns)
    var seen = unsafe head.pointee.load(ordering: .relaxed)
    while true {
      let index = Int(seen & (mark - 1))
      let stamp = unsafe stamps[index].load(ordering: .acquiring)
      if stamp == seen &+ 1 {
        let (isMine, found) = unsafe head.pointee.compareExchange(
          expected: seen,
          desired: after(seen),
          ordering: .sequentiallyConsistent
        )
        if isMine {
          let element = unsafe (elements + index).move()
          unsafe stamps[index].store(seen &+ lap, ordering: .releasing)
          return .element(element)
        }
        seen = found
      } else {
        if stamp == seen {
          // An element that is being put in has moved the tail already: it is waited for.
          let end = unsafe tail.pointee.load(ordering: .sequentiallyConsistent)
          if end & ~mark == seen { return end & mark != 0 ? .closed : .empty }
        }
        turns.turn()
        seen = unsafe head.pointee.load(ordering: .sequentiallyConsistent)
      }
    }
  }

  func close() {
    unsafe tail.pointee.bitwiseOr(mark, ordering: .sequentiallyConsistent)
  }

  var isClosed: Bool { unsafe tail.pointee.load(ordering: .sequentiallyConsistent) & mark != 0 }

  var count: Int {
    // Read in this order the difference is never negative, and never more than was there at one time.
    let taken = ordinal(unsafe head.pointee.load(ordering: .sequentiallyConsistent))
    return min(putCount - taken, capacity)
  }

  var putCount: Int { ordinal(unsafe tail.pointee.load(ordering: .sequentiallyConsistent)) }

  @inline(__always)
  private func after(_ position: UInt) -> UInt {
    let index = position & (mark - 1)
    return Int(index) + 1 < capacity ? position + 1 : (position & ~(lap - 1)) &+ lap
  }

  /// How many positions lie before one.
  private func ordinal(_ position: UInt) -> Int {
    Int(position / lap) * capacity + Int(position & (mark - 1))
  }
}
