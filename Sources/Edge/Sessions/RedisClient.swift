import MartletBytes
import MartletLoop
import MartletNet
public import MartletSystem
import RESP

/// Where a server of Redis is, and what it wants to be told first.
public struct RedisPlace: Hashable, Sendable {
  /// Its address.
  public var address: SocketAddress
  /// The password; nil: it wants none.
  public var password: String?
  /// Which of its databases.
  public var database = 0
  /// What stands before each key.
  public var prefix = "martlet:session:"
  /// How long an answer may take.
  public var time = Duration.seconds(1)

  /// A server that wants to be told nothing.
  public init(_ address: SocketAddress) { self.address = address }
}

/// The connections of one loop to a server of Redis: one command at a time on each.
final class RedisClient {
  private let place: RedisPlace
  private let loop: EventLoop
  private var idle: [Stream] = []
  private var openCount = 0

  private static let connectionLimit = 64
  private static let idleLimit = 8

  init(_ place: RedisPlace, on loop: EventLoop) { (self.place, self.loop) = (place, loop) }

  func load(_ number: SessionNumber) async throws(SessionFault) -> [UInt8]? {
    guard case .bytes(let bytes) = try await call([Array("GET".utf8), key(number)]) else {
      throw .store("Redis: an answer of another kind")
    }
    return bytes
  }

  func save(_ bytes: [UInt8], as number: SessionNumber, seconds: Int64) async throws(SessionFault) {
    let words = [Array("SET".utf8), key(number), bytes, Array("EX".utf8), Array("\(seconds)".utf8)]
    _ = try await call(words)
  }

  func remove(_ number: SessionNumber) async throws(SessionFault) {
    _ = try await call([Array("DEL".utf8), key(number)])
  }

  private func key(_ number: SessionNumber) -> [UInt8] { Array((place.prefix + number.text).utf8) }

  private func call(_ words: [[UInt8]]) async throws(SessionFault) -> RedisReply {
    let deadline = loop.deadline(after: Timeout(place.time))
    let command = RedisReply.command(words)
    // A connection that has waited may be closed by now: what is asked may be asked twice.
    while let stream = idle.popLast() {
      if stream.isClosed || stream.hasEventNow() {
        openCount -= 1
        continue
      }
      do throws(SessionFault) {
        return try await ask(command, over: stream, by: deadline)
      } catch {
        guard case .store(let reason) = error, reason == Self.closed else { throw error }
      }
    }
    guard openCount < Self.connectionLimit else {
      throw .store("Redis: \(openCount) commands are under way")
    }
    openCount += 1
    let stream: Stream
    do throws(StreamError) {
      stream = try await Stream.connect(to: place.address, on: loop, by: deadline)
    } catch {
      openCount -= 1
      throw .store("Redis at \(place.address): \(error)")
    }
    try await greet(stream, by: deadline)
    return try await ask(command, over: stream, by: deadline)
  }

  /// Says what the server wants to be told first.
  private func greet(_ stream: Stream, by deadline: Deadline) async throws(SessionFault) {
    var words: [[[UInt8]]] = []
    if let password = place.password { words.append([Array("AUTH".utf8), Array(password.utf8)]) }
    if place.database != 0 {
      words.append([Array("SELECT".utf8), Array("\(place.database)".utf8)])
    }
    for command in words {
      _ = try await exchange(RedisReply.command(command), over: stream, by: deadline)
    }
  }

  private func ask(
    _ command: [UInt8],
    over stream: Stream,
    by deadline: Deadline
  ) async throws(SessionFault) -> RedisReply {
    let reply = try await exchange(command, over: stream, by: deadline)
    if idle.count < Self.idleLimit { idle.append(stream) } else { openCount -= 1 }
    return reply
  }

  private static let closed = "Redis: the connection was closed"

  /// Sends a command and reads the answer; when it throws, the connection is not used again.
  private func exchange(
    _ command: [UInt8],
    over stream: Stream,
    by deadline: Deadline
  ) async throws(SessionFault) -> RedisReply {
    do throws(SessionFault) {
      let reply = try await answer(to: command, over: stream, by: deadline)
      if case .error(let text) = reply { throw .store("Redis: \(text)") }
      return reply
    } catch {
      openCount -= 1
      throw error
    }
  }

  private func answer(
    to command: [UInt8],
    over stream: Stream,
    by deadline: Deadline
  ) async throws(SessionFault) -> RedisReply {
    do throws(StreamError) {
      try await stream.write(command, by: deadline)
      var bytes: [UInt8] = []
      while true {
        let part = try await stream.read(.head, by: deadline)
        guard !part.isEmpty else { throw StreamError.cancelled }
        bytes.append(copying: part.bytes)
        do throws(RedisReply.Fault) {
          guard let (reply, count) = try RedisReply.read(bytes.span) else { continue }
          guard count == bytes.count else { throw RedisReply.Fault.malformed }
          return reply
        } catch {
          throw StreamError.failed(SystemError(.read, Self.protocolError))
        }
      }
    } catch {
      switch error {
      case .timedOut: throw .store("Redis at \(place.address) does not answer in time")
      case .cancelled: throw .store(Self.closed)
      case .failed(let error):
        let isClosed = error.code == 104 || error.code == 32
        throw .store(isClosed ? Self.closed : "Redis at \(place.address): \(error)")
      }
    }
  }

  // EPROTO
  private static let protocolError: Int32 = 71
}
