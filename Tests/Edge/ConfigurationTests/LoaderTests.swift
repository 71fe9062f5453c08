import Configuration
import Directives
import FailurePolicies
import MartletSystem
import Testing

@Suite("The loader of configurations")
struct LoaderTests {
  static let shop = """
    server shop.example {
        listen :8080
        route /static/* { respond 200 "…" }
        route /api/* {
            proxy api
            request header set X-Real-IP {client.address}
        }
        route / { redirect 308 https://shop.example{request.target} }
    }
    upstream api {
        balance weighted_least_connections
        member 127.0.0.1:9001 weight 2
        member 127.0.0.1:9002
        connect_timeout 2s
    }
    """

  @Test("reads servers, routes and upstreams")
  func shop() throws {
    let loaded = ConfigurationLoader.load(name: "shop.conf", text: Self.shop)
    #expect(loaded.rendered() == "")
    let configuration = try #require(loaded.configuration)
    let server = try #require(configuration.servers.first)
    #expect(server.names == [.exact("shop.example")])
    #expect(server.listeners == [ListenerSettings(address: .any(port: 8080))])
    #expect(
      try server.routes == [
        RouteSettings(
          path: PathPattern("/static/*"),
          handler: .respond(FixedResponse(status: 200, body: Template(literal: "…")))
        ),
        RouteSettings(
          path: PathPattern("/api/*"),
          handler: .proxy(upstream: "api"),
          requestHeaders: [HeaderRule(.set, "X-Real-IP", Template([.variable(.clientAddress)]))]
        ),
        RouteSettings(
          path: .prefix("/"),
          handler: .redirect(
            status: 308,
            target: Template([
              .literal(Array("https://shop.example".utf8)), .variable(.requestTarget),
            ])
          )
        ),
      ]
    )
    let upstream = try #require(configuration.upstream(named: "api"))
    #expect(upstream.balance == .weightedLeastConnections)
    #expect(upstream.members.map(\.weight) == [2, 1])
    #expect(upstream.timeouts.connect == .seconds(2))
  }

  @Test("gives what is not said its default")
  func defaults() throws {
    let text = "server { listen :80\n route / { proxy :9001 } }"
    let loaded = ConfigurationLoader.load(name: "a.conf", text: text)
    #expect(loaded.rendered() == "")
    var expected = EdgeConfiguration.proxy(listen: [.any(port: 80)], to: [.any(port: 9001)])
    #expect(expected.servers[0].limits.bodyBytes == nil)
    expected.servers[0].limits = RequestLimits()
    #expect(loaded.configuration == expected)
  }

  @Test("reads every setting", arguments: Setting.all)
  func settings(setting: Setting) throws {
    let loaded = ConfigurationLoader.load(name: "a.conf", text: setting.text)
    #expect(loaded.diagnostics.filter { $0.severity == .error } == [])
    #expect(try setting.isRead(#require(loaded.configuration)), "\(setting)")
  }
}

/// One setting in a file, and how to see that it arrived.
struct Setting: Sendable, CustomTestStringConvertible {
  var text: String
  var isRead: @Sendable (EdgeConfiguration) -> Bool
  var testDescription: String { text }

  static func process(
    _ line: String,
    _ isRead: @escaping @Sendable (ProcessSettings) -> Bool
  ) -> Setting {
    Setting(text: "\(line)\nserver { }") { isRead($0.process) }
  }

  static func server(
    _ line: String,
    _ isRead: @escaping @Sendable (ServerSettings) -> Bool
  ) -> Setting {
    Setting(text: "server {\n\(line)\n}") { $0.servers.first.map(isRead) ?? false }
  }

  static func route(
    _ line: String,
    _ isRead: @escaping @Sendable (RouteSettings) -> Bool
  ) -> Setting {
    Setting(text: "server { route / {\nrespond 200\n\(line)\n} }") {
      $0.servers.first?.routes.first.map(isRead) ?? false
    }
  }

  static func handler(_ line: String, _ handler: Handler) -> Setting {
    Setting(text: "server { route / { \(line) } }\nupstream a { member :1 }") {
      $0.servers.first?.routes.first?.handler == handler
    }
  }

  static func upstream(
    _ line: String,
    _ isRead: @escaping @Sendable (UpstreamSettings) -> Bool
  ) -> Setting {
    Setting(text: "server { }\nupstream a {\nmember :9\n\(line)\n}") {
      $0.upstreams.first.map(isRead) ?? false
    }
  }

  static let all = processes + servers + routes + handlers + upstreams

  static let processes: [Setting] = [
    .process("user www-data") { $0.user == "www-data" },
    .process("group same") { $0.group == nil },
    .process("loops 4") { $0.loopCount == 4 },
    .process("polling select") { $0.polling == .select },
    .process("polling auto") { $0.polling == nil },
    .process("state_directory /run/a") { $0.stateDirectory == "/run/a" },
    .process("admin off") { $0.adminListener == nil },
    .process("admin localhost:9000") { $0.adminListener == .ip(.loopback, port: 9000) },
    .process("error_log stdout debug") {
      $0.errorLog == ErrorLogSettings(destination: .standardOutput, level: .debug)
    },
    .process("drain_limit 2m") { $0.drainLimit == .seconds(120) },
    .process("hang_limit 1m") { $0.hangLimit == .seconds(60) },
    .process("hang_limit off") { $0.hangLimit == nil },
    .process("max_connections 5") { $0.maxConnectionCount == 5 },
  ]

  static let servers: [Setting] = [
    .server("listen unix:a.sock backlog 7 reuse_port fallback") {
      $0.listeners == [
        ListenerSettings(
          address: .unix("a.sock"),
          backlogCount: 7,
          reusesPort: true,
          isFallback: true
        )
      ]
    },
    .server("access_log /a.log json") {
      $0.accessLog == AccessLogSettings(destination: .file("/a.log"), format: .json)
    },
    .server("trusted_proxies 10.0.0.0/8 ::1\ntrusted_proxies 192.0.2.1") {
      $0.trustedProxies.map(\.description) == ["10.0.0.0/8", "::1/128", "192.0.2.1/32"]
    },
    .server("forwarded both") { $0.forwarded == .both },
    .server("underscores_in_fields pass") { $0.underscores == .pass },
    .server("") { $0.underscores == .drop },
    .server("via off") { $0.via == .off },
    .server("head_limit 16KB") { $0.limits.headBytes == 16 * 1024 },
    .server("field_limit 7") { $0.limits.fieldCount == 7 },
    .server("line_limit 1k") { $0.limits.lineBytes == 1024 },
    .server("target_limit 100B") { $0.limits.targetBytes == 100 },
    .server("body_limit none") { $0.limits.bodyBytes == nil },
    .server("body_limit 2G") { $0.limits.bodyBytes == 2 << 30 },
    .server("chunk_extension_limit 0B") { $0.limits.chunkExtensionBytes == 0 },
    .server("request_limit 9") { $0.limits.requestsPerConnection == 9 },
    .server("idle_timeout 250ms") { $0.timeouts.idle == .milliseconds(250) },
    .server("head_timeout 1h") { $0.timeouts.head == .seconds(3600) },
    .server("body_timeout 1d") { $0.timeouts.body == .seconds(86_400) },
    .server("send_timeout 9s") { $0.timeouts.send == .seconds(9) },
    .server("error_page 502 503 \"<p>{request.id}\" type text/plain") {
      $0.errorPages.map(\.status) == [502, 503] && $0.errorPages[1].contentType == "text/plain"
        && $0.errorPages[0].body.parts.last == .variable(.requestID)
    },
  ]

  static let routes: [Setting] = [
    .route("method GET PURGE") { $0.methods == ["GET", "PURGE"] },
    .route("header X-A 1 *b*\nheader x-c") {
      $0.headers == [
        ValueCondition(name: "x-a", values: [TextPattern("1"), TextPattern("*b*")]),
        ValueCondition(name: "x-c"),
      ]
    },
    .route("query Q \"\"") {
      $0.queries == [ValueCondition(name: "Q", values: [TextPattern("")])]
    },
    .route("client 10.0.0.0/8") { $0.clients.map(\.description) == ["10.0.0.0/8"] },
    .route("strip_prefix /a") { $0.stripPrefix == "/a" },
    .route("rewrite /b{request.path}?x={request.query.y}") {
      $0.rewrite?.description == "/b{request.path}?x={request.query.y}"
    },
    .route("request header remove Cookie") { $0.requestHeaders == [HeaderRule(.remove, "Cookie")] },
    .route("response header add X-S {response.status}") {
      $0.responseHeaders == [HeaderRule(.add, "X-S", Template([.variable(.responseStatus)]))]
    },
    .route("access_log off") { !$0.overrides.isLogged },
    .route("body_limit none") { $0.overrides.bodyLimit == RouteOverrides.BodyLimit.none },
    .route("body_limit 1KB") { $0.overrides.bodyLimit == .bytes(1024) },
    .route("body_timeout 1s") { $0.overrides.bodyTimeout == .seconds(1) },
    .route("send_timeout 1s") { $0.overrides.sendTimeout == .seconds(1) },
    .route("connect_timeout 1s") { $0.overrides.connectTimeout == .seconds(1) },
    .route("first_byte_timeout 1s") { $0.overrides.firstByteTimeout == .seconds(1) },
    .route("read_timeout 1s") { $0.overrides.readTimeout == .seconds(1) },
    .route("write_timeout 1s") { $0.overrides.writeTimeout == .seconds(1) },
    .route("tunnel_timeout 1s") { $0.overrides.tunnelTimeout == .seconds(1) },
    .route("websocket_ping 1s") { $0.overrides.webSocketPing == .seconds(1) },
    .route("total_timeout 1s") { $0.overrides.totalTimeout == .seconds(1) },
    .route("tries 1") { $0.overrides.tryCount == 1 },
    .route("error_page 404 gone") { $0.overrides.errorPages.map(\.status) == [404] },
  ]

  static let handlers: [Setting] = [
    .handler("proxy a", .proxy(upstream: "a")),
    .handler("proxy :1 unix:b.sock", .proxy(upstream: "127.0.0.1:1,unix:b.sock")),
    .handler("respond 204", .respond(FixedResponse(status: 204))),
    .handler(
      "respond 200 type text/html",
      .respond(FixedResponse(status: 200, contentType: "text/html"))
    ),
    .handler(
      "respond 200 \"\\{a}\\n\\u{e9}\"",
      .respond(FixedResponse(status: 200, body: Template(literal: "{a}\né")))
    ),
    .handler("redirect 302 /a", .redirect(status: 302, target: Template(literal: "/a"))),
  ]

  static let upstreams: [Setting] = [
    .upstream("member a.internal:80 max_connections 5 backup weight 0") {
      $0.members.last
        == MemberSettings(
          address: .name("a.internal", port: 80),
          weight: 0,
          isBackup: true,
          maxConnectionCount: 5
        )
    },
    .upstream("balance least_connections") { $0.balance == .leastConnections },
    .upstream("balance weighted_least_connections") { $0.balance == .weightedLeastConnections },
    .upstream("balance random") { $0.balance == .random },
    .upstream("balance latency") { $0.balance == .latency },
    .upstream("balance first") { $0.balance == .first },
    .upstream("balance source_hash") { $0.balance == .sourceHash(HashSettings()) },
    .upstream("balance source_hash bounded 125% maglev") {
      $0.balance == .sourceHash(HashSettings(form: .maglev, bound: 125))
    },
    .upstream("balance hash {request.cookie.id}-{request.path} ring") {
      $0.balance
        == .hash(
          Template([
            .variable(.cookie("id")), .literal(Array("-".utf8)), .variable(.requestPath),
          ]),
          HashSettings()
        )
    },
    .upstream("slow_start 30s") { $0.slowStart == .seconds(30) },
    .upstream("panic_threshold 30%") { $0.panicThreshold == 30 },
    .upstream("member a.internal:80 tier 2") { $0.members.last?.tier == 2 },
    .upstream("host member") { $0.host == .member },
    .upstream("host a.example:81") { $0.host == .literal("a.example:81") },
    .upstream("tries 9") { $0.tryCount == 9 },
    .upstream("retry { try_timeout 2s }") { $0.retry.tryTimeout == .seconds(2) },
    .upstream("retry { backoff 25ms max 2s always }") {
      $0.retry.backoff == Backoff(base: .milliseconds(25), most: .seconds(2), waitsForOthers: true)
    },
    .upstream("retry { budget 20% min 3/s window 5s }") {
      $0.retry.budget
        == RetryBudget.Terms(percent: 20, leastPerSecond: 3, window: .seconds(5))
    },
    .upstream("retry { budget none }") { $0.retry.budget == nil },
    .upstream("retry { replay_limit 64KB }") { $0.retry.replayByteCount == 65_536 },
    .upstream("retry { on 503 reset }") {
      $0.retry.rules.lists(status: 503) && !$0.retry.rules.lists(status: 502)
        && $0.retry.rules.allowedClasses.contains { $0 == (.reset, false) }
        && !$0.retry.rules.allowedClasses.contains { $0.kind == .connectFailed }
    },
    .upstream("retry { on 503\non 429 reset non_idempotent }") {
      $0.retry.rules.allowedStatuses.map(\.status) == [429, 503]
        && $0.retry.rules.allowedStatuses.map(\.nonIdempotent) == [true, false]
        && $0.retry.rules.allowedClasses.contains { $0 == (.reset, true) }
    },
    .upstream("breaker { failures 30%\nleast 5\nprobes 2\nwindow 5s }") {
      $0.breaker?.terms
        == Breaker.Terms(failurePercent: 30, leastCount: 5, window: .seconds(5), probes: 2)
    },
    .upstream("breaker { failures off\nslow 500ms share 30%\nopen 1s max 2s }") {
      $0.breaker?.terms
        == Breaker.Terms(
          failurePercent: nil,
          slowLimit: .milliseconds(500),
          slowPercent: 30,
          open: .seconds(1),
          mostOpen: .seconds(2)
        )
    },
    .upstream("breaker { statuses 500 503\nscope upstream }") {
      $0.breaker?.statuses == [500, 503] && $0.breaker?.scope == .upstream
    },
    .upstream("hedge after 50ms") { $0.hedge == .after(.milliseconds(50)) },
    .upstream("hedge at 95% floor 30ms") {
      $0.hedge == .quantile(percent: 95, floor: .milliseconds(30))
    },
    .upstream("connect_timeout 1s") { $0.timeouts.connect == .seconds(1) },
    .upstream("first_byte_timeout 1s") { $0.timeouts.firstByte == .seconds(1) },
    .upstream("read_timeout 1s") { $0.timeouts.read == .seconds(1) },
    .upstream("write_timeout 1s") { $0.timeouts.write == .seconds(1) },
    .upstream("total_timeout 1s") { $0.timeouts.total == .seconds(1) },
    .upstream("idle_connections 0") { $0.pool.idleCount == 0 },
    .upstream("idle_time 1s") { $0.pool.idleTime == .seconds(1) },
    .upstream("max_age 1h") { $0.pool.maxAge == .seconds(3600) },
    .upstream("max_requests 1") { $0.pool.maxRequestCount == 1 },
    .upstream("resolve_interval 1s") { $0.resolveInterval == .seconds(1) },
  ]
}
