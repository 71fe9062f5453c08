public import MartletLoop
public import MartletSystem

/// Values of one type between processes, over whatever carries messages.
///
/// Both sides know the type; see ``Packing``.
public struct ProcessChannel<Message: Codable & Sendable>: Sendable {
  /// What carries the messages.
  public let carrier: any MessageCarrier

  /// Creates a channel.
  public init(over carrier: any MessageCarrier) { self.carrier = carrier }

  /// Sends a value, and blocks the calling thread until there is room, at most for `limit`.
  ///
  /// - Throws: ``ChannelFailure``, and what packing throws.
  @available(*, noasync, message: "this blocks the thread: put the channel on a loop")
  public func send(_ message: Message, within limit: Duration? = nil) throws {
    try carrier.send(try Packing.pack(message), until: Self.moment(limit))
  }

  /// The next value, for which the calling thread is blocked, at most for `limit`; nil when none comes any more.
  ///
  /// - Throws: ``ChannelFailure``, and what unpacking throws.
  @available(*, noasync, message: "this blocks the thread: put the channel on a loop")
  public func receive(within limit: Duration? = nil) throws -> Message? {
    let bytes: [UInt8]
    do {
      bytes = try carrier.receive(until: Self.moment(limit))
    } catch {
      guard error == .closed else { throw error }
      return nil
    }
    return try Packing.unpack(from: bytes)
  }

  private static func moment(_ limit: Duration?) -> Int64? {
    limit.map { SystemClock.monotonicNanoseconds() + Int64($0 / .nanoseconds(1)) }
  }
}

/// A channel on a loop: coroutines wait for it, one to send and one to receive at a time.
public final class LoopChannel<Message: Codable & Sendable> {
  private let channel: ProcessChannel<Message>
  private let loop: EventLoop
  private let watched: Set<Int32>

  /// Puts a channel on a loop.
  ///
  /// - Throws: ``SystemError`` when the loop cannot wait for it.
  public init(_ channel: ProcessChannel<Message>, on loop: EventLoop) throws(SystemError) {
    let numbers = [true, false].compactMap { channel.carrier.descriptor(toSend: $0) }
    precondition(!numbers.isEmpty, "no loop can wait for a ring: give it a thread")
    for number in Set(numbers) { try loop.watch(number, assumesReady: true) }
    self.channel = channel
    self.loop = loop
    watched = Set(numbers)
  }

  deinit { for number in watched { loop.forget(number, staysOpen: true) } }

  /// Sends a value as soon as there is room.
  ///
  /// - Throws: ``ChannelFailure``, and what packing throws.
  public func send(_ message: Message, by deadline: Deadline = .never) async throws {
    let bytes = try Packing.pack(message)
    while try !channel.carrier.trySend(bytes) {
      guard let number = channel.carrier.descriptor(toSend: true) else {
        throw ChannelFailure.closed
      }
      do throws(WaitError) {
        try await loop.writable(number, by: deadline)
      } catch {
        throw error == .timedOut ? ChannelFailure.timedOut : .cancelled
      }
    }
  }

  /// The next value; nil when none comes any more.
  ///
  /// - Throws: ``ChannelFailure``, and what unpacking throws.
  public func receive(by deadline: Deadline = .never) async throws -> Message? {
    while true {
      let bytes: [UInt8]?
      do throws(ChannelFailure) {
        bytes = try channel.carrier.tryReceive()
      } catch {
        guard error == .closed else { throw error }
        return nil
      }
      if let bytes { return try Packing.unpack(from: bytes) }
      guard let number = channel.carrier.descriptor(toSend: false) else { return nil }
      do throws(WaitError) {
        loop.clearReadable(number)
        try await loop.readable(number, by: deadline)
      } catch {
        throw error == .timedOut ? ChannelFailure.timedOut : .cancelled
      }
    }
  }

  /// Ends the present waits.
  public func cancel() { for number in watched { loop.cancelWaits(of: number) } }
}
