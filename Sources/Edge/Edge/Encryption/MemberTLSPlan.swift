import Configuration
public import MartletLoop
public import MartletNet
import MartletSystem
import MartletTelemetry
public import TLS

/// How connections to the members of an upstream begin TLS; compiled.
public final class MemberTLSPlan: Sendable {
  let settings: MemberTLSSettings
  private let context: TLSContext
  /// The one that offers HTTP/2 as well, where that is spoken.
  private let multiplexing: TLSContext?

  /// What a connection may be used for.
  public enum Use: Sendable {
    /// HTTP/1.1.
    case http1
    /// HTTP/2, or HTTP/1.1 where the member chooses that.
    case http2
  }

  /// - Throws: ``TLS/TLSError``.
  init(
    _ settings: MemberTLSSettings,
    of upstream: String,
    speaksHTTP2: Bool = false,
    _ files: TLSFiles
  ) throws(TLSError) {
    self.settings = settings
    func context(_ protocols: [String]) throws(TLSError) -> TLSContext {
      try TLSContext(
        clientBelieving: settings.verifies ? try files.authorities(settings) : nil,
        policy: settings.policy,
        identity: settings.certificate.flatMap { files.identity($0) },
        protocols: protocols
      )
    }
    do throws(TLSError) {
      self.context = try context(["http/1.1"])
      multiplexing = speaksHTTP2 ? try context(["h2", "http/1.1"]) : nil
    } catch {
      throw TLSError("upstream `\(upstream)`: \(error)")
    }
  }

  /// Whom a connection to a member wants to speak to.
  private func name(of member: Member.Location) -> TLSServerName {
    var (name, isAddress) = (settings.serverName ?? "", false)
    if settings.serverName == nil {
      switch member {
      case .name(let host, _): name = host
      case .address(.unix): break
      case .address(let address): (name, isAddress) = (address.hostText, true)
      }
    }
    // RFC 6066, section 3: an address is never asked for.
    return TLSServerName(
      asked: name.isEmpty || isAddress ? nil : name,
      verified: settings.verifies && !name.isEmpty ? name : nil,
      isAddress: isAddress
    )
  }

  /// Begins TLS on a connection to a member.
  ///
  /// - Throws: ``TLS/TLSError``.
  private func session(
    on socket: Int32,
    to member: Member.Location,
    for use: Use
  ) throws(TLSError) -> TLSSession {
    let context = use == .http2 ? multiplexing ?? context : context
    return try TLSSession(context, socket: socket, to: name(of: member))
  }

  /// Does the whole handshake on a connection that stands.
  ///
  /// - Throws: ``TLSHandshakeError``.
  public func secure(
    _ stream: Stream,
    to member: Member.Location,
    for use: Use = .http1,
    on loop: EventLoop,
    continuing ticket: TLSTicket? = nil,
    by deadline: Deadline
  ) async throws(TLSHandshakeError) -> TLSSession {
    let session: TLSSession
    do throws(TLSError) {
      session = try self.session(on: stream.descriptor, to: member, for: use)
    } catch {
      throw .failed(TLSFailure(.failed, "\(error)"))
    }
    if let ticket { session.resume(ticket) }
    try await session.begin(on: stream, loop, by: deadline)
    return session
  }
}

extension TLSSession {
  /// Does the whole handshake on a connection that stands.
  ///
  /// - Throws: ``TLSHandshakeError``.
  public func begin(
    on stream: Stream,
    _ loop: EventLoop,
    by deadline: Deadline
  ) async throws(TLSHandshakeError) {
    stream.layer = self
    while true {
      let progress = handshake()
      do throws(WaitError) {
        switch progress {
        case .done:
          if isDrained {
            loop.clearReadable(stream.descriptor)
          } else {
            // What came together with the end of the handshake has no event of its own.
            loop.assumeReadable(stream.descriptor)
          }
          return
        case .needsInput:
          loop.clearReadiness(stream.descriptor)
          try await loop.readable(stream.descriptor, by: deadline)
        case .needsRoom: try await loop.writable(stream.descriptor, by: deadline)
        case .failed: break
        }
      } catch {
        throw .ended(error)
      }
      if case .failed(let failure) = progress { throw .failed(failure) }
    }
  }
}

/// Why a handshake with a member came to nothing.
public enum TLSHandshakeError: Error {
  /// The time was over, or the wait was cancelled.
  case ended(WaitError)
  /// It failed.
  case failed(TLSFailure)
}

extension TLSFailure {
  /// The cause, and OpenSSL's words for it.
  public var words: String {
    text.isEmpty ? "tls \(cause.rawValue)" : "tls \(cause.rawValue), \(text)"
  }
}

extension MemberPool {
  /// Does the handshake of a connection that was opened.
  ///
  /// - Throws: ``MartletNet/StreamError`` or ``ExchangeError``.
  func secure(
    _ connection: UpstreamConnection,
    by plan: MemberTLSPlan,
    until deadline: Deadline
  ) async throws(ExchangeError) {
    // A ticket is good for one connection: who sees it twice could tell that both are of one client.
    let ticket = self.ticket.take()
    do throws(TLSHandshakeError) {
      connection.tls = try await plan.secure(
        connection.stream,
        to: member.location,
        for: sharing == nil ? .http1 : .http2,
        on: loop,
        continuing: ticket,
        by: deadline
      )
    } catch {
      switch error {
      case .ended(.timedOut):
        throw ExchangeError(
          .upstreamConnectTimeout,
          retry: .always,
          detail: "\(connection.peer): tls"
        )
      case .ended(.cancelled): throw ExchangeError(.clientClosed)
      case .failed(let failure):
        throw ExchangeError(
          .upstreamConnectFailed,
          retry: .always,
          detail: "\(connection.peer): \(failure.words)"
        )
      }
    }
  }

  /// Keeps what continues the session of a connection that has carried its first request.
  func keepTicket(of session: TLSSession, from connection: UpstreamConnection) {
    if connection.requestCount == 1 || ticket == nil { ticket = session.ticket ?? ticket }
  }
}
