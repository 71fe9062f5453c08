import MartletLoop
import MartletNet
import MartletSystem
import MartletTelemetry
import Prefaces

/// The PROXY header in front of the first request.
///
/// Most often it comes in one piece with that request, and is read without a coroutine.
extension HTTP1Connection {
  /// Rests until the header comes.
  func restForPreface(_ plan: ProxyReceptionPlan) {
    stream.rest(until: loop.deadline(after: plan.isRequired ? plan.timeout : headTimeout))
  }

  /// Goes on with a connection whose header was to come, or has come.
  func readPrefaceNow(_ plan: ProxyReceptionPlan) {
    do throws(StreamError) {
      guard let bytes = try stream.readNow(.head) else { return restForPreface() }
      // Somebody only looked whether the port is open.
      if bytes.isEmpty { return worker.forget(self) }
      carried = consume bytes
    } catch {
      return worker.forget(self)
    }
    switch takePreface(plan) {
    case .complete: goOn()
    case .incomplete: worker.serve(self)
    case .refused: worker.forget(self)
    }
  }

  /// Waits until the header is complete.
  ///
  /// - Returns: Whether requests follow; if not, the connection has ended.
  func receivePreface(_ plan: ProxyReceptionPlan) async -> Bool {
    let deadline = loop.deadline(after: plan.timeout)
    while true {
      do throws(StreamError) {
        guard var bytes = carried.take() else { return false }
        let count = try await stream.more(&bytes, by: deadline)
        carried = consume bytes
        guard count > 0 else {
          refuse(.malformed, detail: "cut", plan)
          return false
        }
      } catch {
        refuse(error == .timedOut ? .late : .malformed, detail: "\(error)", plan)
        return false
      }
      switch takePreface(plan) {
      case .complete: return true
      case .incomplete: continue
      case .refused: return false
      }
    }
  }

  /// Counts and notes that no header came in time.
  func notePrefaceLate(_ plan: ProxyReceptionPlan) {
    if plan.isRequired { refuse(.late, detail: "nothing came", plan) }
  }

  private enum Verdict {
    case complete, incomplete, refused
  }

  /// Takes the header out of what was carried.
  private func takePreface(_ plan: ProxyReceptionPlan) -> Verdict {
    guard var bytes = carried.take() else { return .incomplete }
    do throws(ProxyHeaderError) {
      guard let parsed = try plan.parser.parse(bytes.bytes) else {
        carried = consume bytes
        return .incomplete
      }
      bytes.removeFirst(parsed.byteCount)
      if !bytes.isEmpty { carried = consume bytes }
      adopt(parsed.header)
      worker.counters.add(
        to: plan.counter(parsed.header.command == .local ? .local : .accepted)
      )
      return .complete
    } catch {
      if error == .notAHeader, !plan.isRequired {
        carried = consume bytes
        adopt(nil)
        worker.counters.add(to: plan.counter(.absent))
        return .complete
      }
      refuse(.malformed, detail: error.rawValue, plan)
      return .refused
    }
  }

  private func refuse(
    _ outcome: ProxyReceptionPlan.Outcome,
    detail: String,
    _ plan: ProxyReceptionPlan
  ) {
    worker.noteRefusal(outcome, detail: detail, peer, plan, at: acceptor)
  }
}

/// The PROXY header that members are sent.
extension HTTP1Connection {
  /// The bytes with which a connection to a member of `plan` begins for this client.
  func proxyHeader(for plan: UpstreamPlan) -> [UInt8]? {
    guard let sending = plan.proxySending else { return nil }
    let client = ProxySendingPlan.Client(
      peer: peer,
      descriptor: carrier?.stream.descriptor ?? stream.descriptor,
      preface: preface
    )
    return sending.header(for: client, &worker.random)
  }
}

extension Worker {
  /// Whether a connection may be served at a listener that wants headers; if not, that is counted and
  /// noted.
  func mayConnect(_ peer: SocketAddress, _ plan: ProxyReceptionPlan, at acceptor: Acceptor) -> Bool
  {
    if !plan.isRequired || plan.trusts(peer) { return true }
    noteRefusal(.untrusted, detail: "", peer, plan, at: acceptor)
    return false
  }

  /// Counts and notes that a connection is closed for what it began with.
  func noteRefusal(
    _ outcome: ProxyReceptionPlan.Outcome,
    detail: String,
    _ peer: SocketAddress,
    _ plan: ProxyReceptionPlan,
    at acceptor: Acceptor
  ) {
    counters.add(to: plan.counter(outcome))
    var fields = [LogLine.Field("reason", outcome.rawValue)]
    if !detail.isEmpty { fields.append(LogLine.Field("detail", detail)) }
    note(
      "a connection without a PROXY header that counts is closed",
      of: peer,
      fields,
      .warning,
      at: acceptor
    )
  }

  /// Notes something about a peer that has no connection any more; one in a second is told of.
  func note(
    _ message: String,
    of peer: SocketAddress,
    _ more: [LogLine.Field],
    _ level: LogLine.Level,
    at acceptor: Acceptor
  ) {
    // Whoever can connect can be refused: the log takes a line a second of that, the counter all.
    if let next = acceptor.nextRefusalNote, !loop.hasPassed(next) {
      acceptor.unnotedRefusals += 1
      return
    }
    acceptor.nextRefusalNote = loop.deadline(after: Timeout(.seconds(1)))
    var fields = [
      LogLine.Field("listener", acceptor.plan.key), LogLine.Field("peer", "\(peer)"),
    ]
    fields += more
    if acceptor.unnotedRefusals > 0 {
      fields.append(LogLine.Field("others", acceptor.unnotedRefusals))
    }
    acceptor.unnotedRefusals = 0
    board.log.note(level, message, fields)
  }
}
