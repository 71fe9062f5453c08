import Configuration
import Foundation
import HTTPMessage
import StaticFiles
import Testing

/// A folder of files with a store, and a clock that the test turns.
private final class Shop {
  let folder: URL
  let store: FileStore
  var now: Int64 = 1

  init(_ change: (inout FilesSettings) -> Void = { _ in }) throws {
    folder = FileManager.default.temporaryDirectory
      .appendingPathComponent("martlet-files-\(UInt64.random(in: 0 ..< .max))")
    try FileManager.default.createDirectory(
      at: folder.appendingPathComponent("root/sub"),
      withIntermediateDirectories: true
    )
    var settings = FilesSettings(root: folder.appendingPathComponent("root").path)
    change(&settings)
    store = FileStore(FileRules(settings))
  }

  deinit {
    do { try FileManager.default.removeItem(at: folder) } catch { return }
  }

  func path(_ name: String) -> String { folder.appendingPathComponent("root/\(name)").path }

  /// Writes a file that was changed an hour ago.
  func write(_ text: String, _ name: String, age: TimeInterval = 3600) throws {
    try Data(text.utf8).write(to: URL(fileURLWithPath: path(name)))
    try FileManager.default.setAttributes(
      [.modificationDate: Date(timeIntervalSinceNow: -age)],
      ofItemAtPath: path(name)
    )
  }

  func link(_ name: String, to target: String) throws {
    try FileManager.default.createSymbolicLink(atPath: path(name), withDestinationPath: target)
  }

  func find(_ path: String) -> (content: String, outcome: FileStore.Outcome) {
    let bytes = Array(path.utf8)
    let time = FileTime(nanoseconds: Int64(Date().timeIntervalSince1970 * 1e9))
    let (entry, outcome) = store.find(bytes.span, at: now, time)
    switch entry.content {
    case .file(let file):
      return (String(decoding: file.identity.bytes ?? [], as: UTF8.self), outcome)
    case .lacksSlash: return ("slash", outcome)
    case .listing(let path):
      return ("listing \(String(decoding: path.bytes, as: UTF8.self))", outcome)
    case .nothing(let absence): return ("\(absence.kind)", outcome)
    }
  }

  func file(_ path: String) -> ServedFile? {
    let bytes = Array(path.utf8)
    let time = FileTime(nanoseconds: Int64(Date().timeIntervalSince1970 * 1e9))
    if case .file(let file) = store.find(bytes.span, at: now, time).entry.content { return file }
    return nil
  }

  func pass(_ seconds: Double) { now += Int64(seconds * 1e9) }
}

@Suite("Stores of files") struct FileStoreTests {
  @Test("a file is opened once, and looked at again when its time has come")
  func caches() throws {
    let shop = try Shop()
    try shop.write("one", "a.txt")
    #expect(shop.find("/a.txt") == ("one", .opened))
    #expect(shop.find("/a.txt") == ("one", .hit))
    try shop.write("two", "a.txt", age: 1800)
    #expect(shop.find("/a.txt") == ("one", .hit))
    shop.pass(1)
    #expect(shop.find("/a.txt") == ("two", .opened))
    shop.pass(1)
    #expect(shop.find("/a.txt") == ("two", .checked))
    try FileManager.default.removeItem(atPath: shop.path("a.txt"))
    shop.pass(1)
    #expect(shop.find("/a.txt") == ("missing", .missing))
    #expect(shop.store.fileCount == 0 && shop.store.keptBytes == 0)
    try shop.write("three", "a.txt")
    #expect(shop.find("/a.txt") == ("missing", .missing))
    shop.pass(1)
    #expect(shop.find("/a.txt") == ("three", .opened))
  }

  @Test("with no time to believe it everything is looked at for each request")
  func noCache() throws {
    let shop = try Shop { $0.cache.valid = .zero }
    try shop.write("one", "a.txt")
    #expect(shop.find("/a.txt") == ("one", .opened))
    try shop.write("two", "a.txt", age: 1800)
    #expect(shop.find("/a.txt") == ("two", .opened))
    #expect(shop.find("/a.txt") == ("two", .checked))
  }

  @Test("at most so many files are kept, and so many bytes")
  func bounds() throws {
    let shop = try Shop {
      $0.cache.count = 10
      $0.cache.memoryBytes = 500
    }
    for index in 0..<100 { try shop.write(String(repeating: "x", count: 100), "\(index)") }
    for index in 0..<100 {
      #expect(shop.find("/\(index)").outcome == .opened)
      #expect(shop.store.fileCount <= 10 && shop.store.keptBytes <= 500)
    }
    // What is asked for again and again stays.
    #expect(shop.find("/99").outcome == .hit)
    for index in 0..<20 {
      _ = shop.find("/\(index)")
      #expect(shop.find("/99").outcome == .hit)
    }
    // Questions for what is not there drive nothing out.
    for index in 1000..<2000 { #expect(shop.find("/\(index)").outcome == .missing) }
    #expect(shop.find("/99").outcome == .hit)
  }

  @Test("a folder is its index, lacks its slash, or is shown")
  func folders() throws {
    let shop = try Shop { $0.indexNames = ["a.html", "index.html"] }
    #expect(shop.find("/sub").content == "slash")
    #expect(shop.find("/sub/").content == "missing")
    try shop.write("index", "sub/index.html")
    shop.pass(1)
    #expect(shop.find("/sub/").content == "index")
    #expect(shop.find("/sub/index.html").content == "index")
    #expect(shop.find("/sub/index.html/").content == "missing")
    let showing = try Shop { $0.listing = .on }
    #expect(showing.find("/sub/").content == "listing sub")
    #expect(showing.find("/").content == "listing ")
  }

  @Test("candidates are tried in turn")
  func candidates() throws {
    let shop = try Shop {
      $0.candidates = [.file(after: ""), .file(after: ".html"), .folder, .fixed("/app.html")]
    }
    try shop.write("app", "app.html")
    try shop.write("about", "about.html")
    try shop.write("index", "sub/index.html")
    #expect(shop.find("/about").content == "about")
    #expect(shop.find("/about.html").content == "about")
    #expect(shop.find("/sub").content == "slash")
    #expect(shop.find("/sub/").content == "index")
    #expect(shop.find("/anything/else").content == "app")
    #expect(shop.find("/..").content == "missing")
    let status = try Shop { $0.candidates = [.file(after: ""), .status(410)] }
    #expect(status.find("/gone").content == "status(410)")
  }

  @Test(
    "links are followed as the rule says",
    arguments: [
      (FileLinks.never, ["forbidden", "forbidden", "forbidden"]),
      (.inside, ["inner", "forbidden", "forbidden"]), (.owner, ["inner", "outer", "outer"]),
      (.all, ["inner", "outer", "outer"]),
    ]
  )
  func links(rule: FileLinks, expected: [String]) throws {
    let shop = try Shop { $0.links = rule }
    try shop.write("inner", "sub/inner.txt")
    try shop.write("outer", "../outer.txt")
    try shop.link("in.txt", to: "sub/inner.txt")
    try shop.link("out.txt", to: "../outer.txt")
    try shop.link("far.txt", to: shop.folder.appendingPathComponent("outer.txt").path)
    try shop.link("round", to: "round")
    #expect(["/in.txt", "/out.txt", "/far.txt"].map { shop.find($0).content } == expected)
    #expect(shop.find("/round").content == "forbidden")
    #expect(shop.find("/sub/inner.txt").content == "inner")
  }

  @Test("a link belongs to the owner of its target, or is refused")
  func owners() throws {
    guard getuid() == 0 else { return }
    let shop = try Shop { $0.links = .owner }
    try shop.write("text", "a.txt")
    try shop.link("b.txt", to: "a.txt")
    let isGiven = unsafe lchown(shop.path("b.txt"), 1234, 1234) == 0
    #expect(isGiven)
    #expect(shop.find("/b.txt").content == "forbidden")
  }

  @Test("what is no file is none")
  func kinds() throws {
    let shop = try Shop()
    let isMade = unsafe mkfifo(shop.path("pipe"), 0o600) == 0
    #expect(isMade)
    #expect(shop.find("/pipe").content == "missing")
    #expect(shop.find("/none").content == "missing")
    #expect(shop.find("/none/none").content == "missing")
    try shop.write("text", ".secret")
    #expect(shop.find("/.secret").content == "missing")
  }

  @Test("a root that is exchanged is taken notice of")
  func exchangedRoot() throws {
    let base = try Shop()
    let current = base.path("current")
    for name in ["one", "two"] {
      try FileManager.default.createDirectory(
        atPath: base.path(name),
        withIntermediateDirectories: true
      )
      try base.write(name, "\(name)/a.txt")
    }
    try base.link("current", to: "one")
    let shop = try Shop { $0.root = current }
    #expect(shop.find("/a.txt").content == "one")
    try FileManager.default.removeItem(atPath: current)
    try base.link("current", to: "two")
    shop.pass(1)
    #expect(shop.find("/a.txt").content == "two")
  }

  @Test("a file that was just changed has a weak tag until it can have a strong one")
  func youngTags() throws {
    let shop = try Shop()
    try shop.write("text", "old.txt")
    try shop.write("text", "young.txt", age: 0)
    let old = try #require(shop.file("/old.txt")?.identity)
    let young = try #require(shop.file("/young.txt")?.identity)
    #expect(old.tag.first == UInt8(ascii: "\""))
    #expect(young.tag.starts(with: Array("W/".utf8)))
    let weak = try Shop { $0.tags = .weak }
    try weak.write("text", "old.txt")
    #expect(weak.file("/old.txt")?.identity.tag.starts(with: Array("W/".utf8)) == true)
    let off = try Shop { $0.tags = .off }
    try off.write("text", "old.txt")
    #expect(off.file("/old.txt")?.identity.tag.isEmpty == true)
  }

  @Test("compressed forms are used as clients like them, unless they are older")
  func variants() throws {
    let shop = try Shop { $0.codings = [.brotli, .zstandard, .gzip] }
    try shop.write("plain text, which is long", "a.txt")
    try shop.write("brotli", "a.txt.br", age: 1800)
    try shop.write("gzip...", "a.txt.gz")
    try shop.write("zstd, but old", "a.txt.zst", age: 7200)
    let file = try #require(shop.file("/a.txt"))
    #expect(file.variants.map(\.coding) == [.brotli, .gzip])
    func chosen(_ value: String?) -> String {
      var head = RequestHead()
      let bytes = Array((value ?? "").utf8)
      if value != nil {
        head.fields.append(
          FieldLine(
            name: .acceptEncoding,
            nameRange: ByteRange(),
            valueRange: ByteRange(0..<bytes.count),
            lineEnd: 0,
            isHopByHop: false
          )
        )
      }
      return String(
        decoding: file.representation(for: head, in: bytes.span).bytes ?? [],
        as: UTF8.self
      )
    }
    #expect(chosen("br, gzip") == "brotli")
    #expect(chosen("gzip") == "gzip...")
    #expect(chosen("gzip, br;q=0.5") == "gzip...")
    #expect(chosen("zstd").hasPrefix("plain"))
    #expect(chosen(nil).hasPrefix("plain"))
    #expect(chosen("identity, br;q=0.5").hasPrefix("plain"))
    #expect(chosen("identity;q=0, *;q=0").hasPrefix("plain"))
    let lines = String(decoding: file.variants[0].whole, as: UTF8.self)
    #expect(lines.contains("Content-Encoding: br\r\n"))
    #expect(lines.contains("Vary: Accept-Encoding\r\n"))
    #expect(lines.contains("Content-Type: text/plain; charset=utf-8\r\n"))
    #expect(file.variants[0].tag != file.identity.tag)
  }

  @Test("caches are told what the first rule says that takes the path")
  func cacheControl() throws {
    let shop = try Shop {
      $0.cacheRules = [
        FileCacheRule(patterns: [TextPattern("*.css"), TextPattern("*.js")], value: "max-age=60"),
        FileCacheRule(patterns: [TextPattern("/sub/*")], value: "no-store"),
      ]
    }
    for name in ["a.css", "sub/a.css", "sub/a.txt", "a.txt"] { try shop.write("x", name) }
    func said(_ path: String) throws -> String {
      String(decoding: try #require(shop.file(path)).identity.shared, as: UTF8.self)
    }
    #expect(try said("/a.css").contains("Cache-Control: max-age=60\r\n"))
    #expect(try said("/sub/a.css").contains("Cache-Control: max-age=60\r\n"))
    #expect(try said("/sub/a.txt").contains("Cache-Control: no-store\r\n"))
    #expect(try !said("/a.txt").contains("Cache-Control"))
  }

  @Test("a file beyond the limit is kept open instead of in memory")
  func large() throws {
    let shop = try Shop { $0.cache.fileBytes = 10 }
    try shop.write("0123456789", "small")
    try shop.write("0123456789a", "large")
    try shop.write("", "empty")
    #expect(shop.file("/small")?.identity.bytes?.count == 10)
    #expect(shop.file("/large")?.identity.bytes == nil)
    #expect(shop.file("/large")?.identity.file != nil)
    #expect(shop.file("/empty")?.identity.bytes?.isEmpty == true)
    #expect(shop.store.keptBytes == 10)
  }
}
