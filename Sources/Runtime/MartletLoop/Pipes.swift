import MartletSystem

// Invariant of this file: a pipe in the pool is empty. One that is dropped with bytes in it is closed,
// so that nobody ever reads what was meant for somebody else.

/// A pipe that a loop lends: bytes pass through it from socket to socket without being copied.
///
/// It never leaves its loop.
@safe
public struct LentPipe: ~Copyable {
  let ends: PipeEnds
  /// How many bytes are in it.
  public private(set) var count = 0
  // Safe: a loop outlives every pipe it has lent.
  private let loop: Unmanaged<EventLoop>

  init(_ ends: PipeEnds, loop: EventLoop) {
    self.ends = ends
    unsafe self.loop = .passUnretained(loop)
  }

  deinit {
    unsafe loop._withUnsafeGuaranteedRef { loop in
      loop.pipes.give(ends, isEmpty: count == 0, at: loop.now, loop.kernel)
    }
  }

  /// Whether no byte is in it.
  public var isEmpty: Bool { count == 0 }

  /// Moves at most `limit` bytes in that the socket has received.
  ///
  /// - Returns: How many came, 0 at the end, or the negated error number.
  public mutating func fill(from socket: Int32, upTo limit: Int) -> Int {
    let result = unsafe loop._withUnsafeGuaranteedRef { loop in
      loop.kernel.splice(from: socket, to: ends.write, count: min(limit, PipePool.pipeBytes))
    }
    if result > 0 { count += result }
    return result
  }

  /// Moves bytes out, as many as the socket takes.
  ///
  /// - Returns: How many went, or the negated error number.
  public mutating func empty(into socket: Int32) -> Int {
    let result = unsafe loop._withUnsafeGuaranteedRef { loop in
      loop.kernel.splice(from: ends.read, to: socket, count: count)
    }
    if result > 0 { count -= result }
    return result
  }
}

extension EventLoop {
  /// Lends an empty pipe; it comes back when the value is dropped.
  ///
  /// - Returns: nil when no descriptor is left, or 128 pipes are lent: copy the bytes instead.
  public func lendPipe() -> LentPipe? {
    guard let ends = pipes.take(kernel) else { return nil }
    return LentPipe(ends, loop: self)
  }

  /// How many pipes are lent at this moment; only a connection whose target does not read has one.
  public var lentPipeCount: Int { pipes.lentCount }
}

/// The descriptors of a pipe.
struct PipeEnds {
  var read: Int32
  var write: Int32

  func close(_ kernel: Kernel) {
    kernel.close(read)
    kernel.close(write)
  }
}

/// The empty pipes of a loop: a few are kept as long as they are used.
struct PipePool {
  /// Found best: with 64 KB a megabyte costs 5 % more, with a megabyte no less.
  static let pipeBytes = 256 << 10
  /// How long free pipes are kept.
  static let idleMilliseconds: Int32 = 1000
  private static let keptCount = 8
  /// A pipe is two descriptors, and what is in it is memory of the kernel.
  private static let lentLimit = 128

  private var free: [PipeEnds] = []
  private var lastUse: Int64 = 0
  private(set) var freeCount = 0
  private(set) var lentCount = 0

  mutating func take(_ kernel: Kernel) -> PipeEnds? {
    guard lentCount < Self.lentLimit else { return nil }
    if let ends = free.popLast() {
      freeCount &-= 1
      lentCount &+= 1
      return ends
    }
    var ends: (Int32, Int32) = (-1, -1)
    guard kernel.openPipe(&ends, capacity: Self.pipeBytes) >= 0 else { return nil }
    lentCount &+= 1
    return PipeEnds(read: ends.0, write: ends.1)
  }

  mutating func give(_ ends: PipeEnds, isEmpty: Bool, at now: Int64, _ kernel: Kernel) {
    lentCount &-= 1
    lastUse = now
    guard isEmpty, freeCount < Self.keptCount else { return ends.close(kernel) }
    free.append(ends)
    freeCount &+= 1
  }

  mutating func drainIfIdle(at now: Int64, _ kernel: Kernel) {
    if now - lastUse >= Int64(Self.idleMilliseconds) * 1_000_000 { drain(kernel) }
  }

  mutating func drain(_ kernel: Kernel) {
    for ends in free { ends.close(kernel) }
    free.removeAll(keepingCapacity: true)
    freeCount = 0
  }
}
