import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// Programs of others on both sides of layer 4, and changes under way.
  @Suite("Layer 4 between others", .timeLimit(.minutes(5 * slowness))) struct StreamPeerTests {
    @Test("redis-cli speaks to redis-server")
    func redis() async throws {
      try await Rig.run { rig in
        let endpoint = try rig.freePort()
        guard case .port(let port) = endpoint else { throw PeerError("no port") }
        let server = try rig.start(
          ["redis-server", "--port", "\(port)", "--bind", "127.0.0.1", "--save", ""],
          at: endpoint
        )
        let martlet = try rig.stream(to: [server.endpoint])
        guard case .port(let front) = martlet.endpoint else { throw PeerError("no port") }
        func cli(_ words: String...) throws -> [String] {
          try rig.outcome(of: ["redis-cli", "-p", "\(front)"] + words).lines
        }
        #expect(try cli("set", "bird", "martlet") == ["OK"])
        #expect(try cli("get", "bird") == ["martlet"])
        let load = try rig.outcome(
          of: [
            "redis-benchmark", "-p", "\(front)", "-n", "20000", "-c", "20", "-q", "-t", "set,get",
          ]
        )
        #expect(load.status == 0 && load.lines.contains { $0.contains("requests per second") })
      }
    }

    @Test("curl gets large and small bodies of nginx, also with HAProxy in front or behind")
    func web() async throws {
      try await Rig.run { rig in
        let body = pattern(3_000_000)
        try rig.write(body, to: "site/large")
        let nginx = try rig.nginx("root \(rig.path("site")); location = /small { return 200 ok; }")
        let behind = try rig.haproxy(to: [nginx.endpoint])
        let martlet = try rig.stream(to: [behind.endpoint])
        let front = try rig.haproxy(to: [martlet.endpoint])
        for endpoint in [martlet.endpoint, front.endpoint] {
          #expect(try rig.curl(endpoint.url("/small")).text == "ok")
          let file = rig.path("got")
          #expect(try rig.curl("-o", file, endpoint.url("/large")).status == 0)
          #expect(try rig.read("got") == body)
        }
      }
    }

    @Test("TLS passes unopened")
    func tls() async throws {
      try await Rig.run { rig in
        let made = try rig.outcome(
          of: [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-subj", "/CN=inner.example", "-days", "2", "-keyout", rig.path("key.pem"),
            "-out", rig.path("cert.pem"),
          ]
        )
        #expect(made.status == 0)
        let nginx = try rig.nginx(
          "location / { return 200 plain; }",
          outside: """
            server {
              listen unix:\(rig.path("tls.sock")) ssl;
              ssl_certificate \(rig.path("cert.pem"));
              ssl_certificate_key \(rig.path("key.pem"));
              location / { return 200 sealed; }
            }
            """
        )
        let martlet = try rig.stream(to: [rig.socket("tls.sock")])
        let outcome = try rig.outcome(
          of: ["openssl", "s_client", "-connect", "\(martlet.endpoint)"]
        )
        #expect(outcome.lines.contains { $0.contains("inner.example") })
        guard case .port(let port) = martlet.endpoint else { throw PeerError("no port") }
        #expect(try rig.curl("--insecure", "https://127.0.0.1:\(port)/").text == "sealed")
        #expect(nginx.isRunning)
      }
    }

    /// The clients' own `wait` hides the function.
    private static func awaited(_ holds: () throws -> Bool) throws { try wait(until: holds) }

    /// Clients that open a connection for each of their calls, until they are told to stop.
    private final class Calls: Sendable {
      private let state = Guarded<(done: Int, failures: [String], isStopped: Bool, running: Int)>(
        (0, [], false, 4)
      )

      init(to endpoint: Endpoint) {
        for _ in 0..<4 {
          Thread { [state] in
            while !state.withLock({ $0.isStopped }) {
              do {
                let wire = try Wire(to: endpoint)
                let isRight = try wire.echoes("call and answer")
                state.withLock { isRight ? $0.done += 1 : $0.failures.append("wrong") }
              } catch {
                state.withLock { $0.failures.append("\(error)") }
              }
            }
            state.withLock { $0.running -= 1 }
          }.start()
        }
      }

      func wait(forMore count: Int) throws {
        let before = state.withLock { $0.done }
        try StreamPeerTests.awaited { state.withLock { $0.done } >= before + count }
      }

      func stop() throws -> [String] {
        state.withLock { $0.isStopped = true }
        try StreamPeerTests.awaited { state.withLock { $0.running } == 0 }
        return state.withLock { $0.failures }
      }
    }

    @Test("reloads break no connection: open ones keep their member, new ones get the new one")
    func reload() async throws {
      try await Rig.run { rig in
        let members = [try rig.echo(), try rig.echo()]
        let martlet = try rig.stream(to: [members[0].endpoint], outside: "loops 2")
        let kept = try Wire(to: martlet.endpoint)
        #expect(try kept.echoes("before"))
        let calls = Calls(to: martlet.endpoint)
        try calls.wait(forMore: 50)
        for number in 1...20 {
          let text = Rig.streamConfiguration(
            to: [members[number % 2].endpoint],
            number % 3 == 0 ? "max_connections 1000" : "",
            outside: "loops 2"
          ).replacingOccurrences(of: "LISTEN", with: "\(martlet.endpoint)")
          try rig.write(text, to: "martlet.conf")
          let outcome = try rig.martlet(command: "reload")
          #expect(outcome.status == 0, "\(outcome.lines)")
          let count = members[number % 2].connectionCount
          #expect(try Wire(to: martlet.endpoint).echoes("new"))
          #expect(members[number % 2].connectionCount > count)
          #expect(try kept.echoes("after reload \(number)"))
        }
        try calls.wait(forMore: 50)
        #expect(try calls.stop() == [])
      }
    }

    @Test("an address may change from bytes to HTTP and back")
    func changeOfProtocol() async throws {
      try await Rig.run { rig in
        let member = try rig.echo()
        let martlet = try rig.stream(to: [member.endpoint])
        let kept = try Wire(to: martlet.endpoint)
        #expect(try kept.echoes("bytes"))
        try rig.write(
          "server {\n listen \(martlet.endpoint)\n route / { respond 200 http }\n}\n",
          to: "martlet.conf"
        )
        #expect(try rig.martlet(command: "reload").status == 0)
        #expect(try rig.curl(martlet.endpoint.url("/")).text == "http")
        #expect(try kept.echoes("bytes still"))
        let text = Rig.streamConfiguration(to: [member.endpoint])
          .replacingOccurrences(of: "LISTEN", with: "\(martlet.endpoint)")
        try rig.write(text, to: "martlet.conf")
        #expect(try rig.martlet(command: "reload").status == 0)
        #expect(try Wire(to: martlet.endpoint).echoes("bytes again"))
      }
    }

    @Test("an upgrade breaks no connection")
    func upgrade() async throws {
      try await Rig.run { rig in
        let member = try rig.echo()
        let martlet = try rig.stream(to: [member.endpoint], outside: "loops 2")
        let kept = try Wire(to: martlet.endpoint)
        #expect(try kept.echoes("before"))
        let calls = Calls(to: martlet.endpoint)
        try calls.wait(forMore: 20)
        let outcome = try rig.martlet(command: "upgrade")
        #expect(outcome.status == 0, "\(outcome.lines)")
        #expect(try kept.echoes("after"))
        try calls.wait(forMore: 20)
        #expect(try calls.stop() == [])
      }
    }

    @Test("a stop lets connections go on for `drain_limit`, and then resets them")
    func drain() async throws {
      try await Rig.run { rig in
        let member = try rig.echo()
        let martlet = try rig.stream(to: [member.endpoint], outside: "drain_limit 1s")
        let wire = try Wire(to: martlet.endpoint)
        #expect(try wire.echoes("before"))
        martlet.signal(SIGTERM)
        #expect(throws: Wire.Failure.refused) {
          for _ in 0..<1000 {
            _ = try Wire(to: martlet.endpoint)
            #expect(try wire.echoes("meanwhile"))
          }
        }
        #expect(throws: Wire.Failure.self) { while try wire.echoes("on and on") {} }
        try martlet.line(with: "\"end\":\"drained\"")
        #expect(try martlet.status() == 0)
      }
    }
  }
}
