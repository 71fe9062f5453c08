// Invariant of this file: `cells` has `count` initialised atomics, allocated when the table is made
// and freed with it. An index is compared with `count` before it is used.

public import Synchronization

// The table never changes but for its cells, which are atomics; the compiler cannot know it of a
// pointer.
/// The cells of one loop's metrics.
///
/// One writer, many readers: only the table's own loop adds and sets, which therefore needs no locked
/// instruction; anyone may read, at any time, and sees each cell whole.
///
/// All writes of a loop go to its present table. When a reload brings a new layout, the loop itself
/// makes the next table with ``init(_:continuing:)`` and forgets the old one in the same step; as
/// indexes stay what they are from layout to layout, exchanges that began before count on.
@safe
public final class CounterTable: @unchecked Sendable {
  @usableFromInline let cells: UnsafeMutablePointer<Atomic<UInt64>>

  /// How many cells there are.
  public let count: Int

  @usableFromInline let scale: HistogramScale

  /// Which families and labels the cells belong to.
  public let layout: MetricLayout

  /// Creates a table of zeros.
  public convenience init(_ layout: MetricLayout) { self.init(layout, continuing: nil) }

  /// Creates a table that begins with the values of `old`, for each family and label that both have.
  ///
  /// To be called by the one that writes to `old`, which from now on writes to the new table.
  public init(_ layout: MetricLayout, continuing old: CounterTable?) {
    self.layout = layout
    scale = HistogramScale.shared
    // Whole cache lines of its own: no other loop's writes take them away.
    count = (max(layout.cellCount, 1) + 7) & ~7
    let raw = UnsafeMutableRawPointer.allocate(byteCount: count * 8, alignment: 64)
    unsafe cells = raw.bindMemory(to: Atomic<UInt64>.self, capacity: count)
    for index in 0..<count { unsafe (cells + index).initialize(to: Atomic(0)) }
    guard let old else { return }
    if layout.continues(old.layout) {
      for index in 0..<min(count, old.count) {
        unsafe cells[index].store(old.value(at: index), ordering: .relaxed)
      }
      return
    }
    for (from, to, length) in layout.places(sharedWith: old.layout) {
      for step in 0..<length {
        unsafe cells[to + step].store(old.value(at: from + step), ordering: .relaxed)
      }
    }
  }

  deinit {
    unsafe cells.deinitialize(count: count)
    unsafe UnsafeMutableRawPointer(cells).deallocate()
  }

  /// The value of a cell; 0 behind the end, where a later layout has cells that this table has not.
  @inlinable
  public func value(at index: Int) -> UInt64 {
    guard index >= 0, index < count else { return 0 }
    return unsafe cells[index].load(ordering: .relaxed)
  }

  @inlinable @inline(__always)
  func change(_ index: Int, by amount: UInt64) {
    precondition(index >= 0 && index < count, "an index of another layout")
    let old = unsafe cells[index].load(ordering: .relaxed)
    unsafe cells[index].store(old &+ amount, ordering: .relaxed)
  }

  @inlinable @inline(__always)
  func replace(_ index: Int, with value: UInt64) {
    precondition(index >= 0 && index < count, "an index of another layout")
    unsafe cells[index].store(value, ordering: .relaxed)
  }
}
