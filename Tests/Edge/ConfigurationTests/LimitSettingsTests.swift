import Configuration
import Directives
import Testing

private let client = Template([.variable(.clientAddress)])

@Suite("Limits, queues and overload")
struct LimitSettingsTests {
  private func configuration(_ text: String) throws -> EdgeConfiguration {
    let loaded = ConfigurationLoader.load(name: "a.conf", text: text)
    #expect(loaded.rendered() == "")
    return try #require(loaded.configuration)
  }

  private func limit(_ line: String) throws -> LimitSettings? {
    try configuration("server {\nlisten :80\n\(line)\nroute / { respond 200 }\n}")
      .servers.first?.trafficLimits.first
  }

  @Test(
    "are read with what is not said as it usually is",
    arguments: [
      (
        "limit requests 100/s",
        LimitSettings(.requests(count: 100, period: .seconds(1), burst: 100))
      ),
      (
        "limit requests 5/m burst 2 by {client.address} status 503 dry_run keys 100 name login",
        LimitSettings(
          .requests(count: 5, period: .seconds(60), burst: 2),
          key: client,
          status: 503,
          isDryRun: true,
          keyCount: 100,
          name: "login"
        )
      ),
      (
        "limit requests 7/10s",
        LimitSettings(.requests(count: 7, period: .seconds(10), burst: 7))
      ),
      ("limit concurrency 20", LimitSettings(.concurrency(20))),
      ("limit connections 4 by {client.address}", LimitSettings(.connections(4), key: client)),
      (
        "limit bandwidth 1MB/s after 10MB",
        LimitSettings(
          .bandwidth(bytesPerSecond: 1 << 20, burst: 1 << 18, freeBytes: 10 << 20)
        )
      ),
      (
        "limit bandwidth 2KB/s burst 4KB",
        LimitSettings(.bandwidth(bytesPerSecond: 2048, burst: 4096, freeBytes: 0))
      ),
    ]
  )
  func limits(line: String, settings: LimitSettings) throws {
    #expect(try limit(line) == settings)
  }

  @Test(
    "of layer 4 are about connections",
    arguments: [
      ("limit connections 3", LimitSettings(.connections(3))),
      (
        "limit new_connections 7/m burst 2 by {client.address} dry_run keys 100 name few",
        LimitSettings(
          .arrivals(count: 7, period: .seconds(60), burst: 2),
          key: client,
          isDryRun: true,
          keyCount: 100,
          name: "few"
        )
      ),
      (
        "limit all",
        LimitSettings(.connections(9), key: client, name: "all", isShared: true)
      ),
      (
        "limit bandwidth 1MB/s",
        LimitSettings(.bandwidth(bytesPerSecond: 1 << 20, burst: 1 << 18, freeBytes: 0))
      ),
      (
        "limit upload 2KB/s burst 4KB after 1MB by {client.address}",
        LimitSettings(
          .upload(bytesPerSecond: 2048, burst: 4096, freeBytes: 1 << 20),
          key: client
        )
      ),
    ]
  )
  func streams(line: String, settings: LimitSettings) throws {
    let shared = line.hasSuffix("all") ? "shared_limit all connections 9 by {client.address}\n" : ""
    let text = "\(shared)tcp {\nlisten :5432\nproxy :5433\n\(line)\n}"
    #expect(try configuration(text).tcp.first?.limits == [settings])
  }

  @Test(
    "of datagrams are about flows, and each datagram",
    arguments: [
      ("limit flows 3 by {client.address}", LimitSettings(.flows(3), key: client)),
      (
        "limit new_flows 7/m burst 2 dry_run",
        LimitSettings(.newFlows(count: 7, period: .seconds(60), burst: 2), isDryRun: true)
      ),
      (
        "limit datagrams 100/s name few",
        LimitSettings(.datagrams(count: 100, period: .seconds(1), burst: 100), name: "few")
      ),
    ]
  )
  func datagrams(line: String, settings: LimitSettings) throws {
    let text = "udp {\nlisten :5353\nproxy :5354\n\(line)\n}"
    #expect(try configuration(text).udp.first?.limits == [settings])
  }

  @Test(
    "of datagrams take nothing that only connections have",
    arguments: [
      ("limit connections 5", "`connections` is none of flows, new_flows, datagrams"),
      ("limit flows 3 by {request.path}", "are told apart by their address alone"),
      ("limit flows", "needs a value"),
      ("limit flows 3 after 1MB", "after"),
    ]
  )
  func datagramRefusals(line: String, words: String) {
    let text = "udp {\nlisten :5353\nproxy :5354\n\(line)\n}"
    let loaded = ConfigurationLoader.load(name: "a.conf", text: text)
    #expect(loaded.configuration == nil)
    #expect(loaded.rendered().contains(words), "\(loaded.rendered())")
  }

  @Test(
    "of layer 4 take nothing that only requests have",
    arguments: [
      (
        "limit requests 5/s",
        "`requests` is none of connections, new_connections, bandwidth, upload"
      ),
      (
        "limit connections 3 by {request.path}",
        "are told apart by their address alone"
      ),
      ("limit all", "asks for what connections of layer 4 do not have"),
      ("limit connections", "needs a value"),
    ]
  )
  func streamRefusals(line: String, words: String) {
    let shared = line.hasSuffix("all") ? "shared_limit all concurrency 9\n" : ""
    let text = "\(shared)tcp {\nlisten :5432\nproxy :5433\n\(line)\n}"
    let loaded = ConfigurationLoader.load(name: "a.conf", text: text)
    #expect(loaded.configuration == nil)
    #expect(loaded.rendered().contains(words), "\(loaded.rendered())")
  }

  @Test("that are shared are the same wherever they are named, also above where they stand")
  func shared() throws {
    let text = """
      server {
        listen :80
        limit login
        route /a {
          limit login
          respond 200
        }
      }
      shared_limit login requests 5/m
      """
    let server = try #require(try configuration(text).servers.first)
    let limit = try #require(server.trafficLimits.first)
    #expect(limit.isShared)
    #expect(limit.name == "login")
    #expect(server.routes[0].overrides.limits == [limit])
  }

  @Test("have their blocks")
  func blocks() throws {
    let text = """
      overload {
        loop_lag 50ms
        memory 2GB
        descriptors off
        retry_after 5s
      }
      server {
        listen :80
        priority 3
        route / {
          priority "{request.method}"
          proxy app
        }
      }
      upstream app {
        member :9001 max_connections 5
        queue {
          length 7
          by {client.address}
          newest_after 1s
        }
      }
      """
    let configuration = try configuration(text)
    #expect(
      configuration.process.overload
        == OverloadSettings(
          loopLag: .milliseconds(50),
          memory: .fixed(2 << 30),
          descriptors: .off,
          retryAfter: .seconds(5)
        )
    )
    let server = try #require(configuration.servers.first)
    #expect(server.priority == .fixed(3))
    #expect(server.routes[0].overrides.priority == .text(Template([.variable(.requestMethod)])))
    let queue = QueueSettings(length: 7, key: client, newestAfter: .seconds(1))
    #expect(configuration.upstream(named: "app")?.queue == queue)
  }

  @Test(
    "remember no more keys together than memory can bear",
    arguments: [(16, true), (17, false)]
  )
  func keys(count: Int, isGood: Bool) {
    let limits = (0..<count).map { "limit concurrency \($0 + 1) by {request.path} keys 4194304" }
    let lines = limits.joined(separator: "\n")
    let text = "server {\nlisten :80\n\(lines)\nroute / { respond 200 }\n}"
    let loaded = ConfigurationLoader.load(name: "a.conf", text: text)
    #expect((loaded.configuration != nil) == isGood)
    #expect(loaded.diagnostics.isEmpty == isGood)
  }

  @Test("say that nothing waits where no member is ever full")
  func unused() {
    let text = """
      server {
        listen :80
        route / { proxy app }
      }
      upstream app {
        member :9001
        queue { length 7 }
      }
      """
    let loaded = ConfigurationLoader.load(name: "a.conf", text: text)
    #expect(
      loaded.diagnostics.map(\.problem) == ["no member is ever full, nothing waits in the queue"]
    )
  }
}
