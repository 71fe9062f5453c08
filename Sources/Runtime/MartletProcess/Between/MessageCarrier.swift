public import MartletSystem
import Synchronization

/// Why a message did not go or come.
public enum ChannelFailure: Error, Hashable, Sendable {
  /// The other side is gone, or has closed.
  case closed
  /// The limit of the wait came first.
  case timedOut
  /// The wait was cancelled.
  case cancelled
  /// The message is longer than what carries it takes.
  case tooLong
  /// What came is not in form.
  case notInForm
  /// The kernel refused.
  case failed(SystemError)
}

/// What carries messages, whole and in their order, between processes.
public protocol MessageCarrier: Sendable {
  /// The longest message, in bytes.
  var messageLimit: Int { get }

  /// Sends a message if there is room for it.
  ///
  /// - Returns: false when there is not. A message may have been begun: the next one that is sent is the same.
  /// - Throws: ``ChannelFailure``.
  func trySend(_ message: [UInt8]) throws(ChannelFailure) -> Bool

  /// Takes the next message; nil when there is none yet.
  ///
  /// - Throws: ``ChannelFailure/closed`` behind the last one.
  func tryReceive() throws(ChannelFailure) -> [UInt8]?

  /// Sends a message, and blocks the calling thread until there is room, or until a moment of
  /// ``SystemClock/monotonicNanoseconds()``.
  ///
  /// - Throws: ``ChannelFailure``.
  func send(_ message: [UInt8], until nanoseconds: Int64?) throws(ChannelFailure)

  /// Takes the next message, for which the calling thread is blocked, at most until a moment of
  /// ``SystemClock/monotonicNanoseconds()``.
  ///
  /// - Throws: ``ChannelFailure``.
  func receive(until nanoseconds: Int64?) throws(ChannelFailure) -> [UInt8]

  /// What a loop waits for to send, or to receive; nil: it cannot.
  func descriptor(toSend: Bool) -> Int32?
}

extension MessageCarrier {
  /// Sends a message, by waiting for the descriptor.
  ///
  /// - Throws: ``ChannelFailure``.
  public func send(_ message: [UInt8], until nanoseconds: Int64?) throws(ChannelFailure) {
    while try !trySend(message) { try wait(toSend: true, until: nanoseconds) }
  }

  /// Takes the next message, by waiting for the descriptor.
  ///
  /// - Throws: ``ChannelFailure``.
  public func receive(until nanoseconds: Int64?) throws(ChannelFailure) -> [UInt8] {
    while true {
      if let message = try tryReceive() { return message }
      try wait(toSend: false, until: nanoseconds)
    }
  }

  private func wait(toSend: Bool, until nanoseconds: Int64?) throws(ChannelFailure) {
    guard let number = descriptor(toSend: toSend) else { throw .closed }
    let rest = nanoseconds.map { $0 - SystemClock.monotonicNanoseconds() }
    if let rest, rest <= 0 { throw .timedOut }
    var awaited = [AwaitedDescriptor(number, awaitsRoom: toSend, awaitsInput: !toSend)]
    do throws(SystemError) {
      let milliseconds = rest.map { Int32(clamping: $0 / 1_000_000 + 1) } ?? -1
      try AwaitedDescriptor.wait(for: &awaited, milliseconds: milliseconds)
    } catch {
      throw .failed(error)
    }
  }
}

/// Messages through pipes, with or without a name, or through stream sockets: each behind its length.
///
/// One process writes: messages of several would be mixed.
public final class PipeCarrier: MessageCarrier {
  private struct Reading {
    var bytes: [UInt8] = []
    var isOver = false
  }

  private let source: OpenFile?
  private let target: OpenFile?
  private let reading = Mutex(Reading())
  /// How much of a message was sent, with its length.
  private let sentCount = Mutex(0)

  /// The longest message, in bytes.
  public let messageLimit: Int

  /// Takes over the ends that are read and written; either may be left out, or both be one socket.
  ///
  /// - Throws: ``SystemError`` when they are not open.
  public init(
    reading source: OpenFile?,
    writing target: OpenFile?,
    messageLimit: Int = 1 << 20
  ) throws(SystemError) {
    try source?.descriptor.setNonblocking()
    try target?.descriptor.setNonblocking()
    self.source = source
    self.target = target
    self.messageLimit = messageLimit
  }

  /// What a loop waits for.
  public func descriptor(toSend: Bool) -> Int32? { toSend ? target?.number : source?.number }

  /// Sends a message if there is room for it.
  ///
  /// - Throws: ``ChannelFailure``.
  public func trySend(_ message: [UInt8]) throws(ChannelFailure) -> Bool {
    guard let target else { throw .closed }
    guard message.count <= messageLimit else { throw .tooLong }
    let length = UInt32(message.count)
    let whole = (0..<4).map { UInt8(truncatingIfNeeded: length >> UInt32(8 * $0)) } + message
    return try sentCount.withLock { (sent) throws(ChannelFailure) in
      do throws(SystemError) {
        while sent < whole.count {
          sent += try target.descriptor.write(whole.span.extracting(sent...))
        }
      } catch {
        if error.wouldBlock { return false }
        throw error.code == 32 || error.code == 104 ? .closed : .failed(error)
      }
      sent = 0
      return true
    }
  }

  /// Takes the next message.
  ///
  /// - Throws: ``ChannelFailure``.
  public func tryReceive() throws(ChannelFailure) -> [UInt8]? {
    guard let source else { throw .closed }
    return try reading.withLock { (reading) throws(ChannelFailure) in
      while true {
        if reading.bytes.count >= 4 {
          let length = reading.bytes[..<4].reversed().reduce(0) { $0 << 8 | Int($1) }
          guard length <= messageLimit else { throw .tooLong }
          if reading.bytes.count >= 4 + length {
            let message = Array(reading.bytes[4..<4 + length])
            reading.bytes.removeFirst(4 + length)
            return message
          }
        }
        if reading.isOver { throw reading.bytes.isEmpty ? .closed : .notInForm }
        do throws(SystemError) {
          let part = try source.descriptor.read(upTo: 64 << 10)
          if part.isEmpty { reading.isOver = true } else { reading.bytes += part }
        } catch {
          if error.wouldBlock { return nil }
          guard error.code == 104 else { throw .failed(error) }
          reading.isOver = true
        }
      }
    }
  }
}

/// Messages through a Unix socket that keeps them whole, see ``MartletSystem/OpenFile/messagePair()``.
public final class SocketCarrier: MessageCarrier {
  private let socket: OpenFile
  private let buffer: Mutex<[UInt8]>

  /// The longest message, in bytes.
  public let messageLimit: Int

  /// Takes over a socket.
  public init(_ socket: OpenFile, messageLimit: Int = 64 << 10) {
    self.socket = socket
    self.messageLimit = messageLimit
    buffer = Mutex([UInt8](repeating: 0, count: messageLimit + 1))
  }

  /// What a loop waits for.
  public func descriptor(toSend: Bool) -> Int32? { socket.number }

  /// Sends a message if there is room for it.
  ///
  /// - Throws: ``ChannelFailure``.
  public func trySend(_ message: [UInt8]) throws(ChannelFailure) -> Bool {
    // One of no bytes would be taken for the end.
    guard 1...messageLimit ~= message.count else { throw .tooLong }
    do throws(SystemError) {
      try socket.descriptor.sendMessage(message)
      return true
    } catch {
      if error.wouldBlock { return false }
      throw error.code == 32 || error.code == 104 ? .closed : .failed(error)
    }
  }

  /// Takes the next message.
  ///
  /// - Throws: ``ChannelFailure``.
  public func tryReceive() throws(ChannelFailure) -> [UInt8]? {
    try buffer.withLock { (buffer) throws(ChannelFailure) in
      do throws(SystemError) {
        let message = try socket.descriptor.takeMessage(into: &buffer, waits: false)
        if let descriptor = message.descriptor { _ = OpenFile(adopting: descriptor) }
        guard message.byteCount > 0 else { throw SystemError(.recvmsg, 104) }
        return Array(buffer[..<message.byteCount])
      } catch {
        if error.wouldBlock { return nil }
        throw error.code == 104 ? .closed : .failed(error)
      }
    }
  }
}

/// Messages through a queue of the kernel, which outlives both sides: nothing tells that the other one is gone.
public struct QueueCarrier: MessageCarrier {
  private let queue: MessageQueue

  /// Uses a queue.
  public init(_ queue: MessageQueue) { self.queue = queue }

  /// The longest message, in bytes.
  public var messageLimit: Int { queue.shape.messageBytes }

  /// What a loop waits for.
  public func descriptor(toSend: Bool) -> Int32? { queue.descriptor.number }

  /// Sends a message if there is room for it.
  ///
  /// - Throws: ``ChannelFailure``.
  public func trySend(_ message: [UInt8]) throws(ChannelFailure) -> Bool {
    guard message.count <= messageLimit else { throw .tooLong }
    do throws(SystemError) { return try queue.trySend(message) } catch { throw .failed(error) }
  }

  /// Takes the next message.
  ///
  /// - Throws: ``ChannelFailure``.
  public func tryReceive() throws(ChannelFailure) -> [UInt8]? {
    do throws(SystemError) { return try queue.tryReceive()?.message } catch { throw .failed(error) }
  }
}

/// Messages through a ring in shared memory; threads wait for it, and no loop.
public struct RingCarrier: MessageCarrier {
  private let ring: SharedRing

  /// Uses a ring.
  public init(_ ring: SharedRing) { self.ring = ring }

  /// The longest message, in bytes.
  public var messageLimit: Int { ring.messageLimit }

  /// There is none.
  public func descriptor(toSend: Bool) -> Int32? { nil }

  /// Sends a message if there is room for it.
  ///
  /// - Throws: ``ChannelFailure``.
  public func trySend(_ message: [UInt8]) throws(ChannelFailure) -> Bool {
    guard message.count <= messageLimit else { throw .tooLong }
    switch ring.put(message, until: 0) {
    case .done: return true
    case .full: return false
    case .closed: throw .closed
    }
  }

  /// Takes the next message.
  ///
  /// - Throws: ``ChannelFailure``.
  public func tryReceive() throws(ChannelFailure) -> [UInt8]? {
    switch ring.take(until: 0) {
    case .message(let message): return message
    case .empty: return nil
    case .closed: throw .closed
    }
  }

  /// Sends a message, and blocks the calling thread until there is room.
  ///
  /// - Throws: ``ChannelFailure``.
  public func send(_ message: [UInt8], until nanoseconds: Int64?) throws(ChannelFailure) {
    guard message.count <= messageLimit else { throw .tooLong }
    switch ring.put(message, until: nanoseconds) {
    case .done: return
    case .full: throw .timedOut
    case .closed: throw .closed
    }
  }

  /// Takes the next message, for which the calling thread is blocked.
  ///
  /// - Throws: ``ChannelFailure``.
  public func receive(until nanoseconds: Int64?) throws(ChannelFailure) -> [UInt8] {
    switch ring.take(until: nanoseconds) {
    case .message(let message): return message
    case .empty: throw .timedOut
    case .closed: throw .closed
    }
  }
}
