import MartletLoop
import MartletNet
import MartletSync
import MartletSystem

/// A way to serve many connections.
enum ServingModel: Hashable, Sendable {
  /// One loop that waits in this way, and a coroutine for each connection.
  case loop(PollingModel)
  /// A thread for each connection, which blocks while it reads.
  case threads

  static let all = PollingModel.allCases.map { ServingModel.loop($0) } + [.threads]

  var name: String {
    switch self {
    case .loop(let model): model.rawValue
    case .threads: "threads"
    }
  }
}

/// Measures what a message costs a server that has some busy connections and many that are idle.
///
/// The server says back what it is sent, in this process and on threads of its own: what counts is the
/// processor time of these threads, as the kernel tells it (`/proc/self/task/N/schedstat`).
struct LoopBenchmark: Sendable {
  /// Bytes of a message.
  private static let message = [UInt8](repeating: 0x6D, count: 64)
  private static let warmup = Duration.milliseconds(100)

  let activeCount: Int
  /// How long it is measured.
  let duration: Duration
  /// What the clients run on.
  let loop: EventLoop

  /// The nanoseconds of a server's processor time that a message takes.
  ///
  /// - Throws: ``SystemError`` when the model does not go so far, or the machine does not.
  func cost(_ model: ServingModel, idleCount: Int) async throws(SystemError) -> Double {
    var (clients, servers): ([Int32], [Int32]) = ([], [])
    do throws(SystemError) {
      for _ in 0..<activeCount + idleCount {
        let (server, client) = try OpenFile.messagePair()
        // Copies, which can be given away.
        servers.append(try server.descriptor.duplicate().release())
        clients.append(try client.descriptor.duplicate().release())
      }
    } catch {
      close(clients + servers)
      throw error
    }
    let server: any EchoServer
    do throws(SystemError) {
      server = try await model.start(servers)
    } catch {
      close(clients)
      throw error
    }
    if let failure = server.failure {
      close(clients)
      await server.end()
      throw failure
    }
    let idle = clients[activeCount...]
    let result: Result<Double, SystemError>
    do throws(SystemError) {
      result = .success(try await cost(of: server, clients[..<activeCount]))
    } catch {
      result = .failure(error)
    }
    close(idle)
    await server.end()
    return try result.get()
  }

  private func close(_ descriptors: some Sequence<Int32>) {
    for number in descriptors { _ = Descriptor(adopting: number) }
  }

  private func cost(
    of server: any EchoServer,
    _ clients: ArraySlice<Int32>
  ) async throws(SystemError) -> Double {
    let load = Load()
    for number in clients {
      let socket = Descriptor(adopting: number)
      try socket.setNonblocking()
      let stream = try Stream(adopting: socket, on: loop)
      let loop = loop
      load.running += 1
      loop.spawn(named: "ask again and again") { await load.ask(stream, Self.message, on: loop) }
    }
    await pause(Self.warmup)
    let (count, time) = (load.count, try server.nanoseconds())
    await pause(duration)
    let cost = Double(try server.nanoseconds() - time) / Double(max(load.count - count, 1))
    load.isOver = true
    while load.running > 0 { await pause(.milliseconds(1)) }
    return cost
  }

  private func pause(_ duration: Duration) async {
    do throws(WaitError) { try await loop.sleep(for: duration) } catch { return }
  }

  /// The clients, on their loop.
  private final class Load {
    var count = 0
    var running = 0
    var isOver = false

    func ask(_ stream: Stream, _ message: [UInt8], on loop: EventLoop) async {
      let patience = Timeout(.seconds(60))
      do throws(StreamError) {
        while !isOver {
          try await stream.write(message, by: loop.deadline(after: patience))
          let answer = try await stream.read(.head, by: loop.deadline(after: patience))
          if answer.isEmpty { break }
          count += 1
        }
      } catch {
        // A server that stalls shows as one that has answered little.
      }
      running -= 1
    }
  }
}

/// What says everything back, on threads of its own.
private protocol EchoServer: Sendable {
  /// Why it does not serve all of its sockets.
  var failure: SystemError? { get }

  /// The processor time of its threads so far.
  func nanoseconds() throws(SystemError) -> Int64

  /// Returns when all its sockets are closed, as they are when their other ends are.
  func end() async
}

extension ServingModel {
  /// Starts a server of connected sockets, which it closes when their other ends are, and at once when it
  /// cannot serve them.
  fileprivate func start(_ sockets: [Int32]) async throws(SystemError) -> any EchoServer {
    switch self {
    case .loop(let model): try await LoopEchoServer(model, sockets)
    case .threads: await ThreadEchoServer(sockets)
    }
  }
}

/// A loop, and a coroutine for each connection.
private final class LoopEchoServer: EchoServer {
  private let loop: EventLoop
  private let open: Latch
  private let thread = Locked("")
  let failure: SystemError?

  init(_ model: PollingModel, _ sockets: [Int32]) async throws(SystemError) {
    open = Latch(sockets.count)
    do throws(SystemError) {
      loop = try EventLoop(polling: model)
      try loop.startThread()
    } catch {
      for number in sockets { _ = Descriptor(adopting: number) }
      throw error
    }
    let failure = Locked<SystemError?>(nil)
    let (loop, open, thread) = (loop, open, thread)
    await loop.perform {
      thread.withLock { $0 = ThreadTime.ownFolder }
      for number in sockets {
        let socket = Descriptor(adopting: number)
        do throws(SystemError) {
          if let error = failure.withLock(\.self) { throw error }
          try socket.setNonblocking()
          let stream = try Stream(adopting: socket, on: loop)
          loop.spawn(named: "echo") { await Self.echo(stream, open) }
        } catch {
          failure.withLock { $0 = error }
          open.countDown()
        }
      }
    }
    self.failure = failure.withLock(\.self)
  }

  private nonisolated(nonsending) static func echo(_ stream: Stream, _ open: Latch) async {
    do throws(StreamError) {
      while true {
        let bytes = try await stream.read(.head, by: .never)
        if bytes.isEmpty { break }
        try await stream.write(bytes, by: .never)
      }
    } catch {
      // The client is gone.
    }
    open.countDown()
  }

  func nanoseconds() throws(SystemError) -> Int64 {
    try ThreadTime.nanoseconds(of: thread.withLock { $0 })
  }

  func end() async {
    do throws(WaitFailure) { try await open.wait() } catch {}
    loop.stop()
  }
}

/// A thread for each connection.
private final class ThreadEchoServer: EchoServer {
  private let open: Latch
  private let threads = Locked<[String]>([])
  let failure: SystemError?

  init(_ sockets: [Int32]) async {
    open = Latch(sockets.count)
    var failure: SystemError?
    let begun = Latch(sockets.count)
    for number in sockets {
      do throws(SystemError) {
        if let failure { throw failure }
        let (open, threads) = (open, threads)
        try Thread.start {
          threads.withLock { $0.append(ThreadTime.ownFolder) }
          begun.countDown()
          Self.echo(Descriptor(adopting: number))
          open.countDown()
        }
      } catch {
        failure = error
        _ = Descriptor(adopting: number)
        begun.countDown()
        open.countDown()
      }
    }
    do throws(WaitFailure) { try await begun.wait() } catch {}
    self.failure = failure
  }

  private static func echo(_ socket: consuming Descriptor) {
    do throws(SystemError) {
      while true {
        let bytes = try socket.read(upTo: 4096)
        if bytes.isEmpty { return }
        _ = try socket.write(bytes.span)
      }
    } catch {
      // The client is gone.
    }
  }

  func nanoseconds() throws(SystemError) -> Int64 {
    var sum: Int64 = 0
    for thread in threads.withLock(\.self) { sum += try ThreadTime.nanoseconds(of: thread) }
    return sum
  }

  func end() async {
    do throws(WaitFailure) { try await open.wait() } catch {}
  }
}

/// The processor time of single threads, see `proc(5)`.
private enum ThreadTime {
  /// Where the kernel tells of the calling thread.
  static var ownFolder: String {
    do throws(SystemError) {
      return "/proc/" + (try Files.target(of: "/proc/thread-self"))
    } catch {
      return ""
    }
  }

  /// What a thread has taken so far, to within a tick of the kernel.
  static func nanoseconds(of folder: String) throws(SystemError) -> Int64 {
    let bytes = try Files.read(folder + "/schedstat", limit: 256)
    return Int64(String(decoding: bytes.prefix { $0 != 0x20 }, as: UTF8.self)) ?? 0
  }
}
