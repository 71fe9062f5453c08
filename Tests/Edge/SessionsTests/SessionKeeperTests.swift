import HTTPMessage
import MartletLoop
import MartletSystem
import Sessions
import Synchronization
import Testing

/// What a client has and what it is told.
private final class Client {
  let keeper: SessionKeeper
  var cookie: [UInt8]?
  var now: Int64 = 1_700_000_000
  private(set) var lastLine: String?

  init(_ keeper: SessionKeeper) { self.keeper = keeper }

  func open() async throws -> Session { try await keeper.open(cookie, at: now) }

  /// Keeps what was changed, and what the answer says of the cookie.
  func commit(_ session: Session, overTLS: Bool = false) async throws {
    let line = try await keeper.commit(session, overTLS: overTLS, at: now)
    lastLine = line.map { String(decoding: $0, as: UTF8.self) }
    guard let text = lastLine else { return }
    let value = text.dropFirst("Set-Cookie: session=".count).prefix { $0 != ";" }
    cookie = value.isEmpty ? nil : Array(value.utf8)
  }

  /// Why a change is not kept; on the loop, which a macro's closure would not be.
  func fault(_ body: (Session) -> Void) async -> SessionFault? {
    do { try await change(body) } catch { return error as? SessionFault }
    return nil
  }

  func change(_ body: (Session) -> Void) async throws {
    let session = try await open()
    body(session)
    try await commit(session)
  }
}

@Suite("Sessions")
struct SessionKeeperTests {
  /// Runs a test on a loop, with a store in memory.
  private func withClient(
    terms: SessionTerms = SessionTerms(),
    _ body: @escaping @Sendable (Client) async throws -> Void
  ) async throws {
    try await withKeeper(.memory(SessionMemory(byteLimit: 1 << 20)), terms: terms) {
      try await body(Client($0))
    }
  }

  private func withKeeper(
    _ store: SessionStore,
    terms: SessionTerms = SessionTerms(),
    _ body: @escaping @Sendable (SessionKeeper) async throws -> Void
  ) async throws {
    let loop = try EventLoop()
    try loop.startThread()
    let outcome = Mutex<Result<Void, any Error>>(.success(()))
    await loop.perform {
      do {
        try await body(SessionKeeper(terms, store, keys: ["a secret of sixteen"], on: loop))
      } catch {
        outcome.withLock { $0 = .failure(error) }
      }
    }
    loop.stop()
    try outcome.withLock { try $0.get() }
  }

  @Test("a client gets a cookie when something is to be remembered, and not before")
  func begins() async throws {
    try await withClient { client in
      try await client.change { _ in }
      #expect(client.lastLine == nil)
      try await client.change { $0["cart"] = "3" }
      let line = try #require(client.lastLine)
      #expect(line.hasSuffix("; Path=/; HttpOnly; SameSite=Lax\r\n"))
      let session = try await client.open()
      #expect(session["cart"] == "3")
      #expect(!session.isNew)
      try await client.change { _ in }
      #expect(client.lastLine == nil)
    }
  }

  @Test("over TLS the cookie is for TLS alone")
  func secure() async throws {
    try await withClient { client in
      let session = try await client.open()
      session["a"] = "b"
      try await client.commit(session, overTLS: true)
      #expect(client.lastLine?.contains("; Secure;") == true)
    }
  }

  @Test("whoever signs in gets another number, and the old one is good for nothing")
  func rotates() async throws {
    try await withClient { client in
      try await client.change { $0["cart"] = "3" }
      let old = client.cookie
      let name = try await client.open().name
      try await client.change { $0.signIn(as: "alice") }
      #expect(client.cookie != old)
      let session = try await client.open()
      #expect(session.user == "alice")
      #expect(session["cart"] == "3")
      #expect(session.name == name)
      client.cookie = old
      let stranger = try await client.open()
      #expect(stranger.isNew)
      #expect(stranger.user == "")
    }
  }

  @Test("an end takes the cookie back, and what is remembered is gone")
  func ends() async throws {
    try await withClient { client in
      try await client.change { $0.signIn(as: "alice") }
      let old = client.cookie
      try await client.change { $0.end() }
      #expect(client.lastLine?.hasPrefix("Set-Cookie: session=; Path=/; Max-Age=0;") == true)
      client.cookie = old
      #expect(try await client.open().isNew)
      // And a request that began before it does not bring it back.
      try await client.change { _ in }
      #expect(client.lastLine?.contains("Max-Age=0") == true)
    }
  }

  @Test("requests side by side do not undo each other's changes")
  func sideBySide() async throws {
    try await withClient { client in
      try await client.change { $0["a"] = "1" }
      let first = try await client.open()
      let second = try await client.open()
      first["b"] = "2"
      second["c"] = "3"
      second["a"] = nil
      try await client.commit(first)
      try await client.commit(second)
      #expect(try await client.open().values == ["b": "2", "c": "3"])
    }
  }

  @Test("a session ends when it is idle for as long as it may be, and not a second before")
  func idle() async throws {
    try await withClient { client in
      try await client.change { $0["a"] = "1" }
      client.now += 1799
      try await client.change { _ in }
      #expect(try await client.open()["a"] == "1")
      client.now += 1800
      #expect(try await client.open().isNew)
    }
  }

  @Test("a session ends at its age however much it is used")
  func absolute() async throws {
    var terms = SessionTerms()
    terms.absoluteSeconds = 5000
    try await withClient(terms: terms) { client in
      try await client.change { $0["a"] = "1" }
      for _ in 0..<4 {
        client.now += 1249
        try await client.change { $0.rotate() }
        #expect(try await client.open()["a"] == "1")
      }
      client.now += 4
      #expect(try await client.open().isNew)
    }
  }

  @Test("a cookie that was changed, or sealed with another secret, is nobody's")
  func forged() async throws {
    try await withClient { client in
      try await client.change { $0["a"] = "1" }
      let good = try #require(client.cookie)
      for index in good.indices {
        var bad = good
        bad[index] = bad[index] == 0x41 ? 0x42 : 0x41
        client.cookie = bad
        #expect(try await client.open().isNew, "byte \(index)")
      }
      client.cookie = Array(repeating: 0x41, count: 10_000)
      #expect(try await client.open().isNew)
    }
  }

  @Test("as much is remembered as may be, and not a byte more")
  func bounded() async throws {
    var terms = SessionTerms()
    terms.byteLimit = 10
    try await withClient(terms: terms) { client in
      try await client.change { $0["name"] = "123456" }
      #expect(await client.fault { $0["name"] = "1234567" } == .tooLarge)
      #expect(try await client.open()["name"] == "123456")
    }
  }

  @Test("a full memory forgets those first that were not used for longest")
  func evicts() async throws {
    let memory = SessionMemory(byteLimit: 40 * 1024)
    try await withKeeper(.memory(memory)) { keeper in
      let first = Client(keeper)
      try await first.change { $0["a"] = "1" }
      let forgotten = Client(keeper)
      try await forgotten.change { $0["a"] = "1" }
      for _ in 0..<1000 {
        try await Client(keeper).change { $0["a"] = "1" }
        #expect(try await first.open()["a"] == "1")
      }
      #expect(try await forgotten.open().isNew)
      #expect((100...300).contains(memory.count))
    }
  }

  @Test("what is kept in files is there for another process, up to as many as may be")
  func files() async throws {
    let path = "/tmp/martlet-sessions-\(UInt64.random(in: 0...UInt64.max))"
    defer {
      for name in Files.names(in: path) { try? Files.remove("\(path)/\(name)") }
      try? Files.removeDirectory(path)
    }
    let cookie = Mutex<[UInt8]?>(nil)
    try await withKeeper(.files(try SessionFiles(path: path, countLimit: 2))) { keeper in
      let client = Client(keeper)
      try await client.change { $0["a"] = "1" }
      let kept = client.cookie
      cookie.withLock { $0 = kept }
      try await Client(keeper).change { $0["a"] = "2" }
      #expect(await Client(keeper).fault { $0["a"] = "3" } != nil)
    }
    #expect(Files.names(in: path).count == 2)
    try await withKeeper(.files(try SessionFiles(path: path, countLimit: 3))) { keeper in
      let client = Client(keeper)
      client.cookie = cookie.withLock { $0 }
      #expect(try await client.open()["a"] == "1")
      try await client.change { $0.signIn(as: "bob") }
      #expect(try await client.open().user == "bob")
      try await client.change { $0.end() }
      try await Client(keeper).change { $0["a"] = "3" }
      client.now += 1800
      #expect(try await client.open().isNew)
    }
  }
}
