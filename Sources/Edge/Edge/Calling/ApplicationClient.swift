import Applications
import MartletLoop
import MartletNet
import MartletSystem
import MartletTelemetry

/// What one loop has to do with an application: the exchanges that it is asked in, and its answers.
final class ApplicationClient: TurnEnd {
  let application: Application
  unowned let worker: Worker
  /// The exchanges that wait for an answer, or are in the middle of one.
  private var streams: [UInt64: ApplicationStream] = [:]
  /// Sockets that carry none at the moment.
  private var free: [UpstreamConnection] = []
  private var lastNumber: UInt64
  /// What goes to workers when the turn ends.
  private var outbox = WorkerOutbox()
  /// What requests to the application say again and again.
  let knownFields = KnownFields()
  private var isSendPlanned = false
  private var message = [UInt8](repeating: 0, count: WorkerAnswer.messageBytes)

  init(_ application: Application, _ worker: Worker) {
    self.application = application
    self.worker = worker
    lastNumber = UInt64(worker.index) << 56
  }

  var loop: EventLoop { worker.loop }

  /// How many sockets carry nothing.
  var idleCount: Int { free.count }

  // MARK: Exchanges

  /// A socket for an exchange; nil when the loop has no number left for one.
  func take() -> UpstreamConnection? {
    let socket: UpstreamConnection
    if let there = free.popLast() {
      socket = there
    } else if let made = makeSocket() {
      socket = made
    } else {
      return nil
    }
    socket.application?.prepare()
    return socket
  }

  private func makeSocket() -> UpstreamConnection? {
    let carrier = ApplicationStream(on: self)
    let made = UpstreamConnection(inner: carrier, on: loop, peer: .unix(""), oldest: .never)
    guard let made else { return nil }
    carrier.opened(as: made.stream.descriptor)
    made.application = carrier
    return made
  }

  /// Takes back a socket whose exchange has ended in order.
  func giveBack(_ socket: UpstreamConnection) {
    guard free.count < Self.keptSockets, socket.application?.comesFree() == true else { return }
    free.append(socket)
  }

  private static let keptSockets = 256

  /// A number for a request.
  func nextNumber() -> UInt64 {
    lastNumber &+= 1
    return lastNumber
  }

  /// Gives a request to a worker, or puts it in line.
  func submit(_ request: WorkerRequest, of stream: ApplicationStream) -> Application.Submission {
    let submission = application.submit(request, at: loop.now, into: &outbox)
    if submission != .isFull { streams[request.number] = stream }
    planSend()
    return submission
  }

  private func planSend() {
    guard !outbox.isEmpty, !isSendPlanned else { return }
    isSendPlanned = true
    loop.atEndOfTurn(self)
  }

  func turnEnds() {
    isSendPlanned = false
    outbox.send(for: application)
  }

  /// Forgets an exchange that nobody waits for any more.
  func forget(_ number: UInt64) {
    streams[number] = nil
    application.withdraw(number)
  }

  // MARK: Workers

  /// Takes the answers of a worker until it has ended.
  func listen(to file: OpenFile, of process: Int32) async {
    do throws(SystemError) {
      try loop.watch(file.number, assumesReady: true)
    } catch {
      return worker.board.log.note(.error, "the answers of a worker cannot be watched: \(error)")
    }
    defer { loop.forget(file.number, staysOpen: true) }
    while true {
      do throws(SystemError) {
        let received = try file.descriptor.receiveMessage(into: &message)
        guard received.count > 0 else { break }
        take(received.count, received.descriptor.map { OpenFile(adopting: $0) }, from: process)
      } catch {
        guard error.wouldBlock else { break }
        loop.clearReadiness(file.number)
        do throws(WaitError) {
          try await loop.readable(file.number, by: .never)
        } catch {
          break
        }
      }
    }
    end(process)
  }

  private func take(_ count: Int, _ file: OpenFile?, from process: Int32) {
    // A span of a property of an object would not outlive the access to it.
    let message = message
    let bytes = message.span.extracting(0..<count)
    var start = 0
    while start < count, let answer = WorkerAnswer(bytes, at: start) {
      take(answer, bytes, file, from: process)
      start = answer.content.upperBound
    }
    planSend()
  }

  private func take(
    _ answer: WorkerAnswer,
    _ bytes: Span<UInt8>,
    _ file: OpenFile?,
    from process: Int32
  ) {
    let stream: ApplicationStream?
    switch answer.kind {
    case .ready: return application.noteReady(process, at: loop.now, into: &outbox)
    case .lock:
      let waited = answer.applicationTime
      return application.noteLock(waited, lookCount: answer.number, of: process)
    case .whole, .end, .cut:
      application.complete(answer.number, of: process, at: loop.now, into: &outbox)
      stream = streams.removeValue(forKey: answer.number)
    case .head, .data, .rest: stream = streams[answer.number]
    }
    stream?.take(answer, bytes, file)
  }

  /// Ends what a worker was at that has ended.
  ///
  /// Every loop hears of it; what it was at is told to whoever asks first.
  func end(_ process: Int32) {
    let numbers = application.remove(process)
    for number in numbers {
      let loop = Int(number >> 56)
      if loop == worker.index {
        breakOff(number, of: process)
      } else {
        worker.board.brokenRequests.add(number, of: process, forLoop: loop)
      }
    }
    for (number, process) in worker.board.brokenRequests.take(ofLoop: worker.index) {
      for client in worker.applicationClients { client.breakOff(number, of: process) }
    }
  }

  /// Ends an exchange whose worker has ended.
  func breakOff(_ number: UInt64, of process: Int32) {
    streams.removeValue(forKey: number)?.fail(
      ExchangeError(
        .upstreamReset,
        retry: .ifIdempotent,
        detail: "worker \(process) ended in the middle of the request"
      )
    )
  }

  // MARK: Time

  /// Looks after requests that have waited for too long.
  func sweep() {
    application.tend(at: loop.now, into: &outbox)
    planSend()
    for (process, number) in application.overdue(at: loop.now) {
      // Its worker is ended, which no retry is to do to another one.
      streams.removeValue(forKey: number)?.fail(
        ExchangeError(
          .upstreamTimeout,
          detail: "worker \(process) took longer than request_timeout"
        )
      )
    }
    for number in application.takeExpired(of: UInt8(worker.index), at: loop.now) {
      streams.removeValue(forKey: number)?.fail(
        ExchangeError(.queueTimeout, detail: "no worker was free in time")
      )
    }
  }
}
