import Applications
import MartletLoop
public import MartletSystem
import MartletTelemetry
import Synchronization

/// Requests whose worker has ended, until the loop that each belongs to has heard of it.
final class BrokenRequests: Sendable {
  private let waiting = Mutex<[(number: UInt64, process: Int32, loop: Int)]>([])
  private let count = Atomic<Int>(0)

  /// Notes a request of another loop.
  func add(_ number: UInt64, of process: Int32, forLoop loop: Int) {
    waiting.withLock { $0.append((number, process, loop)) }
    count.add(1, ordering: .releasing)
  }

  /// Takes those of a loop.
  func take(ofLoop loop: Int) -> [(number: UInt64, process: Int32)] {
    guard count.load(ordering: .acquiring) > 0 else { return [] }
    return waiting.withLock { waiting in
      let own = waiting.filter { $0.loop == loop }.map { ($0.number, $0.process) }
      waiting.removeAll { $0.loop == loop }
      count.store(waiting.count, ordering: .releasing)
      return own
    }
  }
}

extension Worker {
  /// What this loop has to do with an application.
  func client(of application: Application) -> ApplicationClient {
    if let there = applicationClients.first(where: { $0.application === application }) {
      return there
    }
    let client = ApplicationClient(application, self)
    applicationClients.append(client)
    return client
  }

  /// Looks after applications, four times a second.
  func sweepApplications() {
    guard !applicationClients.isEmpty else { return }
    for (number, process) in board.brokenRequests.take(ofLoop: index) {
      for client in applicationClients { client.breakOff(number, of: process) }
    }
    for client in applicationClients { client.sweep() }
  }
}

extension EdgeServer {
  private func application(named name: String) -> Application? {
    generation.upstreams.first { $0.name == name }?.application
  }

  /// Lets a process answer requests of an application, once it has said that it is ready; one of which there
  /// is nothing but what it prints answers none.
  ///
  /// - Throws: ``SystemError`` when its descriptors cannot be set up.
  public func add(
    process: Int32,
    of name: String,
    files: [OpenFile]
  ) async throws(SystemError) {
    guard let application = application(named: name) else { return }
    let output: OpenFile
    if files.count == 1 {
      output = files[0]
      try output.descriptor.setNonblocking()
    } else {
      let made = try ApplicationProcess(number: process, files: files)
      application.add(made)
      output = made.output
      for (local, file) in zip(workers, made.answers) {
        await local.perform { worker in
          let client = worker.client(of: application)
          worker.loop.spawn(named: "listen to a process of an application") {
            await client.listen(to: file, of: process)
          }
        }
      }
    }
    let board = board
    await workers[0].perform { worker in
      worker.loop.spawn(named: "log what a process of an application says") {
        await worker.log(output, of: process, name, board)
      }
    }
  }

  /// Gives a process nothing more; it ends when it has answered what it has.
  public func retire(process: Int32, of name: String) {
    application(named: name)?.retire(process)
  }

  /// Ends what a process was at that has ended.
  public func remove(process: Int32, of name: String) async {
    guard let application = application(named: name) else { return }
    await workers[0].perform { $0.client(of: application).end(process) }
    for local in workers { await local.perform { $0.sweepApplications() } }
  }

  /// Lets all processes end, and waits a little for what they print then.
  func endApplications() async {
    let applications = generation.upstreams.compactMap(\.application)
    guard !applications.isEmpty else { return }
    for application in applications { application.retireAll() }
    await workers[0].perform { worker in
      for _ in 0..<Self.lastWords where worker.printingCount > 0 {
        do throws(WaitError) { try await worker.loop.sleep(for: .milliseconds(20)) } catch {
          return
        }
      }
    }
  }

  /// How often it is looked whether processes have ended: for less than the two seconds that an edge has.
  private static let lastWords = 50

  /// How many processes applications are to have that have another number of them now.
  public func wantedWorkers() -> [(application: String, count: Int)] {
    let now = SystemClock.monotonicNanoseconds()
    return generation.upstreams.compactMap { upstream in
      upstream.application?.countWorkers(at: now).map { (upstream.name, $0) }
    }
  }

  /// Workers that take longer for a request than they may.
  public func overdueWorkers() -> [(application: String, process: Int32)] {
    let now = SystemClock.monotonicNanoseconds()
    return generation.upstreams.flatMap { upstream in
      Set((upstream.application?.overdue(at: now) ?? []).map(\.process)).map { (upstream.name, $0) }
    }
  }
}

extension Worker {
  /// Writes what a worker prints to the error log, line by line.
  fileprivate func log(_ file: OpenFile, of process: Int32, _ name: String, _ board: Board) async {
    printingCount += 1
    defer { printingCount -= 1 }
    do throws(SystemError) {
      try await loop.lines(of: file, byteLimit: 8 << 10) { line in
        let fields = [LogLine.Field("application", name), LogLine.Field("worker", Int(process))]
        board.log.note(.notice, line, fields)
      }
    } catch {
      board.log.note(.error, "what a worker prints cannot be watched: \(error)")
    }
  }
}
