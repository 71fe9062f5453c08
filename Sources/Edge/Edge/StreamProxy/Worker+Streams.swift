import Configuration
import MartletLoop
import MartletNet
import MartletSystem
import MartletTelemetry

/// What a client had said when it was accepted.
struct Early: ~Copyable {
  /// Nil: nothing yet; empty: that it has nothing to say.
  var bytes: Lent?
  /// Why nothing can be read.
  var error: StreamError?

  /// Nothing.
  init() {}

  /// Reads what has come on a socket that is not watched yet.
  init(of socket: borrowing Descriptor, on loop: EventLoop) {
    do throws(StreamError) { bytes = try socket.receiveNow(.head, on: loop) } catch {
      self.error = error
    }
  }
}

extension Worker {
  /// What is to be known of a client first; nil: nothing.
  private func opening(
    of peer: SocketAddress,
    _ routes: StreamRoutes?,
    from acceptor: Acceptor
  ) -> StreamOpening? {
    let reception = acceptor.plan.proxyReception.flatMap { $0.trusts(peer) ? $0 : nil }
    if reception == nil, routes == nil { return nil }
    return StreamOpening(reception, routes, acceptor: acceptor, on: loop)
  }

  /// Serves a connection of layer 4 that was just accepted.
  func serve(
    _ accepted: consuming Accepted,
    by plan: StreamPlan,
    from acceptor: Acceptor
  ) {
    let peer = accepted.peer
    let metrics = acceptor.plan.metrics
    let reception = acceptor.plan.proxyReception
    if let reception, !mayConnect(peer, reception, at: acceptor) { return }
    do throws(SystemError) {
      let opening = opening(of: peer, plan.routes, from: acceptor)
      // What a client says first has often come with it: its member then gets that as it is opened.
      let early = opening == nil ? Early(of: accepted.descriptor, on: loop) : Early()
      let client = try Stream(adopting: accepted.descriptor, on: loop)
      noteOpened(metrics)
      plan.noteOpened()
      StreamConnection(worker: self, client: client, peer: peer, plan: plan, metrics: metrics)
        .start(opening, early)
    } catch {
      noteAccepting(error, at: "tcp")
    }
  }
}

extension Worker {
  /// Takes note of a member of layer 4 that does not serve.
  func noteFailure(of pool: MemberPool, _ reason: EndReason, _ detail: String) {
    counters.add(to: pool.metrics.failures)
    if let tally = pool.tally { noteOutcome(of: pool, tally, failed: true) }
    // A member that is gone fails with every connection: the log says so once a second.
    guard let omitted = pool.failureNotes.admits(at: loop.now) else { return }
    var fields = [
      LogLine.Field("upstream", pool.upstream.name),
      LogLine.Field("member", pool.member.name),
      LogLine.Field("reason", reason.rawValue),
      LogLine.Field("detail", detail),
    ]
    if omitted > 0 { fields.append(LogLine.Field("more_before", "\(omitted)")) }
    board.log.note(.warning, "a member failed", fields)
  }
}
