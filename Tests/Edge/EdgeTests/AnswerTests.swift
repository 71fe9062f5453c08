import Configuration
import Directives
import Testing

private let front = Address.any(port: 1)
private let back = Address.any(port: 2)

private func server(_ listener: Address, _ routes: [RouteSettings]) -> ServerSettings {
  ServerSettings(listeners: [ListenerSettings(address: listener)], routes: routes)
}

private func fixed(_ path: PathPattern, _ status: Int, _ body: String) -> RouteSettings {
  RouteSettings(
    path: path,
    handler: .respond(FixedResponse(status: status, body: Template(literal: body)))
  )
}

@Suite("An edge") struct AnswerTests {
  private func fixedEdge() async throws -> RunningEdge {
    try await RunningEdge([front]) { _ in
      EdgeConfiguration(servers: [
        server(front, [fixed(.exact("/a"), 200, "first"), fixed(.prefix("/b/"), 201, "second")])
      ])
    }
  }

  private func proxyingEdge() async throws -> RunningEdge {
    try await RunningEdge([front, back]) { addresses in
      EdgeConfiguration(
        servers: [
          server(front, [RouteSettings(path: .prefix("/"), handler: .proxy(upstream: "back"))]),
          server(back, [fixed(.prefix("/"), 200, "from the back")]),
        ],
        upstreams: [
          UpstreamSettings(name: "back", members: [MemberSettings(address: addresses[1])])
        ]
      )
    }
  }

  @Test(
    "answers by the first route that matches",
    arguments: [
      ("/a", "HTTP/1.1 200 OK", "first"), ("/b/c", "HTTP/1.1 201 Created", "second"),
      ("/c", "HTTP/1.1 404 Not Found", "404 Not Found\n"),
    ]
  )
  func routes(path: String, line: String, body: String) async throws {
    let edge = try await fixedEdge()
    let answer = try await edge.answer(
      to: "GET \(path) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
      at: front
    )
    #expect(answer.hasPrefix(line + "\r\n"))
    #expect(answer.hasSuffix("\r\n\r\n" + body))
  }

  @Test(
    "names the methods that the target has a route for when it refuses one",
    arguments: [
      ("TRACE /all/x", "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS, PURGE"),
      ("TRACE /some", "GET, PURGE"), ("TRACE /none", ""), ("CONNECT x:80", ""),
    ]
  )
  func allowed(line: String, methods: String) async throws {
    let edge = try await RunningEdge([front]) { _ in
      var some = fixed(.exact("/some"), 200, "")
      some.methods = ["GET", "PURGE", "TRACE"]
      return EdgeConfiguration(servers: [server(front, [fixed(.prefix("/all/"), 200, ""), some])])
    }
    let host = line.hasPrefix("CONNECT") ? "x:80" : "x"
    let answer = try await edge.answer(
      to: "\(line) HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n",
      at: front
    )
    #expect(answer.hasPrefix("HTTP/1.1 405 Method Not Allowed\r\n"))
    #expect(answer.contains("\r\nAllow: \(methods)\r\n"))
  }

  @Test("answers pipelined requests in order")
  func pipelining() async throws {
    let edge = try await fixedEdge()
    let answer = try await edge.answer(
      to:
        "GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
      at: front
    )
    #expect(answer.split(separator: "\r\n\r\n").count == 3)
    #expect(answer.hasSuffix("second"))
  }

  @Test("passes requests to a member and its answers back")
  func proxying() async throws {
    let edge = try await proxyingEdge()
    let answer = try await edge.answer(
      to: "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
      at: front
    )
    #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
    #expect(answer.contains("\r\nVia: 1.1 martlet\r\n"))
    #expect(answer.hasSuffix("from the back"))
  }

  @Test("keeps connections that are open when another configuration comes into force")
  func publishing() async throws {
    let edge = try await fixedEdge()
    let client = try await edge.connect(to: front)
    let request = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
    #expect(try await client.send(request).hasSuffix("first"))
    try await edge.publish(
      EdgeConfiguration(servers: [server(front, [fixed(.exact("/a"), 200, "changed")])])
    )
    #expect(try await client.send(request).hasSuffix("changed"))
  }

  @Test("ends idle connections when it drains and is told to")
  func draining() async throws {
    let edge = try await fixedEdge()
    let client = try await edge.connect(to: front)
    #expect(try await client.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n").hasSuffix("first"))
    await edge.drain(limit: .seconds(20), closesIdle: true)
    #expect(try await client.rest().isEmpty)
  }

  @Test(
    "has answered who had connected and was not accepted yet when nothing is under way any more"
  )
  func waiting() async throws {
    let edge = try await RunningEdge([front]) { _ in
      var configuration = EdgeConfiguration(
        servers: [server(front, [fixed(.prefix("/"), 200, "here")])]
      )
      configuration.process.maxConnectionCount = 1
      return configuration
    }
    let first = try await edge.connect(to: front)
    let request = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
    #expect(try await first.send(request).hasSuffix("here"))
    // Has to wait, and the loops look for it again only after a while.
    let second = try await edge.connect(to: front)
    async let answer = second.send(request)
    let last = "GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    #expect(try await first.send(last).hasSuffix("here"))
    await edge.drain(limit: .seconds(20), closesIdle: false)
    // The process would end now.
    let accepted = await edge.metrics().split(separator: "\n").first {
      $0.hasPrefix("martlet_connections_accepted_total{")
    }
    #expect(accepted?.hasSuffix(" 2") == true, "\(accepted ?? "none")")
    #expect(try await answer.hasSuffix("here"))
  }

  @Test("tells a client whose request is under way at the end of the time to drain")
  func drainLimit() async throws {
    let edge = try await RunningEdge([front, back]) { addresses in
      EdgeConfiguration(
        servers: [
          server(front, [RouteSettings(path: .prefix("/"), handler: .proxy(upstream: "silent"))])
        ],
        upstreams: [
          UpstreamSettings(name: "silent", members: [MemberSettings(address: addresses[1])])
        ]
      )
    }
    let client = try await edge.connect(to: front)
    async let answer = client.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
    let member = try await edge.silentMember(at: back)
    await edge.drain(limit: .zero, closesIdle: false)
    #expect(try await answer.hasPrefix("HTTP/1.1 503 Service Unavailable\r\n"))
    #expect(try await client.rest().isEmpty)
    #expect(try await member.rest().isEmpty)
    #expect(await edge.metrics().contains("reason=\"drained\"} 1\n"))
  }
}
