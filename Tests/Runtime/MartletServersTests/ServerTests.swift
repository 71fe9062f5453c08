import MartletBytes
import MartletLoop
import MartletNet
import MartletProcess
import MartletServers
import MartletSync
import MartletSystem
import Testing

private struct Echo: ConnectionHandler {
  nonisolated(nonsending) func serve(_ connection: Connection) async throws {
    while true {
      let bytes = try await connection.read()
      if bytes.isEmpty { return }
      try await connection.write(bytes)
    }
  }
}

/// What happens on a loop of its own, and what comes of it.
private func onLoop<Value: Sendable>(
  _ body: @escaping @Sendable (EventLoop) async throws -> Value
) async throws -> Value {
  let loop = try EventLoop()
  let (outcome, ended) = (Locked<Result<Value, any Error>?>(nil), Latch(1))
  // Not on the thread of the test, of which there are few.
  try Thread.start {
    loop.run(until: {
      do {
        let value = try await body(loop)
        outcome.withLock { $0 = .success(value) }
      } catch {
        outcome.withLock { $0 = .failure(error) }
      }
    })
    ended.countDown()
  }
  try await ended.wait()
  guard let result = outcome.withLock({ $0 }) else { throw WaitError.cancelled }
  return try result.get()
}

/// What comes back of a text.
private func echoed(_ text: String, at address: SocketAddress) async throws -> String {
  try await onLoop { loop in
    let connection = try await Connection.open(to: address, on: loop)
    try await connection.write(text)
    connection.end()
    return String(decoding: try await connection.readAll(), as: UTF8.self)
  }
}

@Suite("Servers", .timeLimit(.minutes(5)))
struct ServerTests {
  static let models: [ServerModel] = [
    .events, .events(loops: 3), .threadPerConnection, .threadPool(threads: 2),
  ]

  @Test("have the same handler served in each model, over TCP and Unix sockets", arguments: models)
  func echo(model: ServerModel) async throws {
    let servers: [StreamServer] = [
      try TCPServer(port: 0, model: model, handler: Echo()),
      try UnixServer(
        path: "@martlet-test-\(Processes.own)-\(UInt32.random(in: 0 ... .max))",
        model: model,
        handler: Echo()
      ),
    ]
    for server in servers {
      try server.start()
      for number in 0..<20 {
        let text = String(repeating: "text \(number) ", count: 10_000)
        let isSame = try await echoed(text, at: server.address) == text
        #expect(isSame)
      }
      server.stop()
      await server.join()
    }
  }

  @Test("serve no more at a time than they may, and end when all is done", arguments: models)
  func limits(model: ServerModel) async throws {
    let (present, most, done) = (Locked(0), Locked(0), Locked(0))
    let server = try TCPServer(port: 0, model: model, limit: 2) { connection in
      let count = present.withLock { count in
        count += 1
        return count
      }
      most.withLock { $0 = max($0, count) }
      _ = try await connection.readAll()
      try await connection.write("done")
      present.withLock { $0 -= 1 }
      done.withLock { $0 += 1 }
    }
    try server.start()
    let answers = try await onLoop { loop in
      var connections: [Connection] = []
      for _ in 0..<6 { connections.append(try await .open(to: server.address, on: loop)) }
      for connection in connections { connection.end() }
      var answers: [String] = []
      for connection in connections {
        answers.append(String(decoding: try await connection.readAll(), as: UTF8.self))
      }
      return answers
    }
    #expect(answers == Array(repeating: "done", count: 6))
    server.stop()
    await server.join()
    #expect(most.withLock { $0 } <= 2)
    #expect(done.withLock { $0 } == 6 && present.withLock { $0 } == 0)
  }

  @Test("tell what a handler throws, and go on", arguments: models)
  func failures(model: ServerModel) async throws {
    let told = Locked<[String]>([])
    let note = { @Sendable (_: SocketAddress, error: any Error) in
      told.withLock { $0.append("\(error)") }
    }
    let server = try TCPServer(port: 0, model: model, telling: note) { connection in
      _ = try await connection.line(limit: 3)
      try await connection.write("short\n")
    }
    try server.start()
    #expect(try await echoed("abc\n", at: server.address) == "short\n")
    // Whether the end or a reset is seen depends on how much was read.
    _ = try? await echoed("abcd\n", at: server.address)
    #expect(try await echoed("ab\n", at: server.address) == "short\n")
    server.stop()
    await server.join()
    #expect(told.withLock { $0 } == ["tooLong(limit: 3)"])
  }

  @Test("answer datagrams", arguments: models)
  func datagrams(model: ServerModel) async throws {
    let server = try UDPServer(port: 0, model: model, handler: Echo())
    try server.start()
    let answers = try await onLoop { loop in
      let socket = try Datagram.bind(.ipv4(0x7F00_0001, port: 0), on: loop)
      var answers: [[UInt8]] = []
      for number in 0..<10 {
        let bytes = [UInt8](repeating: UInt8(number), count: 1 + number * 100)
        try await socket.send(bytes, to: server.address, by: .never)
        let answer = try await socket.receive(by: loop.deadline(after: Timeout(.seconds(20))))
        var received: [UInt8] = []
        received.append(copying: answer.buffer.bytes)
        answers.append(received)
      }
      return answers
    }
    #expect(
      answers.enumerated().allSatisfy { $1 == [UInt8](repeating: UInt8($0), count: 1 + $0 * 100) }
    )
    server.stop()
    await server.join()
  }

  @Test("do not bind what is no address of theirs")
  func refuses() throws {
    #expect(throws: SystemError.self) { try TCPServer(host: "192.0.2.1", port: 0, handler: Echo()) }
    #expect(throws: SystemError.self) { try TCPServer(host: "name", port: 0, handler: Echo()) }
    let server = try TCPServer(port: 0, handler: Echo())
    guard let port = server.address.port else { return }
    #expect(throws: SystemError.self) { try TCPServer(port: port, handler: Echo()) }
  }
}
