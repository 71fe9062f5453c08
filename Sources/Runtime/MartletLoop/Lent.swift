import CLinux

// Invariant of this file: a `Lent` owns its memory until it is dropped; `count` bytes of it are
// initialised; spans handed out are bound to the life of the `Lent`.

/// A buffer that a loop lends: taken when bytes are there, given back when it is dropped.
///
/// It never leaves its loop.
@safe
public struct Lent: ~Copyable {
  @usableFromInline let memory: UnsafeMutableRawPointer
  /// How many bytes the buffer can hold.
  public let capacity: Int
  @usableFromInline var heldCount: Int
  // Safe: a loop outlives every buffer it has lent. Not counted, for buffers come and go.
  private let loop: Unmanaged<EventLoop>

  init(memory: UnsafeMutableRawPointer, capacity: Int, loop: EventLoop) {
    unsafe self.memory = memory
    self.capacity = capacity
    heldCount = 0
    unsafe self.loop = .passUnretained(loop)
  }

  deinit {
    unsafe loop._withUnsafeGuaranteedRef { unsafe $0.giveBack(memory, capacity: capacity) }
  }

  /// How many bytes it holds.
  @inlinable public var count: Int { heldCount }

  /// The bytes held.
  @inlinable public var bytes: Span<UInt8> {
    @_lifetime(borrow self)
    get {
      // Safe: `count` bytes are initialised, and the span cannot outlive the buffer.
      let span = unsafe Span<UInt8>(
        _unsafeStart: memory.assumingMemoryBound(to: UInt8.self),
        count: count
      )
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }

  /// How many more bytes fit.
  @inlinable public var freeCount: Int { capacity &- count }

  /// Whether the buffer holds nothing.
  @inlinable public var isEmpty: Bool { count == 0 }

  /// The bytes held, for a system call that reads them.
  @inlinable public var storage: UnsafeRawBufferPointer {
    unsafe UnsafeRawBufferPointer(start: memory, count: count)
  }

  /// The free part, for a system call that fills it; see ``didFill(_:)``.
  @inlinable public var freeStorage: UnsafeMutableRawBufferPointer {
    unsafe UnsafeMutableRawBufferPointer(start: memory + count, count: capacity - count)
  }

  /// Says that `added` bytes of the free part were written.
  @inlinable
  public mutating func didFill(_ added: Int) {
    precondition(added >= 0 && added <= freeCount, "more bytes than fit")
    heldCount &+= added
  }

  /// Appends `span`; the caller has seen to it that it fits.
  @inlinable @inline(__always)
  public mutating func append(_ span: Span<UInt8>) {
    precondition(span.count <= freeCount, "more bytes than fit")
    // Safe: the destination has room for them, and a span never overlaps free memory.
    unsafe span.withUnsafeBufferPointer { source in
      guard let start = source.baseAddress else { return }
      unsafe (memory + count).copyMemory(from: start, byteCount: source.count)
    }
    heldCount &+= span.count
  }

  /// Appends the ASCII or UTF-8 text of a literal.
  @inlinable @inline(__always)
  public mutating func append(_ text: StaticString) {
    precondition(text.utf8CodeUnitCount <= freeCount, "more bytes than fit")
    // Safe: a literal lives for ever, and the destination has room for it.
    unsafe (memory + count).copyMemory(from: text.utf8Start, byteCount: text.utf8CodeUnitCount)
    heldCount &+= text.utf8CodeUnitCount
  }

  /// Appends a single byte.
  @inlinable @inline(__always)
  public mutating func append(_ byte: UInt8) {
    precondition(freeCount > 0, "more bytes than fit")
    unsafe memory.storeBytes(of: byte, toByteOffset: count, as: UInt8.self)
    heldCount &+= 1
  }

  /// Appends a number in decimal digits, at most 20 bytes.
  public mutating func append(decimal number: UInt64) {
    var digits = 1
    var rest = number
    while rest >= 10 {
      rest /= 10
      digits += 1
    }
    precondition(digits <= freeCount, "more bytes than fit")
    rest = number
    var offset = count + digits
    repeat {
      offset &-= 1
      unsafe memory.storeBytes(
        of: 0x30 + UInt8(truncatingIfNeeded: rest % 10),
        toByteOffset: offset,
        as: UInt8.self
      )
      rest /= 10
    } while rest > 0
    heldCount &+= digits
  }

  /// Forgets the first `used` bytes and moves the others to the front.
  public mutating func removeFirst(_ used: Int) {
    precondition(used >= 0 && used <= count, "more bytes than there are")
    let kept = count - used
    // Safe: both ranges lie in the buffer; memmove allows overlap.
    if kept > 0, used > 0 { unsafe memory.copyMemory(from: memory + used, byteCount: kept) }
    heldCount = kept
  }

  /// Keeps only the first `kept` bytes.
  @inlinable
  public mutating func truncate(to kept: Int) {
    precondition(kept >= 0 && kept <= count, "more bytes than there are")
    heldCount = kept
  }

  /// Moves the bytes of `range` to `offset`, to the left, over what stands there.
  public mutating func move(_ range: Range<Int>, to offset: Int) {
    precondition(
      range.upperBound <= count && offset >= 0 && offset <= range.lowerBound,
      "not a move to the left"
    )
    // Safe: both ranges lie in the buffer; memmove allows overlap.
    unsafe (memory + offset).copyMemory(from: memory + range.lowerBound, byteCount: range.count)
  }
}

/// The sizes of buffers that a loop lends.
public enum BufferSize: Sendable {
  /// 16 KB: heads.
  case head
  /// 64 KB: bodies.
  case body

  /// The capacity in bytes.
  @inlinable public var bytes: Int {
    switch self {
    case .head: 16 << 10
    case .body: 64 << 10
    }
  }
}

/// Free buffers of one size, linked through their own first bytes.
@safe
struct BufferPool {
  /// How long a free buffer beyond ``keptCount`` may be of no use.
  static let idleMilliseconds: Int32 = 1000

  /// How many free buffers are kept for ever.
  let keptCount: Int
  /// How many are kept as long as they are used; more are given back to the allocator at once.
  let mostCount: Int
  private var first: UnsafeMutableRawPointer?
  private(set) var count = 0
  /// How many were there at least since ``trim(at:)`` looked last: so many nobody has needed.
  private var leastCount = 0
  private var nextTrim: Int64 = 0
  /// How many were taken from the allocator and not given back to it.
  private var ownedCount = 0

  /// How many are not here.
  var lentCount: Int { ownedCount - count }
  /// Whether there are more than are kept for ever.
  var hasSurplus: Bool { count > keptCount }

  init(keptCount: Int, mostCount: Int) {
    self.keptCount = keptCount
    self.mostCount = mostCount
    unsafe first = nil
  }

  mutating func take(_ bytes: Int) -> UnsafeMutableRawPointer {
    guard let free = unsafe first else {
      ownedCount &+= 1
      return UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
    }
    // Safe: a free buffer's first word is the link that `give` wrote.
    unsafe first = free.load(as: UnsafeMutableRawPointer?.self)
    count &-= 1
    if count < leastCount { leastCount = count }
    return unsafe free
  }

  mutating func give(_ memory: UnsafeMutableRawPointer) {
    guard count < mostCount else {
      unsafe memory.deallocate()
      ownedCount &-= 1
      return
    }
    unsafe memory.storeBytes(of: first, as: UnsafeMutableRawPointer?.self)
    unsafe first = memory
    count &+= 1
  }

  /// Gives those of the surplus back to the allocator that nobody has needed since it was looked last, a
  /// while ago.
  mutating func trim(at now: Int64) {
    guard now >= nextTrim else { return }
    nextTrim = now + Int64(Self.idleMilliseconds) * 1_000_000
    free(min(leastCount, count - keptCount))
    leastCount = count
  }

  mutating func drain() { free(count) }

  private mutating func free(_ number: Int) {
    guard number > 0 else { return }
    for _ in 0..<number {
      guard let free = unsafe first else { break }
      unsafe first = free.load(as: UnsafeMutableRawPointer?.self)
      unsafe free.deallocate()
      count &-= 1
      ownedCount &-= 1
    }
  }
}
