import MartletLoop
import MartletNet
import MartletSystem

/// A connection to a member, in use or idle in its pool.
final class UpstreamConnection {
  let stream: Stream
  let peer: SocketAddress
  /// When it must no longer be used.
  let oldest: Deadline
  /// When it is closed if it is still idle.
  var idleUntil = Deadline.never
  /// How many requests it has carried.
  var requestCount = 1

  init(stream: Stream, peer: SocketAddress, oldest: Deadline) {
    self.stream = stream
    self.peer = peer
    self.oldest = oldest
  }
}
