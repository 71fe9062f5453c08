import MartletLoop
import MartletNet
import MartletSystem
import TLS

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
  /// TLS with the member; nil: bytes pass as they are.
  var tls: TLSSession?
  /// The PROXY header that goes before the first request, until it was sent.
  var preface: [UInt8]?
  /// What it is of a connection that others share; nil: it is a connection of its own.
  var carrier: SharedStream?
  /// The exchange with an application that it is; nil: it leads to a member.
  var application: ApplicationStream?
  /// What is under way with a member that is no server of HTTP; nil: it is one.
  var gateway: GatewayExchange?

  init(stream: Stream, peer: SocketAddress, oldest: Deadline) {
    self.stream = stream
    self.peer = peer
    self.oldest = oldest
  }

  /// Opens an inner socket as a connection; nil when the loop has no number left for one.
  convenience init?(
    inner socket: any InnerSocket,
    on loop: EventLoop,
    peer: SocketAddress,
    oldest: Deadline
  ) {
    guard let number = loop.openInner(socket) else { return nil }
    do throws(SystemError) {
      self.init(stream: try Stream(adopting: number, on: loop), peer: peer, oldest: oldest)
    } catch {
      return nil
    }
  }

  /// Whether its stream is an inner socket of the loop.
  var isInner: Bool { carrier != nil || application != nil }

  /// Whether the member has seen nothing of the request that was sent last, as it has said.
  var wasRefused: Bool { carrier?.wasRefused ?? false }
}

/// A connection to a member that serves one client alone, because it began with that client's PROXY
/// header; it waits for the client's next request, and ends with the client.
final class OwnConnection {
  let member: Member
  let connection: UpstreamConnection

  init(_ connection: UpstreamConnection, to member: Member) {
    self.connection = connection
    self.member = member
  }
}
