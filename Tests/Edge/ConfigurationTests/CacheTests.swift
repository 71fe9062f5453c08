import Configuration
import Directives
import Testing

@Suite("What is said of caches")
struct CacheTests {
  private func load(_ text: String) -> ConfigurationLoader.Loaded {
    ConfigurationLoader.load(name: "a", text: text)
  }

  private func server(_ route: String) -> String {
    "server { listen :8080\nroute / {\n\(route)\n} }"
  }

  @Test("is read into settings")
  func settings() throws {
    let text = """
      cache main {
          memory 8MB
          object_limit 1MB
          key_limit 1KB
          variants 4
          disk /var/cache/martlet 10GB
      }
      """
    let route = """
      proxy :9000
      cache main {
          keep 404 410 10s
          keep 1m
          stale_while_revalidate 30s
          stale_if_error 1h
          client_directives ignored
          set_cookie remove
          pass_time 5s
          body_methods QUERY POST
          body_limit 16KB
          ranges 1MB
          cache_status off
          key query except utm_* gclid
          key header X-Tenant Accept-Language
          key cookie lang
      }
      """
    let loaded = load(text + "\n" + server(route))
    #expect(loaded.rendered() == "")
    let configuration = try #require(loaded.configuration)
    var store = CacheSettings(name: "main")
    store.memoryBytes = 8 << 20
    store.objectBytes = 1 << 20
    store.keyBytes = 1024
    store.variantCount = 4
    store.disk = CacheDiskSettings(path: "/var/cache/martlet", byteLimit: 10 << 30)
    #expect(configuration.caches == [store])
    var cache = RouteCacheSettings(store: "main")
    cache.times = [
      CacheTime(status: 404, time: .seconds(10)), CacheTime(status: 410, time: .seconds(10)),
      CacheTime(status: nil, time: .seconds(60)),
    ]
    cache.staleWhileRevalidate = .seconds(30)
    cache.staleIfError = .seconds(3600)
    cache.client = .ignored
    cache.cookies = .remove
    cache.passTime = .seconds(5)
    cache.bodyMethods = [.query, .post]
    cache.bodyLimit = 16 << 10
    cache.ranges = .slices(1 << 20)
    cache.showsStatus = false
    cache.key.query = .except(["utm_*", "gclid"])
    cache.key.fields = ["x-tenant", "accept-language"]
    cache.key.cookies = ["lang"]
    #expect(configuration.servers[0].routes[0].cache == cache)
  }

  @Test("keeps a sixteenth of the memory for one answer where nothing is said")
  func objectLimit() throws {
    let loaded = load("cache main { memory 64MB }\n" + server("proxy :9000\ncache main"))
    #expect(try #require(loaded.configuration).caches[0].objectLimit == 4 << 20)
  }

  @Test("of a server counts in its routes that have an upstream and say nothing else")
  func inherited() throws {
    let loaded = load(
      """
      cache main
      cache other
      server {
          listen :8080
          cache main {
              keep 1m
          }
          route /usual { proxy :9000 }
          route /own {
              proxy :9000
              cache other
          }
          route /off {
              proxy :9000
              cache off
          }
          route / { respond 200 }
      }
      server other.example {
          listen :8080
          cache off
          route / { proxy :9000 }
      }
      """
    )
    #expect(loaded.rendered() == "")
    let configuration = try #require(loaded.configuration)
    var usual = RouteCacheSettings(store: "main")
    usual.times = [CacheTime(status: nil, time: .seconds(60))]
    let caches = configuration.servers.map { $0.routes.map(\.cache) }
    #expect(caches == [[usual, RouteCacheSettings(store: "other"), nil, nil], [nil]])
  }

  @Test(
    "of a server is refused where it cannot be",
    arguments: [
      ("cache mane", "there is no cache named `mane`"),
      ("cache main\ncache off", "`cache` stands twice"),
      ("cache off {\nkeep 1m\n}", "`cache off` has no block"), ("cache", "`cache` needs a value"),
    ]
  )
  func refused(ofServer line: String, problem: String) {
    let loaded = load("cache main\nserver { listen :80\n\(line)\nroute / { proxy :9000 } }")
    #expect(loaded.configuration == nil)
    let problems = loaded.diagnostics.map(\.problem)
    #expect(problems.contains(problem), "\(problems)")
  }

  @Test(
    "is refused where it cannot be",
    arguments: [
      ("", "proxy :9000\ncache main", "there is no cache named `main`"),
      ("cache mane", "proxy :9000\ncache main", "there is no cache named `main`"),
      (
        "cache off", "proxy :9000\ncache off",
        "a cache cannot be named `off`, which in routes means that nothing is kept"
      ),
      ("cache main", "respond 200\ncache main", "only what an upstream answers is kept"),
      ("cache main", "proxy :9000\ncache main\ncache main", "`cache` stands twice"),
      ("cache main\ncache main", "proxy :9000\ncache main", "there are two caches named `main`"),
      (
        "cache main", "proxy :9000\ncache main {\nkey query none\nkey query a\n}",
        "`key query` stands twice"
      ),
      (
        "cache main", "proxy :9000\ncache main {\nkey host a\n}",
        "`host` is nothing that tells answers apart"
      ),
      (
        "cache main", "proxy :9000\ncache main {\nkey query a=1\n}",
        "`a=1` is not the name of a parameter"
      ),
      (
        "cache main {\nmemory 4MB\nobject_limit 2MB\n}", "proxy :9000\ncache main",
        "`object_limit` is more than a quarter of `memory`"
      ),
      (
        "cache main {\ndisk /srv/kept\n}", "proxy :9000\ncache main",
        "`disk` needs a folder, and how many bytes there may be in it"
      ),
      (
        "cache main {\ndisk kept 10GB\n}", "proxy :9000\ncache main",
        "a folder is named by its whole path, which begins with `/`"
      ),
      (
        "cache main {\ndisk /srv/kept 10GB 5\n}", "proxy :9000\ncache main",
        "`5` is one word too many for `disk`"
      ),
    ]
  )
  func refused(store: String, route: String, problem: String) {
    let loaded = load(store + "\n" + server(route))
    #expect(loaded.configuration == nil)
    #expect(loaded.diagnostics.contains { $0.severity == .error && $0.problem == problem })
  }

  @Test("is warned of a disk that has no place for what is in memory")
  func smallDisk() {
    let loaded = load(
      "cache main {\nmemory 1GB\ndisk /srv/kept 512MB\n}\n" + server("proxy :9000\ncache main")
    )
    #expect(loaded.configuration != nil)
    #expect(
      loaded.diagnostics.map(\.problem) == [
        "the `disk` is smaller than the `memory`, which is written there too"
      ]
    )
  }

  @Test("is warned of where nobody uses it")
  func unused() {
    let loaded = load("cache main\n" + server("proxy :9000"))
    #expect(loaded.diagnostics.map(\.problem) == ["no route uses the cache `main`"])
  }
}
