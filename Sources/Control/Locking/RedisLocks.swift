import MartletBytes
public import MartletLoop
import MartletNet
public import MartletSystem
import RESP

/// Locks in a Redis: a key for each, which ends with its lease, and a counter for its tokens, which stays.
///
/// Each step is one script, which Redis runs whole. A Redis that forgets what it has, or is replaced by one that never
/// knew it, forgets locks and tokens, too.
public final class RedisLocks: LockService {
  private static let patience = Timeout(.seconds(5))

  private let address: SocketAddress
  private let loop: EventLoop
  /// Whose the locks are.
  private let owner = String(UInt64.random(in: 0 ... .max), radix: 16)
  private var connection: MartletNet.Stream?

  /// Uses the Redis at an address.
  public init(at address: SocketAddress, on loop: EventLoop) {
    self.address = address
    self.loop = loop
  }

  /// Takes a lock if nobody has it.
  ///
  /// - Throws: ``LockFault``.
  public func tryTake(_ name: String, lease: Duration) async throws(LockFault) -> UInt64? {
    let script =
      "if redis.call('exists', KEYS[1]) == 1 then return 0 end "
      + "local t = redis.call('incr', KEYS[2]) "
      + "redis.call('set', KEYS[1], ARGV[1] .. t, 'PX', ARGV[2]) return t"
    let token = try await run(script, name, [owner + "-", Self.milliseconds(lease)])
    return token > 0 ? UInt64(token) : nil
  }

  /// Says that it is still wanted.
  ///
  /// - Throws: ``LockFault``.
  public func renew(
    _ name: String,
    token: UInt64,
    lease: Duration
  ) async throws(LockFault) -> Bool {
    let script =
      "if redis.call('get', KEYS[1]) == ARGV[1] then "
      + "return redis.call('pexpire', KEYS[1], ARGV[2]) end return 0"
    return try await run(script, name, ["\(owner)-\(token)", Self.milliseconds(lease)]) == 1
  }

  /// Gives it back.
  ///
  /// - Throws: ``LockFault``.
  public func release(_ name: String, token: UInt64) async throws(LockFault) {
    let script =
      "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"
    _ = try await run(script, name, ["\(owner)-\(token)"])
  }

  private static func milliseconds(_ lease: Duration) -> String {
    String(Int(lease / .milliseconds(1)))
  }

  /// Runs a script about a lock, whose answer is a number.
  private func run(
    _ script: String,
    _ name: String,
    _ arguments: [String]
  ) async throws(LockFault) -> Int {
    // One slot of a cluster holds both keys.
    let keys = ["martlet-lock:{\(name)}", "martlet-lock-token:{\(name)}"]
    let words = ["EVAL", script, "2"] + keys + arguments
    let reply: RedisReply
    do {
      reply = try await answer(to: RedisReply.command(words.map { Array($0.utf8) }))
    } catch {
      connection = nil
      throw LockFault("Redis at \(address): \(error)")
    }
    switch reply {
    case .number(let number): return Int(number)
    case .error(let text): throw LockFault("Redis at \(address) answers \(text)")
    case .status, .bytes: throw LockFault("Redis at \(address) answers no number")
    }
  }

  private func answer(to request: [UInt8]) async throws -> RedisReply {
    let deadline = loop.deadline(after: Self.patience)
    let stream: MartletNet.Stream
    if let connection {
      stream = connection
    } else {
      stream = try await MartletNet.Stream.connect(to: address, on: loop, by: deadline)
    }
    connection = stream
    try await stream.write(request, by: deadline)
    var bytes: [UInt8] = []
    while true {
      let part = try await stream.read(.head, by: deadline)
      guard !part.isEmpty else { throw LockFault("the answer breaks off") }
      bytes += [UInt8](copying: part.bytes)
      guard let (reply, count) = try RedisReply.read(bytes.span) else { continue }
      guard count == bytes.count else { throw LockFault("it says more than it was asked") }
      return reply
    }
  }
}
