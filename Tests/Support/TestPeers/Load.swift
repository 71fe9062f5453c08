import Foundation

/// Clients that ask without a pause until they are told to stop, each on its own thread.
///
/// Half of them keep their connection as long as they may, half open one for each request.
public final class Load: Sendable {
  /// What came of the requests so far.
  public struct Totals: Sendable {
    /// How many were answered as they should be.
    public var answered = 0
    /// What else happened, and how often.
    public var failures: [String: Int] = [:]
    /// How many connections were closed by the server within an exchange.
    public var broken = 0
  }

  private let endpoint: Endpoint
  private let request: String
  private let isRight: @Sendable (Answer) -> Bool
  private let state = Guarded<(totals: Totals, isStopped: Bool, running: Int)>((Totals(), false, 0))
  private let change = NSCondition()

  /// Starts `clientCount` clients that send `request` and want answers that are right.
  public init(
    to endpoint: Endpoint,
    clientCount: Int = 8,
    request: String = "GET /load HTTP/1.1\r\nHost: a\r\n\r\n",
    isRight: @escaping @Sendable (Answer) -> Bool = { $0.status == 200 }
  ) {
    self.endpoint = endpoint
    self.request = request
    self.isRight = isRight
    state.withLock { $0.running = clientCount }
    for number in 0..<clientCount {
      Thread { [self] in
        run(isKept: number % 2 == 0)
        state.withLock { $0.running -= 1 }
        wake()
      }.start()
    }
  }

  private func run(isKept: Bool) {
    var wire: Wire?
    while !state.withLock({ $0.isStopped }) {
      do {
        let current = try wire ?? Wire(to: endpoint)
        wire = current
        try current.send(text: request)
        let answer = try current.receiveAnswer()
        let isGood = answer.ending == .complete && isRight(answer)
        state.withLock {
          if isGood {
            $0.totals.answered += 1
          } else {
            $0.totals.failures["\(answer.line), \(answer.ending)", default: 0] += 1
          }
        }
        if !isKept || answer.fields["connection"]?.lowercased() == "close" { wire = nil }
        wake()
      } catch Wire.Failure.reset, Wire.Failure.ended {
        state.withLock { $0.totals.broken += 1 }
        wire = nil
      } catch {
        state.withLock { $0.totals.failures["\(error)", default: 0] += 1 }
        wire = nil
      }
    }
  }

  private func wake() {
    change.lock()
    change.broadcast()
    change.unlock()
  }

  /// Waits until `count` more requests have been answered.
  ///
  /// - Throws: ``PeerError`` when they are not.
  public func wait(forMore count: Int) throws {
    let deadline = Date(timeIntervalSinceNow: Double(patience.components.seconds))
    let start = totals.answered
    change.lock()
    defer { change.unlock() }
    while totals.answered < start + count {
      guard change.wait(until: deadline) else { throw PeerError("no answers: \(totals)") }
    }
  }

  /// What came of the requests so far.
  public var totals: Totals { state.withLock { $0.totals } }

  /// Lets what is under way end, and returns what came of all.
  ///
  /// - Throws: ``PeerError`` when it does not end.
  public func stop() throws -> Totals {
    state.withLock { $0.isStopped = true }
    let deadline = Date(timeIntervalSinceNow: 2 * Double(patience.components.seconds))
    change.lock()
    defer { change.unlock() }
    while state.withLock({ $0.running }) > 0 {
      guard change.wait(until: deadline) else { throw PeerError("clients hang: \(totals)") }
    }
    return totals
  }
}
