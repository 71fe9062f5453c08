import MartletLoop
import MartletNet

/// A coroutine that serves one connection after the other, whichever has a request.
///
/// Connections rest without a coroutine, and the usual exchange needs none either: there are as many of
/// these as there are exchanges at once that need more than two steps.
final class ConnectionServer {
  /// What is to be served next.
  var connection: HTTP1Connection?
  /// The descriptor of the connection that is served.
  private var servedDescriptor: Int32?
  private let signal: Signal

  /// - Returns: nil when all timers of the loop are taken.
  init?(on loop: EventLoop) {
    guard let signal = Signal(on: loop) else { return nil }
    self.signal = signal
  }

  /// Goes on with the connection that was given.
  func wake() { signal.set() }

  /// Serves connections of `worker` until enough others wait for one.
  func run(for worker: Worker) async {
    while true {
      await serve(for: worker)
      guard worker.keep(self) else { return }
      await signal.untilSet()
    }
  }

  /// What is served, in words; nil while nothing is.
  func subject(of worker: Worker) -> String? {
    guard let servedDescriptor,
      let served = worker.connection(of: servedDescriptor) ?? worker.carried(by: servedDescriptor)
    else { return nil }
    let number = served.carrier?.number ?? served.number
    let client = "\(ConnectionID(loop: worker.index, number: number)) of \(served.peer)"
    return served.memberName.map { "\(client), at \($0)" } ?? client
  }

  /// Serves the connection that was given; a function of its own, so that nothing holds the
  /// connection when it is over, which closes it.
  private func serve(for worker: Worker) async {
    guard let served = connection else { return }
    connection = nil
    servedDescriptor = served.stream.descriptor
    defer { servedDescriptor = nil }
    if await served.serve(), !worker.closesIdle { served.rest() } else { worker.forget(served) }
  }
}

extension Worker: RestingKeeper {
  /// Sends what relays have read in this turn.
  func eventsWereDelivered() {
    swap(&readRelays, &sendingRelays)
    for relay in sendingRelays { relay.sendRead() }
    sendingRelays.removeAll(keepingCapacity: true)
  }

  /// Goes on with a connection that has a request or an answer, and closes one that has waited for its
  /// client too long.
  func descriptorWoke(_ descriptor: Int32, hasInput: Bool) {
    guard let connection = connection(of: descriptor) ?? carried(by: descriptor) else {
      if let connection = http2Connection(of: descriptor) {
        connection.woke(hasInput: hasInput)
      } else if let connection = sharedConnection(of: descriptor) {
        connection.woke(hasInput: hasInput)
      } else if let relay = relay(of: descriptor) {
        relay.woke(hasInput: hasInput)
      } else {
        flow(of: descriptor)?.woke(hasInput: hasInput)
      }
      return
    }
    if hasInput {
      connection.serveNow()
    } else if connection.isIdle {
      connection.end()
    } else {
      // The member is late or the client has left: the coroutine finds out when it waits.
      serve(connection)
    }
  }
}
