import CLinux
import MartletLoop
import MartletNet
import MartletProcess
import MartletSync
import MartletSystem
import Synchronization

/// What runs the handlers of a server.
public enum ServerModel: Hashable, Sendable {
  /// Coroutines, on so many loops with a thread each.
  case events(loops: Int)
  /// A thread for each connection.
  case threadPerConnection
  /// So many threads, each with one connection at a time; others wait for one.
  case threadPool(threads: Int)
  /// A process for each connection: this program, started again with the connection as its descriptor 3.
  ///
  /// The program comes to the same server in the same way, where it serves the one connection and ends. So nothing
  /// that it does before that may be wrong when it is done again.
  case processPerConnection

  /// Coroutines on one loop.
  public static let events = ServerModel.events(loops: 1)
}

/// What all servers have in common: permits for what is under way, the end, and where handlers run.
final class ServerCore: Sendable {
  private static let ordinals = Atomic<Int>(0)
  /// What tells a process that it is one of ``ServerModel/processPerConnection``: the number of the server.
  private static let variable = "MARTLET_CONNECTION_OF"
  private static let peerVariable = "MARTLET_CONNECTION_FROM"
  /// How long a loop waits for a connection before it looks whether the server is to end.
  private static let turn = Timeout(.milliseconds(100))

  private let model: ServerModel
  private let limit: Int
  private let permits: Semaphore
  private let handler: any ConnectionHandler
  private let tell: @Sendable (SocketAddress, any Error) -> Void
  private let ordinal: Int
  private let pool: ThreadPool?
  private let isStopped = Atomic<Bool>(false)
  private let acceptors = Locked(0)
  private let ended = Event()
  /// Loops of threads that have nothing to do.
  private let spareLoops = Locked<[EventLoop]>([])

  init(
    _ model: ServerModel,
    limit: Int,
    _ handler: any ConnectionHandler,
    telling tell: @escaping @Sendable (SocketAddress, any Error) -> Void
  ) {
    precondition(limit > 0, "a server serves one or more")
    self.model = model
    self.limit = limit
    self.handler = handler
    self.tell = tell
    permits = Semaphore(limit)
    ordinal = Self.ordinals.add(1, ordering: .relaxed).newValue
    if case .threadPool(let threads) = model {
      pool = ThreadPool(threadLimit: threads, queueLimit: limit)
    } else {
      pool = nil
    }
  }

  /// How many threads accept connections.
  var loopCount: Int { if case .events(let loops) = model { max(loops, 1) } else { 1 } }

  /// Whether this process was started to serve one connection of this server.
  var isChild: Bool {
    model == .processPerConnection && Program.ownVariable(Self.variable) == "\(ordinal)"
  }

  /// Runs `accept` on a thread with a loop and a socket of its own; what it has begun ends first.
  ///
  /// Where it cannot have the socket, nothing more is accepted by any.
  func startAcceptor(
    of socket: OpenFile,
    _ accept:
      @escaping @Sendable (consuming Descriptor, EventLoop) async throws(SystemError) -> Void
  ) throws(SystemError) {
    let loop = try EventLoop()
    let number = try socket.descriptor.duplicate().release()
    acceptors.withLock { $0 += 1 }
    do throws(SystemError) {
      try Thread.start {
        loop.run(until: {
          do throws(SystemError) {
            try await accept(Descriptor(adopting: number), loop)
          } catch {
            self.stop()
          }
          await self.untilIdle()
        })
        self.endAcceptor()
      }
    } catch {
      _ = Descriptor(adopting: number)
      endAcceptor()
      throw error
    }
  }

  /// Calls `next`, which begins one connection or datagram, until the server is stopped.
  ///
  /// Who comes while all permits are taken waits in the kernel's queue.
  func acceptAll(
    on loop: EventLoop,
    _ next: (Deadline) async throws -> Void
  ) async {
    while !isOver {
      do {
        try await permits.acquire(1, within: .milliseconds(100))
      } catch {
        continue
      }
      do {
        try await next(loop.deadline(after: Self.turn))
      } catch StreamError.timedOut {
        permits.release()
      } catch {
        // No descriptor, thread or process is free: the others wait in the kernel's queue.
        permits.release()
        do throws(WaitError) { try await loop.sleep(for: .milliseconds(100)) } catch {}
      }
    }
  }

  private func endAcceptor() {
    let isLast = acceptors.withLock { acceptors in
      acceptors -= 1
      return acceptors == 0
    }
    if isLast { ended.set() }
  }

  private func untilIdle() async {
    do {
      try await permits.acquire(limit)
      permits.release(limit)
    } catch {
      // Nobody cancels this wait.
    }
  }

  private var isOver: Bool { isStopped.load(ordering: .acquiring) }

  func stop() { isStopped.store(true, ordering: .releasing) }

  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  func join() { ended.wait() }

  func join() async {
    // Nobody cancels this wait but whoever wants to wait no more.
    do throws(WaitFailure) { try await ended.wait() } catch {}
  }

  // MARK: Handlers

  /// Has a connection served where the model says; one permit is given back then.
  func serve(_ accepted: consuming Accepted, on loop: EventLoop) async throws {
    let peer = accepted.peer
    switch model {
    case .events:
      let stream = try Stream(adopting: accepted.descriptor, on: loop)
      loop.spawn { await self.serve(Connection(stream, from: peer, on: loop)) }
    case .threadPerConnection:
      let number = accepted.descriptor.release()
      do throws(SystemError) {
        try Thread.start { self.serveAlone(number, from: peer) }
      } catch {
        _ = Descriptor(adopting: number)
        throw error
      }
    case .threadPool:
      let number = accepted.descriptor.release()
      try await pool?.submit { self.serveAlone(number, from: peer) }
    case .processPerConnection:
      let child = try ChildProcess.start(
        program(for: peer),
        descriptors: [accepted.descriptor.number],
        on: loop
      )
      loop.spawn {
        do throws(WaitError) { _ = try await child.ended() } catch {}
        self.permits.release()
      }
    }
  }

  private func serve(_ connection: Connection) async {
    do {
      try await handler.serve(connection)
    } catch {
      tell(connection.peer, error)
    }
    permits.release()
  }

  /// Serves a connection on the calling thread.
  private func serveAlone(_ number: Int32, from peer: SocketAddress) {
    runAlone(from: peer) { loop in
      Connection(
        try Stream(adopting: Descriptor(adopting: number), on: loop),
        from: peer,
        on: loop
      )
    }
  }

  /// Serves what `make` makes on the calling thread, which gets a loop for it.
  func runAlone(
    from peer: SocketAddress,
    _ make: @escaping @Sendable (EventLoop) throws -> Connection
  ) {
    do {
      let loop = try spareLoops.withLock { $0.popLast() } ?? EventLoop()
      loop.run(until: {
        do {
          await self.serve(try make(loop))
        } catch {
          self.tell(peer, error)
          self.permits.release()
        }
      })
      spareLoops.withLock { if $0.count < 64 { $0.append(loop) } }
    } catch {
      tell(peer, error)
      permits.release()
    }
  }

  /// Has a datagram served where the model says.
  func serve(
    _ datagram: [UInt8],
    from peer: SocketAddress,
    socket: OpenFile,
    on loop: EventLoop
  ) async throws {
    switch model {
    case .events:
      let connection = Connection(datagram, from: peer, socket: socket, on: loop)
      loop.spawn { await self.serve(connection) }
    case .threadPerConnection:
      try Thread.start {
        self.runAlone(from: peer) { Connection(datagram, from: peer, socket: socket, on: $0) }
      }
    case .threadPool:
      try await pool?.submit {
        self.runAlone(from: peer) { Connection(datagram, from: peer, socket: socket, on: $0) }
      }
    case .processPerConnection: preconditionFailure("a datagram is no connection")
    }
  }

  // MARK: Processes

  private func program(for peer: SocketAddress) -> Program {
    var program = Program("/proc/self/exe")
    program.arguments = CommandLine.arguments
    program.set(Self.variable, to: "\(ordinal)")
    program.set(Self.peerVariable, to: "\(peer.port ?? 0) \(peer.hostText)")
    return program
  }

  /// Serves the one connection that this process was started for, and ends it.
  func serveAsChild() -> Never {
    let words = (Program.ownVariable(Self.peerVariable) ?? "").split(separator: " ", maxSplits: 1)
    var peer = SocketAddress.unix("")
    if words.count == 2, let port = UInt16(words[0]),
      let address = SocketAddress(host: String(words[1]), port: port)
    {
      peer = address
    }
    serveAlone(3, from: peer)
    CLinux.exit(0)
  }
}
