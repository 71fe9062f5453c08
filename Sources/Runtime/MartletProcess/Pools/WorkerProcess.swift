import MartletSystem
import Synchronization

/// The side of a ``ProcessPool`` that does the work: this same program, started anew.
public enum WorkerProcess {
  /// What tells a process that it is a worker, and whose.
  static let variable = "MARTLET_POOL_WORKER"
  private static let presentAttempt = Atomic<Int>(0)

  /// Which try of its task a worker is at, from 1; 0 elsewhere.
  public static var attempt: Int { presentAttempt.load(ordering: .relaxed) }

  /// Whether a pool has started this process; what a worker starts itself is none.
  static var isAsked: Bool {
    Program.ownVariable(variable) == String(Processes.parent)
  }

  /// Serves the pool that has started this process and ends with it; returns at once in any other process.
  ///
  /// It stands at the beginning of the program, with all its tasks: before threads are started and arguments
  /// are looked at.
  public static func serveIfAsked(_ tasks: (any RegisteredTask)...) { serveIfAsked(tasks) }

  /// The same for a list of tasks.
  public static func serveIfAsked(_ tasks: [any RegisteredTask]) {
    guard isAsked else { return }
    let named = Dictionary(tasks.map { ($0.name, $0) }) { _, last in
      preconditionFailure("two tasks are called \(last.name)")
    }
    let socket = OpenFile(adopting: 3)
    do {
      try answer(PoolFrame(.hello), [], over: socket)
      var buffer = [UInt8](repeating: 0, count: PoolFrame.byteCount + 256 + PoolFrame.inlineLimit)
      while true {
        let message = try next(from: socket, into: &buffer)
        if message.byteCount == 0 { break }
        let file = message.descriptor.map(OpenFile.init(adopting:))
        try serve(buffer[..<message.byteCount], file, named, over: socket)
      }
    } catch {
      // The pool is gone, or its socket: nobody waits for an answer.
    }
    Processes.exit(0)
  }

  /// The next message, which is looked for a moment before it is waited for: often it follows at once.
  private static func next(
    from socket: OpenFile,
    into buffer: inout [UInt8]
  ) throws(SystemError) -> SocketMessage {
    let until = SystemClock.monotonicNanoseconds() + PoolKeeper.turnNanoseconds
    repeat {
      do throws(SystemError) {
        return try socket.descriptor.takeMessage(into: &buffer, waits: false)
      } catch {
        guard error.wouldBlock else { throw error }
      }
      Processes.yieldProcessor()
    } while SystemClock.monotonicNanoseconds() < until
    return try socket.descriptor.takeMessage(into: &buffer, waits: true)
  }

  private static func serve(
    _ bytes: ArraySlice<UInt8>,
    _ file: OpenFile?,
    _ tasks: [String: any RegisteredTask],
    over socket: OpenFile
  ) throws {
    guard let frame = PoolFrame(bytes), frame.kind == .run else { Processes.exit(1) }
    let name = String(
      decoding: bytes.dropFirst(PoolFrame.byteCount).prefix(Int(frame.nameCount)),
      as: UTF8.self
    )
    var reply = PoolFrame(.value)
    reply.sequence = frame.sequence
    var content: [UInt8] = []
    if let task = tasks[name] {
      presentAttempt.store(Int(frame.attempt), ordering: .relaxed)
      do {
        let input = try PoolMessage.content(of: frame, in: bytes, file)
        content = try task.perform(input, isChunk: frame.isChunk)
      } catch {
        reply.kind = .threw
        content = Array("\(error)".utf8.prefix(PoolFrame.inlineLimit))
      }
    } else {
      reply.kind = .unknown
      content = Array(name.utf8)
    }
    reply.peakBytes = UInt64(Processes.peakBytes)
    try answer(reply, content, over: socket)
  }

  private static func answer(
    _ frame: PoolFrame,
    _ content: [UInt8],
    over socket: OpenFile
  ) throws(SystemError) {
    let message = try PoolMessage(frame, content: content)
    while true {
      do throws(SystemError) {
        try socket.descriptor.sendMessage(message.bytes, descriptor: message.file?.number)
        return
      } catch {
        guard error.wouldBlock else { throw error }
      }
      var room = [AwaitedDescriptor(socket.number, awaitsRoom: true, awaitsInput: false)]
      try AwaitedDescriptor.wait(for: &room, milliseconds: -1)
    }
  }
}
