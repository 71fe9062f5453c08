import Foundation
import Locking
import MartletLoop
import MartletSystem
import TestPeers
import Testing

/// A loop with two users of the same locks.
private actor Users {
  nonisolated let loop: EventLoop
  nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

  init() throws {
    loop = try EventLoop()
    try loop.startThread()
  }

  deinit { loop.stop() }

  enum Kind: Sendable {
    case files(String)
    case redis(UInt16)
    case etcd(UInt16)
  }

  private func service(_ kind: Kind) -> any LockService {
    switch kind {
    case .files(let folder): FileLocks(in: folder)
    case .redis(let port): RedisLocks(at: .ipv4(0x7F00_0001, port: port), on: loop)
    case .etcd(let port): EtcdLocks(at: .ipv4(0x7F00_0001, port: port), on: loop)
    }
  }

  /// Takes a lock in turns, and tells the tokens.
  func turns(_ kind: Kind, name: String) async throws -> [UInt64] {
    let (first, second) = (service(kind), service(kind))
    var tokens: [UInt64] = []
    for round in 0..<4 {
      let (mine, other) = round % 2 == 0 ? (first, second) : (second, first)
      let token = try #require(try await mine.tryTake(name, lease: .seconds(20)))
      tokens.append(token)
      #expect(try await other.tryTake(name, lease: .seconds(20)) == nil)
      #expect(try await mine.renew(name, token: token, lease: .seconds(20)))
      #expect(try await !other.renew(name, token: token, lease: .seconds(20)))
      // One that has not got it takes it from nobody.
      try await other.release(name, token: token)
      #expect(try await other.tryTake(name, lease: .seconds(20)) == nil)
      try await mine.release(name, token: token)
    }
    return tokens
  }

  /// Takes a lock, does not renew it, and waits until another one gets it.
  func expiry(_ kind: Kind, name: String) async throws -> [UInt64] {
    let (first, second) = (service(kind), service(kind))
    let stale = try #require(try await first.tryTake(name, lease: .seconds(1)))
    let lock = try await DistributedLock.take(
      name,
      from: second,
      lease: .seconds(1),
      within: .seconds(30),
      on: loop
    )
    let taken = try #require(lock)
    #expect(try await !first.renew(name, token: stale, lease: .seconds(1)))
    // It is renewed: longer than its lease another one does not get it.
    #expect(
      try await DistributedLock.take(
        name,
        from: first,
        lease: .seconds(1),
        within: .seconds(3),
        on: loop
      ) == nil
    )
    #expect(taken.isHeld)
    try await taken.release()
    #expect(!taken.isHeld)
    let again = try #require(try await first.tryTake(name, lease: .seconds(1)))
    try await first.release(name, token: again)
    return [stale, taken.token, again]
  }

  /// Has a lock taken away, and waits until its holder knows.
  func loss(_ kind: Kind, _ takeAway: @Sendable () throws -> Void) async throws {
    let lock = try #require(
      try await DistributedLock.take("lost", from: service(kind), lease: .seconds(2), on: loop)
    )
    try takeAway()
    await lock.untilLost()
    #expect(!lock.isHeld)
  }
}

@Suite("Locks among machines", .timeLimit(.minutes(5)))
struct LockingTests {
  /// Runs a coroutine for a body that has a thread of its own.
  private func wait(_ body: @escaping @Sendable () async throws -> Void) throws {
    let outcome = Guarded<(any Error)?>(nil)
    let done = DispatchSemaphore(value: 0)
    Task {
      do { try await body() } catch { outcome.withLock { $0 = error } }
      done.signal()
    }
    done.wait()
    if let error = outcome.withLock({ $0 }) { throw error }
  }

  private func check(_ kind: Users.Kind, expires: Bool = true) async throws {
    let users = try Users()
    var tokens = try await users.turns(kind, name: "turns")
    #expect(tokens == tokens.sorted() && Set(tokens).count == tokens.count)
    guard expires else { return }
    tokens = try await users.expiry(kind, name: "expiry")
    #expect(tokens == tokens.sorted() && Set(tokens).count == tokens.count)
  }

  @Test("in a folder, one at a time has it, and tokens grow")
  func files() async throws {
    try await Rig.run { rig in
      let folder = rig.path("")
      try wait {
        try await check(.files(folder), expires: false)
        await #expect(throws: LockFault.self) {
          try await FileLocks(in: folder).tryTake("../up", lease: .seconds(1))
        }
        await #expect(throws: LockFault.self) {
          try await FileLocks(in: "/nowhere").tryTake("a", lease: .seconds(1))
        }
      }
    }
  }

  private func port(_ endpoint: Endpoint) throws -> UInt16 {
    guard case .port(let port) = endpoint else { throw PeerError("not a port") }
    return UInt16(port)
  }

  @Test("in a Redis, one at a time has it until its lease ends, and tokens grow")
  func redis() async throws {
    try await Rig.run { rig in
      let endpoint = try rig.freePort()
      let number = try port(endpoint)
      let server = try rig.start(
        ["redis-server", "--port", "\(number)", "--bind", "127.0.0.1", "--save", ""],
        at: endpoint
      )
      try wait {
        try await check(.redis(number))
        try await Users().loss(.redis(number)) { server.end() }
        await #expect(throws: LockFault.self) { try await check(.redis(number)) }
      }
    }
  }

  @Test("in an etcd, one at a time has it until its lease ends, and tokens grow")
  func etcd() async throws {
    try await Rig.run { rig in
      let (client, peer) = (try rig.freePort(), try rig.freePort())
      let (number, other) = (try port(client), try port(peer))
      let server = try rig.start(
        [
          "etcd", "--data-dir", rig.path("etcd"), "--log-level", "error",
          "--listen-client-urls", "http://127.0.0.1:\(number)",
          "--advertise-client-urls", "http://127.0.0.1:\(number)",
          "--listen-peer-urls", "http://127.0.0.1:\(other)",
          "--initial-advertise-peer-urls", "http://127.0.0.1:\(other)",
          "--initial-cluster", "default=http://127.0.0.1:\(other)",
        ],
        at: client
      )
      try wait {
        try await check(.etcd(number))
        try await Users().loss(.etcd(number)) { server.end() }
        await #expect(throws: LockFault.self) { try await check(.etcd(number)) }
      }
    }
  }
}
