import Admin
import MartletLoop
import MartletNet
import MartletSystem
import Testing

/// A server of one page, and a client of it, on one loop.
actor AdminPair {
  nonisolated let loop: EventLoop
  nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

  init() throws {
    loop = try EventLoop(descriptorLimit: 65_536, mode: .parking)
    try loop.startThread()
  }

  deinit { loop.stop() }

  /// What the server answers to these bytes.
  func answer(to request: [UInt8]) async throws -> String {
    let soon = loop.deadline(after: Timeout(.seconds(30)))
    let socket = OpenFile(try Listener.bind(.ipv4(0x7F00_0001, port: 0)))
    let server = try AdminServer(socket, on: loop) { path in
      path == "/metrics" ? AdminPage(.metrics, Array("up 1\n".utf8)) : nil
    }
    let client = try await Stream.connect(
      to: try socket.descriptor.localAddress(),
      on: loop,
      by: soon
    )
    try await client.write(request, by: soon)
    var bytes: [UInt8] = []
    while true {
      let part = try await client.read(.head, by: soon)
      if part.isEmpty { break }
      for index in 0..<part.count { bytes.append(part.bytes[index]) }
    }
    server.close()
    return String(decoding: bytes, as: UTF8.self)
  }
}

@Suite("Admin server", .timeLimit(.minutes(5)))
struct AdminServerTests {
  @Test("answers with the page of the path")
  func page() async throws {
    let request = "GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n"
    let answer = try await AdminPair().answer(to: Array(request.utf8))
    #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
    #expect(answer.contains("\r\nContent-Length: 5\r\n") && answer.hasSuffix("\r\n\r\nup 1\n"))
  }

  @Test(
    "refuses what is not a GET of a page",
    arguments: [
      ("GET /none HTTP/1.1\r\n\r\n", "404"), ("POST /metrics HTTP/1.1\r\n\r\n", "405"),
      ("nonsense\r\n\r\n", "400"), ("GET  /metrics HTTP/1.1\r\n\r\n", "400"),
    ]
  )
  func refusal(request: String, status: String) async throws {
    let answer = try await AdminPair().answer(to: Array(request.utf8))
    #expect(answer.hasPrefix("HTTP/1.1 \(status) "))
  }

  @Test("reads a head up to its limit, and not beyond")
  func limit() async throws {
    let start = "GET /metrics HTTP/1.1\r\nA: "
    func request(of count: Int) -> [UInt8] {
      Array(start.utf8) + [UInt8](repeating: 0x61, count: count - start.utf8.count - 4)
        + Array("\r\n\r\n".utf8)
    }
    let most = try await AdminPair().answer(to: request(of: AdminServer.headBytes))
    #expect(most.hasPrefix("HTTP/1.1 200 "))
    let more = try await AdminPair().answer(to: request(of: AdminServer.headBytes + 1))
    #expect(more.hasPrefix("HTTP/1.1 431 ") || more.hasPrefix("HTTP/1.1 200 ") == false)
  }
}
