import MartletLoop
import MartletNet
import MartletSystem
import Prefaces
import TLS

/// What goes before the first request: a PROXY header, a handshake of TLS.
extension HTTP1Connection {
  /// Rests until a PROXY header comes, which goes before the first request.
  func restForPreface() {
    guard let plan = acceptor.plan.proxyReception else { return rest() }
    awaitsPreface = true
    isOpening = true
    isIdle = true
    restedAt = loop.now
    restForPreface(plan)
  }

  /// Takes the client to be the one that a header names, if there was one and it names one.
  func adopt(_ header: ProxyHeader?) {
    awaitsPreface = false
    isOpening = acceptor.plan.tls != nil
    guard let header, header.command == .proxy else { return }
    preface = ConnectionPreface(header, from: peer)
    if let source = header.source { peer = SocketAddress(source) }
  }

  /// Lets bytes pass through `session`, whose handshake is to take no longer than `limit`; with nil as
  /// they are.
  func encrypt(by session: TLSSession?, within limit: Timeout) {
    isOpening = true
    tls = session
    stream.layer = session
    handshakeUntil = loop.deadline(after: limit)
  }

  /// Rests until the handshake can go on.
  func restForHandshake(needsRoom: Bool) {
    isIdle = true
    restedAt = loop.now
    if needsRoom {
      stream.restForWriting(for: stream.descriptor, until: handshakeUntil)
    } else {
      stream.rest(until: handshakeUntil)
    }
  }

  /// Says that requests come next.
  func endOpening() { isOpening = false }

  /// Answers the requests that came with what goes before them, or rests.
  func goOn() {
    if isOpening {
      guard let plan = acceptor.plan.tls else { return worker.forget(self) }
      return beginHandshake(plan)
    }
    if carried != nil || stream.hasEvent { serveNow() } else { rest() }
  }

  /// Closes a connection that has waited for its client too long.
  func end() {
    if awaitsPreface, let plan = acceptor.plan.proxyReception {
      notePrefaceLate(plan)
    } else if isOpening, let plan = acceptor.plan.tls {
      noteHandshakeLate(plan)
    }
    worker.forget(self)
  }
}
