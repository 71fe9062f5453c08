import Configuration
import MartletLoop
import MartletNet
import MartletSystem
import MartletTelemetry
import TLS

/// The handshake of TLS, which goes before the first request: a few steps without a coroutine.
extension HTTP1Connection {
  /// Begins TLS, with what has come already.
  func beginHandshake(_ plan: TLSPlan) {
    var hasInput = stream.hasEvent
    do throws(TLSError) {
      if let bytes = carried.take() {
        hasInput = true
        encrypt(by: try plan.session(on: stream, carried: bytes.bytes), within: plan.timeout)
      } else {
        encrypt(by: try plan.session(on: stream, carried: Span()), within: plan.timeout)
      }
    } catch {
      plan.count(.failed, worker.counters)
      return worker.forget(self)
    }
    if hasInput { handshakeNow() } else { restForHandshake(needsRoom: false) }
  }

  /// Goes on with the handshake.
  func handshakeNow() {
    guard let session = tls, let plan = acceptor.plan.tls else { return worker.forget(self) }
    switch session.handshake() {
    case .done:
      plan.count(session, worker.counters)
      if session.isDrained { loop.clearReadable(stream.descriptor) }
      // RFC 8737, section 3: who has seen the proof wants nothing else.
      if session.protocolName == TLSContext.proofProtocol { return worker.forget(self) }
      speak()
    case .needsInput:
      loop.clearReadiness(stream.descriptor)
      restForHandshake(needsRoom: false)
    case .needsRoom: restForHandshake(needsRoom: true)
    case .failed(let failure):
      note(failure, plan)
      if failure.cause == .plainHTTP { answerPlainHTTP() } else { worker.forget(self) }
    }
  }

  /// Begins with what comes next; a client that has agreed on HTTP/2 begins with its preface, by which
  /// it is known here as without TLS.
  private func speak() {
    endOpening()
    goOn()
  }

  /// Counts and notes a handshake that did not end in time, or was ended.
  func noteHandshakeLate(_ plan: TLSPlan) {
    guard loop.hasPassed(handshakeUntil) else { return plan.count(.closed, worker.counters) }
    note(TLSFailure(.late), plan)
  }

  private func note(_ failure: TLSFailure, _ plan: TLSPlan) {
    plan.count(failure.cause, worker.counters)
    // Who only looks whether the port is open need not be told of.
    if failure.cause == .closed, tls?.hasHeardNothing ?? true { return }
    var fields = [LogLine.Field("reason", failure.cause.rawValue)]
    if !failure.text.isEmpty { fields.append(LogLine.Field("detail", failure.text)) }
    if let name = tls?.serverName, !name.isEmpty { fields.append(LogLine.Field("host", name)) }
    worker.note("a TLS handshake has failed", of: peer, fields, .notice, at: acceptor)
  }

  /// Sees to it that the client has begun TLS with the server that it now speaks to, where that asks for
  /// certificates: what it has shown, or has not, to another one counts nothing here.
  ///
  /// - Throws: ``ExchangeError`` with 421, which has the client open another connection.
  func checkClient(of site: Site) throws(ExchangeError) {
    guard let tls else { return }
    let name = tls.serverName
    guard acceptor.plan.site(for: name.utf8.span) === site else {
      throw ExchangeError(.noSite, detail: "client_certificate_of_other_host")
    }
    if site.needsClientCertificate, tls.peer == nil {
      throw ExchangeError(.noSite, detail: "no_client_certificate")
    }
  }

  // MARK: HTTP where TLS is spoken

  /// Says what is wrong, in the words that the client speaks.
  private func answerPlainHTTP() {
    encrypt(by: nil, within: Timeout(.seconds(1)))
    var out = loop.lend(.head)
    out.append(Self.plainAnswer)
    do throws(StreamError) {
      _ = try stream.writeNow(out)
    } catch {
      return worker.forget(self)
    }
    lingerOnly()
  }

  private static let plainAnswer: StaticString = """
    HTTP/1.1 400 Bad Request\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 63\r\n\
    Connection: close\r\n\
    \r\n\
    400 Bad Request\n\
    This port speaks TLS: write https:// in front.\n
    """
}

extension Worker {
  /// Notes what a client has done behind its handshake that it may not; its connection is over.
  func noteFault(of session: TLSSession, _ peer: SocketAddress, at acceptor: Acceptor) {
    guard let fault = session.takeFault() else { return }
    acceptor.plan.tls?.count(fault.kind, counters)
    var fields = [LogLine.Field("reason", fault.kind.rawValue)]
    if !fault.text.isEmpty { fields.append(LogLine.Field("detail", fault.text)) }
    if !session.serverName.isEmpty { fields.append(LogLine.Field("host", session.serverName)) }
    note("a client has broken the rules of TLS", of: peer, fields, .notice, at: acceptor)
  }
}
