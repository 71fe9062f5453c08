import MartletLoop
import MartletSystem

/// The datagrams that one loop has in hand: those of clients, and replies that wait to be sent together.
///
/// Replies of all flows of a listener that come in one turn of the loop leave with one call.
final class UDPTables {
  var inbound: DatagramTable
  var outbound: DatagramTable
  /// How many replies wait, and by which socket they leave.
  private var waitingCount = 0
  private var listener: UDPListener?
  private let signal: Signal

  static let slotCount = 64

  init(on loop: EventLoop) throws(SystemError) {
    inbound = try DatagramTable(count: Self.slotCount)
    outbound = try DatagramTable(count: Self.slotCount)
    guard let signal = Signal(on: loop) else { throw SystemError(.mmap, 12) }
    self.signal = signal
  }

  /// Sends what waits at the end of each turn in which replies have come.
  func run() async {
    while true {
      await signal.untilSet()
      flush()
    }
  }

  /// Receives up to `limit` replies of a flow, which wait then.
  ///
  /// - Returns: Their slots, or the kernel's error.
  func receive(
    _ descriptor: Int32,
    upTo limit: Int,
    for listener: UDPListener
  ) -> Result<Range<Int>, SystemError> {
    if waitingCount == Self.slotCount || self.listener !== listener { flush() }
    let first = waitingCount
    let slots = first..<min(first + limit, Self.slotCount)
    var count = 1
    if slots.count == 1 {
      let length = outbound.receive(from: descriptor, into: first)
      if length < 0 { return .failure(SystemError(.recv, Int32(-length))) }
    } else {
      count = outbound.receive(from: descriptor, into: slots, isConnected: true)
      guard count > 0 else { return .failure(SystemError(.recvmsg, Int32(-count))) }
    }
    if first == 0 { signal.set() }
    self.listener = listener
    waitingCount += count
    return .success(first..<first + count)
  }

  /// Sends what waits.
  func flush() {
    guard let listener, waitingCount > 0 else { return }
    var first = 0
    while first < waitingCount {
      let result = outbound.send(first..<waitingCount, over: listener.descriptor)
      if result > 0 {
        first += result
      } else if SystemError(.sendmsg, Int32(-result)).wouldBlock {
        // Clients do not wait, and neither do datagrams: what the socket has no room for is lost.
        listener.noteDropped(.notSent, count: waitingCount - first)
        break
      } else {
        listener.noteDropped(.notSent)
        first += 1
      }
    }
    waitingCount = 0
    self.listener = nil
  }
}
