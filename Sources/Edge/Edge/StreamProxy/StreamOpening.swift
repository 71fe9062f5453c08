import Configuration
import MartletBytes
import MartletLoop
import MartletNet
import MartletSystem
import MartletTelemetry
import Prefaces

/// What is to be known of a client before its connection gets a member: first whom a PROXY header
/// names, then what the client says first.
///
/// The bytes are kept until they are understood; what is not part of a header goes to the member.
final class StreamOpening {
  /// The listener's rules about PROXY headers; nil once the header was read, or if there is none.
  private(set) var reception: ProxyReceptionPlan?
  private let routes: StreamRoutes?
  let acceptor: Acceptor
  private(set) var deadline: Deadline
  private var reader = ClientHelloReader()
  /// What has come so far: never more than one read beyond what is looked at.
  var bytes: [UInt8] = []
  /// What the client has said in TLS, once it is known.
  private(set) var hello: ClientHello?

  init(
    _ reception: ProxyReceptionPlan?,
    _ routes: StreamRoutes?,
    acceptor: Acceptor,
    on loop: EventLoop
  ) {
    self.reception = reception
    self.routes = routes
    self.acceptor = acceptor
    deadline = loop.deadline(after: reception?.timeout ?? routes?.timeout ?? .none)
  }

  /// What the bytes are.
  enum Verdict {
    /// More are needed.
    case incomplete
    /// A header, which was taken away, or none where none is needed.
    case header(ProxyHeader?)
    /// What the client speaks, if that can be told.
    case language(StreamRoute.Language?)
    /// Something that ends the connection.
    case refused(ProxyHeaderError)
  }

  /// Judges what has come.
  func judge() -> Verdict {
    guard let reception else { return language() }
    let held = bytes
    do throws(ProxyHeaderError) {
      guard let parsed = try reception.parser.parse(held.span) else { return .incomplete }
      bytes.removeFirst(parsed.byteCount)
      return .header(parsed.header)
    } catch {
      return error == .notAHeader && !reception.isRequired ? .header(nil) : .refused(error)
    }
  }

  /// Whether the client's first bytes are to be looked at.
  var readsClient: Bool { routes?.readsClient ?? false }

  /// Goes on to the client's own first bytes.
  func passHeader(on loop: EventLoop) {
    reception = nil
    if let routes { deadline = loop.deadline(after: routes.timeout) }
  }

  private func language() -> Verdict {
    guard readsClient else { return .language(nil) }
    let held = bytes
    switch FirstBytes(of: held.span) {
    case .undecided: return .incomplete
    case .unknown: return .language(nil)
    case .known(.tls):
      do throws(ClientHelloError) {
        hello = try reader.read(held.span)
        return hello == nil ? .incomplete : .language(.tls)
      } catch {
        // It is no hello that anybody could answer: no name is known.
        return .language(.tls)
      }
    case .known(let found): return .language(StreamRoute.Language(found))
    }
  }
}

extension StreamConnection {
  /// Goes on with a connection of which something is to be known first.
  func wokeOpening(_ opening: StreamOpening, hasInput: Bool) {
    guard hasInput else { return endOpening(opening) }
    do throws(StreamError) {
      while let block = try client.readNow(.head) {
        guard !block.isEmpty else { return cutOpening(opening) }
        opening.bytes.append(copying: block.bytes)
        guard look(opening) else { return }
      }
    } catch {
      return end(.clientReset, error.detail)
    }
    restForOpening(opening)
  }

  /// Judges what has come.
  ///
  /// - Returns: Whether more is needed.
  private func look(_ opening: StreamOpening) -> Bool {
    while true {
      switch opening.judge() {
      case .incomplete: return true
      case .header(let header):
        take(header, opening)
        guard opening.readsClient else {
          finish(opening, nil)
          return false
        }
        opening.passHeader(on: loop)
        if opening.bytes.isEmpty { return true }
      case .language(let language):
        finish(opening, language)
        return false
      case .refused(let error):
        refuse(.malformed, error.rawValue, opening)
        end(.refused, error.rawValue)
        return false
      }
    }
  }

  /// Rests until more of the opening comes.
  func restForOpening(_ opening: StreamOpening) {
    loop.rest(client.descriptor, for: client.descriptor, until: opening.deadline.earlier(total))
  }

  private func take(_ header: ProxyHeader?, _ opening: StreamOpening) {
    if let reception = opening.reception {
      let outcome: ProxyReceptionPlan.Outcome =
        header.map { $0.command == .local ? .local : .accepted } ?? .absent
      worker.counters.add(to: reception.counter(outcome))
    }
    adopt(header)
  }

  /// Goes on with what is known.
  private func finish(_ opening: StreamOpening, _ language: StreamRoute.Language?) {
    let held = opening.bytes
    if !held.isEmpty {
      var early = loop.lend(.body)
      early.append(held.span)
      holdEarly(early)
    }
    proceed(knowing: language, opening.hello)
  }

  /// The client has ended before all of it was known.
  private func cutOpening(_ opening: StreamOpening) {
    guard let reception = opening.reception else {
      if opening.bytes.isEmpty { return end(.complete) }
      return finish(opening, nil)
    }
    if opening.bytes.isEmpty { return end(.complete) }
    guard reception.isRequired else { return finish(opening, nil) }
    refuse(.malformed, "cut", opening)
    end(.refused, "cut")
  }

  /// The time is over, or the process is.
  private func endOpening(_ opening: StreamOpening) {
    if worker.isOver { return end(.drained) }
    guard loop.hasPassed(opening.deadline) else { return restForOpening(opening) }
    let language: StreamRoute.Language? = opening.bytes.isEmpty ? .nothing : nil
    guard let reception = opening.reception else { return finish(opening, language) }
    // Who has nothing to say first, as where the server begins, connects for himself.
    if !reception.isRequired {
      take(nil, opening)
      return finish(opening, language)
    }
    refuse(.late, "", opening)
    end(.clientTimeout)
  }

  private func refuse(
    _ outcome: ProxyReceptionPlan.Outcome,
    _ detail: String,
    _ opening: StreamOpening
  ) {
    guard let reception = opening.reception else { return }
    worker.noteRefusal(outcome, detail: detail, peer, reception, at: opening.acceptor)
  }
}
