import Compression
import Configuration
import Directives
import Testing

@Suite("What is said of compression")
struct CompressionTests {
  private func load(_ server: String, _ route: String = "") -> ConfigurationLoader.Loaded {
    ConfigurationLoader.load(
      name: "a",
      text: "server {\nlisten :8080\n\(server)\nroute / {\nrespond 200\n\(route)\n}\n}"
    )
  }

  @Test("is read into settings: alone the usual ones")
  func usual() throws {
    let loaded = load("compress")
    #expect(loaded.rendered() == "")
    let configuration = try #require(loaded.configuration)
    #expect(configuration.servers[0].compression == .on(CompressionSettings()))
    #expect(configuration.servers[0].routes[0].overrides.compression == nil)
    #expect(try #require(load("").configuration).servers[0].compression == nil)
  }

  @Test("is read into settings: codings, levels, types, sizes")
  func settings() throws {
    let loaded = load(
      "compress",
      """
      compress br gzip {
        level br 7
        level gzip 9
        types usual Application/X-Model
        types *+cbor
        min_size 2KB
        cross_site allow
      }
      """
    )
    #expect(loaded.rendered() == "")
    var settings = CompressionSettings()
    settings.codings = [.brotli, .gzip]
    settings.levels = [.brotli: 7, .gzip: 9]
    settings.types = ["usual", "application/x-model", "*+cbor"]
    settings.leastBytes = 2048
    settings.crossSite = .allow
    let route = try #require(loaded.configuration).servers[0].routes[0]
    #expect(route.overrides.compression == .on(settings))
    #expect(settings.level(of: .brotli) == 7 && settings.level(of: .zstandard) == 3)
    let off = try #require(load("compress", "compress off").configuration)
    #expect(off.servers[0].routes[0].overrides.compression == .off)
  }

  @Test("is read into settings: dictionaries")
  func dictionaries() throws {
    let text = """
      compress zstd gzip {
        dictionary /srv/a.dict {
          match /products/*
          destinations document script
          id "pages 1"
        }
        dictionary /srv/b.dict
        remember 32 memory 64MB up_to 4MB
      }
      """
    let loaded = load("", text)
    #expect(loaded.rendered() == "")
    let server = try #require(loaded.configuration).servers[0]
    guard case .on(let settings)? = server.routes[0].overrides.compression else {
      Issue.record("no compression")
      return
    }
    #expect(settings.dictionaries.map(\.path) == ["/srv/a.dict", "/srv/b.dict"])
    #expect(
      settings.dictionaries.map(\.use) == [
        DictionaryUse(
          match: "/products/*",
          destinations: ["document", "script"],
          id: "pages 1"
        ), DictionaryUse(match: "/*"),
      ]
    )
    var remembered = RememberedAnswerSettings()
    (remembered.count, remembered.memoryBytes, remembered.bodyBytes) = (32, 64 << 20, 4 << 20)
    #expect(settings.remembered == remembered)
    #expect(server.dictionaries == settings.dictionaries)
  }

  @Test(
    "is refused where it cannot be meant",
    arguments: [
      ("compress deflate", "`deflate` is none of zstd, br, gzip"),
      ("compress gzip gzip", "`gzip` stands twice"),
      ("compress off gzip", "`off` is none of zstd, br, gzip"),
      ("compress off { min_size 1KB }", "`compress off` has no block"),
      ("compress\ncompress gzip", "`compress` stands twice"),
      ("compress { level gzip 10 }", "`10` is more than the most allowed, 9"),
      ("compress { level gzip }", "`level` needs a coding and a number"),
      ("compress { level lz4 3 }", "`lz4` is none of zstd, br, gzip"),
      ("compress {\nlevel br 3\nlevel br 4\n}", "there is a level for `br` already"),
      (
        "compress { types html }",
        "`html` is neither a media type nor a pattern such as `text/*` or `*+json`"
      ),
      ("compress { min_size 0B }", "`0B` is less than the least allowed, 1B"),
      ("compress { cross_site maybe }", "`maybe` is none of refuse, allow"),
      ("compress gzip { remember 3 }", "gzip knows no dictionaries"),
      ("compress { remember 0 }", "`0` is less than the least allowed, 1"),
      ("compress { remember 9 up_to 9MB }", "`9MB` is more than the most allowed, 8MB"),
      ("compress {\ndictionary a\ndictionary a\n}", "`a` stands twice"),
      (
        "compress { dictionary a { match b } }",
        "`b` is no pattern of paths: it does not begin with the `/` of a path"
      ),
      (
        "compress { dictionary a { match \"/(b)\" } }",
        "`/(b)` is no pattern of paths: regular expressions may not stand in it"
      ),
      (
        "compress { dictionary a { destinations Document } }",
        "`Document` is no destination of requests"
      ),
    ]
  )
  func refuses(text: String, problem: String) {
    let problems = load("", text).diagnostics.filter { $0.severity == .error }.map(\.problem)
    #expect(problems == [problem])
  }

  @Test("of the other way is read too")
  func decompression() throws {
    let loaded = load("decompress", "decompress requests {\nsize_limit 1MB\nratio_limit 20\n}")
    #expect(loaded.rendered() == "")
    let server = try #require(loaded.configuration).servers[0]
    #expect(server.decompression == .on(DecompressionSettings()))
    var settings = DecompressionSettings()
    settings.sides = [.requests]
    settings.byteLimit = 1 << 20
    settings.ratioLimit = 20
    #expect(server.routes[0].overrides.decompression == .on(settings))
    let wrong = load("", "decompress gzip").diagnostics.map(\.problem)
    #expect(wrong == ["`gzip` is none of answers, requests"])
  }
}
