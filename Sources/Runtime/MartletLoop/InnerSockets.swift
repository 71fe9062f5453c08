// Invariant of this file: memory that is lent to a call is read or written within that call, and every
// copy is bounded by the count that came with it.

import CLinux
public import MartletSystem

/// The other end of a socket that lives within a loop: what a stream of the loop receives comes from
/// here, and what it sends goes here.
///
/// So a message that came in another way than by a socket of its own, as one of many on a connection of
/// HTTP/2, is served as if it had one. There is no call to the kernel in it, and no second thread.
///
/// The stream is told of input, room and the end by ``EventLoop/signalInput(_:)``,
/// ``EventLoop/signalRoom(_:)`` and ``EventLoop/signalClose(_:)``.
public protocol InnerSocket: AnyObject {
  /// Whether bytes or the end are there to be received.
  var hasInput: Bool { get }

  /// Gives what there is, at most `limit` bytes, in any number of pieces: fewer only when no more is
  /// there.
  func receive(upTo limit: Int, _ take: (Span<UInt8>) -> Void) -> InnerInput

  /// Takes what it has room for.
  ///
  /// - Returns: How many bytes; nil when nobody wants any more.
  func send(_ bytes: Span<UInt8>) -> Int?

  /// Called when the stream says that it sends nothing more.
  func endOfOutput()

  /// Called when the stream says that it is going to be closed in the middle of something.
  func willBreak()

  /// Called when the stream is closed: nothing else is called afterwards.
  func close()
}

/// What follows the bytes that an inner socket has given.
public enum InnerInput: Sendable {
  /// More may come.
  case open
  /// Nothing more comes.
  case ended
}

// @unchecked: lives on the one thread of its loop, as the loop's other parts do.

/// The kernel's calls, with sockets besides that are no sockets of the kernel: see ``InnerSocket``.
@safe
public final class InnerKernel: Kernel, @unchecked Sendable {
  /// The first number that is of an inner socket.
  private let base: Int32
  private var sockets: [(any InnerSocket)?] = []
  private var free: [Int32] = []

  /// The most inner sockets of a loop.
  static let limit = 1 << 16

  /// Creates a kernel for the one loop that is given it.
  public override init() {
    base = Int32(clamping: max(0, martlet_descriptor_limit()) + EventLoop.ownDescriptors)
    super.init()
  }

  /// Takes a number for a socket; nil when all are taken.
  func add(_ socket: any InnerSocket) -> Int32? {
    if let number = free.popLast() {
      sockets[Int(number - base)] = socket
      return number
    }
    guard sockets.count < Self.limit else { return nil }
    sockets.append(socket)
    return base + Int32(sockets.count - 1)
  }

  /// Whether a number is of an inner socket.
  public func isInner(_ fd: Int32) -> Bool { fd >= base }

  /// The place of an inner socket among all.
  public func place(of fd: Int32) -> Int { Int(fd - base) }

  private func socket(_ fd: Int32) -> (any InnerSocket)? {
    let place = Int(fd - base)
    return place < sockets.count ? sockets[place] : nil
  }

  public override func receive(_ fd: Int32, into bytes: UnsafeMutableRawBufferPointer) -> Int {
    if fd < base {
      // Safe: the caller owns `bytes` for this call.
      return Int(unsafe martlet_receive(fd, bytes.baseAddress, bytes.count, 0))
    }
    return unsafe receiveInner(fd, into: bytes)
  }

  @inline(never)
  private func receiveInner(_ fd: Int32, into bytes: UnsafeMutableRawBufferPointer) -> Int {
    guard let socket = socket(fd) else { return -Int(EBADF) }
    var count = 0
    let state = socket.receive(upTo: bytes.count) { piece in
      // Safe: a socket gives no more than it was asked for, which the slice checks.
      unsafe piece.withUnsafeBytes { source in
        let target = unsafe UnsafeMutableRawBufferPointer(
          rebasing: bytes[count..<count + source.count]
        )
        unsafe target.copyMemory(from: source)
      }
      count += piece.count
    }
    if count > 0 { return count }
    return state == .ended ? 0 : -Int(EAGAIN)
  }

  public override func hasInput(_ fd: Int32) -> Bool {
    fd < base ? super.hasInput(fd) : socket(fd)?.hasInput ?? false
  }

  public override func send(_ fd: Int32, _ bytes: UnsafeRawBufferPointer, more: Bool) -> Int {
    if fd < base {
      // Safe: the caller keeps `bytes` for this call.
      return more
        ? Int(unsafe martlet_send_more(fd, bytes.baseAddress, bytes.count))
        : Int(unsafe martlet_send(fd, bytes.baseAddress, bytes.count))
    }
    return unsafe sendInner(fd, bytes)
  }

  public override func send(
    _ fd: Int32,
    _ first: UnsafeRawBufferPointer,
    _ second: UnsafeRawBufferPointer,
    _ third: UnsafeRawBufferPointer
  ) -> Int {
    if fd < base { return unsafe super.send(fd, first, second, third) }
    // The next part follows only a part that was taken whole.
    let one = unsafe sendInner(fd, first)
    if one < first.count { return one }
    let two = unsafe sendInner(fd, second)
    if two < second.count { return two < 0 && one == 0 ? two : one + max(0, two) }
    let three = unsafe sendInner(fd, third)
    return three < 0 && one + two == 0 ? three : one + two + max(0, three)
  }

  @inline(never)
  private func sendInner(_ fd: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
    guard let socket = socket(fd) else { return -Int(EBADF) }
    guard bytes.count > 0 else { return 0 }
    // Safe: the span does not leave the call that it is made for.
    guard let count = socket.send(unsafe Span<UInt8>(_unsafeBytes: bytes)) else {
      return -Int(EPIPE)
    }
    return count > 0 ? count : -Int(EAGAIN)
  }

  public override func sendFile(_ fd: Int32, from file: Int32, at offset: Int64, count: Int) -> Int
  {
    fd < base ? super.sendFile(fd, from: file, at: offset, count: count) : -Int(EINVAL)
  }

  /// Between an inner socket and a pipe there is no way, which callers know from other kinds of sockets.
  public override func splice(from source: Int32, to target: Int32, count: Int) -> Int {
    if source < base, target < base { return super.splice(from: source, to: target, count: count) }
    return -Int(EINVAL)
  }

  public override func close(_ fd: Int32) {
    if fd < base { return super.close(fd) }
    let place = Int(fd - base)
    guard place < sockets.count, let socket = sockets[place] else { return }
    sockets[place] = nil
    free.append(fd)
    socket.close()
  }

  public override func shutdownRead(_ fd: Int32) {
    if fd < base { super.shutdownRead(fd) }
  }

  public override func shutdownWrite(_ fd: Int32) {
    if fd < base { super.shutdownWrite(fd) } else { socket(fd)?.endOfOutput() }
  }

  public override func discardOnClose(_ fd: Int32) {
    if fd < base { super.discardOnClose(fd) } else { socket(fd)?.willBreak() }
  }
}

/// Work to be done once in a turn, after everything that was ready has run.
public protocol TurnEnd: AnyObject {
  /// Called on the loop before it waits for events.
  func turnEnds()
}

extension EventLoop {
  /// How many descriptors a loop needs for itself, at most.
  static let ownDescriptors: Int64 = 64

  /// Lets `work` be done once, before the loop waits for events.
  ///
  /// Called on the loop. Whoever has much to send a little at a time sends it so at once.
  public func atEndOfTurn(_ work: any TurnEnd) { turnEnds.append(work) }

  func endTurn() {
    // What is asked for meanwhile is done in the next turn, which does not wait then.
    let work = turnEnds
    turnEnds.removeAll(keepingCapacity: true)
    for item in work { item.turnEnds() }
  }

  /// Whether the loop has inner sockets.
  public var innerKernel: InnerKernel? { kernel as? InnerKernel }

  /// Takes a number for an inner socket, to be adopted by a stream.
  ///
  /// - Returns: nil when the loop has none, or no number is left.
  public func openInner(_ socket: any InnerSocket) -> Descriptor? {
    innerKernel?.add(socket).map { Descriptor(adopting: $0) }
  }

  /// Tells the stream of an inner socket that there is something to receive.
  public func signalInput(_ descriptor: Int32) { signal(descriptor, .ready) }

  /// Tells the stream of an inner socket that there is room again, after it took less than was sent.
  public func signalRoom(_ descriptor: Int32) { wakeIfWaited(Int(descriptor) * 2 + 1) }

  /// Tells the stream of an inner socket that the other side is gone.
  ///
  /// What is linked to it is cancelled, as when the other side of a socket closes.
  public func signalClose(_ descriptor: Int32) {
    let slot = Int(descriptor) * 2
    let generation = slots[slot].generation
    signal(descriptor, [.ready, .closed])
    guard slots[slot].generation == generation else { return }
    wakeIfWaited(slot + 1)
  }

  private func signal(_ descriptor: Int32, _ readiness: Readiness) {
    let slot = Int(descriptor) * 2
    slots[slot].readiness.formUnion(readiness)
    if slots[slot].isResting || slots[slot].waiter != 0 { return wake(slot, .event) }
    if slots[slot].reason == .deadline { slots[slot].reason = .event }
    if readiness.contains(.closed) { cancelPartner(of: slot) }
  }

  private func wakeIfWaited(_ slot: Int) {
    if slots[slot].isResting || slots[slot].waiter != 0 { wake(slot, .event) }
  }
}
