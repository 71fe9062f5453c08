import ArgumentParser
import Directives
import JSON
import MartletLoop
import MartletProcess
import MartletSystem
import Supervision
import Synchronization

extension CacheCommand {
  /// `martlet cache warm`.
  struct WarmCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "warm",
      abstract: "Ask for URLs, so that their answers are kept before somebody else asks.",
      discussion: """
        URLs are those that are named, those in a file (one a line, `-` is standard input), and those of a \
        sitemap. Each is asked for once, as a client would, at the host in it, or at the place that --connect \
        names; certificates are verified unless that does.
        """
    )

    @Argument(help: ArgumentHelp("As `https://shop.example/logo.svg`.", valueName: "url"))
    var urls: [String] = []

    @Option(
      name: .long,
      help: ArgumentHelp("A file with URLs, or `-`.", valueName: "file"),
      completion: .file()
    )
    var from: String?

    @Option(
      name: .long,
      help: ArgumentHelp(
        "A sitemap, or an index of some: a file or a URL.",
        valueName: "file or url"
      )
    )
    var sitemap: String?

    @Option(name: .long, help: ArgumentHelp("How many at once, 1 to 256.", valueName: "number"))
    var concurrency = 8

    @Option(
      name: .long,
      help: ArgumentHelp("Where to connect, as `127.0.0.1:8080`.", valueName: "address")
    )
    var connect: String?

    @Option(
      name: .long,
      help: ArgumentHelp(
        "A field of the requests, as `Accept-Encoding: gzip`; may be repeated.",
        valueName: "field"
      )
    )
    var header: [String] = []

    @Flag(name: .long, help: "Print one JSON object.") var json = false

    /// The most URLs, and the most bytes that are read of a list.
    private static let urlLimit = 1_000_000
    private static let listBytes = 256 << 20

    func validate() throws {
      guard (1...256).contains(concurrency) else {
        throw ValidationError("--concurrency: write a number from 1 to 256")
      }
      guard !urls.isEmpty || from != nil || sitemap != nil else {
        throw ValidationError("Name a URL, --from or --sitemap")
      }
      for field in header where !Self.isField(field) {
        throw ValidationError("--header: write it as `Accept-Encoding: gzip`")
      }
    }

    /// Whether a text is a field of a request, as `Accept: text/html`.
    static func isField(_ text: String) -> Bool {
      guard let colon = text.utf8.firstIndex(of: 0x3A), colon > text.utf8.startIndex else {
        return false
      }
      return text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
        && text.utf8[..<colon].allSatisfy { $0 > 0x20 && $0 < 0x7F }
    }

    func run() throws {
      let place = try connect.map { text in
        do throws(ValueError) { return try Address(text) } catch {
          throw ValidationError("--connect: \(error.problem)")
        }
      }
      let listed = try from.map { try Self.lines(of: $0) } ?? []
      let client = WarmClient.Options(place: place, fields: header)
      let (sitemap, urls, count) = (sitemap, urls + listed, concurrency)
      let results = Mutex<[WarmResult]>([])
      let failure = Mutex<CommandFailure?>(nil)
      let loop = try EventLoop()
      loop.run(until: {
        do throws(CommandFailure) {
          let warming = try Warming(on: loop, client)
          var all = urls
          if let sitemap { all += try await warming.urls(of: sitemap, limit: Self.urlLimit) }
          let found = try await warming.ask(Array(all.prefix(Self.urlLimit)), atOnce: count)
          results.withLock { $0 = found }
        } catch {
          failure.withLock { $0 = error }
        }
      })
      if let failure = failure.withLock(\.self) { throw failure }
      try tell(results.withLock(\.self))
    }

    private static func lines(of file: String) throws -> [String] {
      do throws(SystemError) {
        let bytes =
          file == "-"
          ? try Descriptor(adopting: 0).readAll(limit: listBytes)
          : try Files.read(file, limit: listBytes)
        return String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline)
          .map { $0.drop { $0 == " " || $0 == "\t" } }
          .map { String($0.prefix { $0 != " " && $0 != "\t" }) }
          .filter { !$0.isEmpty && !$0.hasPrefix("#") }
      } catch {
        throw CommandFailure(.failure, "cannot read \(file): \(error)")
      }
    }

    private func tell(_ results: [WarmResult]) throws {
      let failed = results.filter { $0.problem != nil }
      let kept = results.count { $0.isKept }
      let hits = results.count { $0.isHit }
      if json {
        let object = JSONValue.object([
          "urls": .number(results.count), "kept": .number(kept), "hits": .number(hits),
          "failed": .number(failed.count), "results": .list(results.map(\.json)),
        ])
        Console.say(object.formatted())
      } else {
        for result in failed { Console.complain("\(result.url): \(result.problem ?? "")") }
        Console.say(
          "\(results.count) URLs: \(kept) kept now, \(hits) were there before, \(failed.count) failed, "
            + "\(results.count - kept - hits - failed.count) are not kept"
        )
      }
      if !failed.isEmpty { throw CommandFailure(.failure, "") }
    }
  }
}

/// What came of asking for a URL.
struct WarmResult: Sendable {
  var url: String
  var status = 0
  var byteCount = 0
  /// What the cache has said of it.
  var cache = ""
  /// Why there is no answer; nil: there is one.
  var problem: String?

  /// Whether it was there before.
  var isHit: Bool { problem == nil && cache.contains("; hit") }
  /// Whether it is kept from now on.
  var isKept: Bool {
    problem == nil && (cache.hasSuffix("; stored") || cache.contains("; stored;"))
  }

  var json: JSONValue {
    .object([
      "url": .text(url), "status": .number(status), "bytes": .number(byteCount),
      "cache": .text(cache), "problem": problem.map { .text($0) } ?? .null,
    ])
  }
}

/// Asks for many URLs, some at a time.
final class Warming {
  private let loop: EventLoop
  private let client: WarmClient

  init(on loop: EventLoop, _ options: WarmClient.Options) throws(CommandFailure) {
    self.loop = loop
    client = try WarmClient(on: loop, options)
  }

  /// Asks for all of them; the results are in their order.
  func ask(_ urls: [String], atOnce count: Int) async throws(CommandFailure) -> [WarmResult] {
    let client = client
    do {
      return try await loop.map(urls, atMost: count, named: "warm the cache") { url in
        var result = await client.ask(url, keeping: 0).result
        if result.problem == nil, !(200..<400).contains(result.status) {
          result.problem = "the answer is \(result.status)"
        }
        return result
      }
    } catch {
      throw CommandFailure(.failure, "\(error)")
    }
  }

  private static let sitemapBytes = 64 << 20
  private static let sitemapCount = 1000

  /// The URLs of a sitemap, or of those that it names.
  func urls(of sitemap: String, limit: Int) async throws(CommandFailure) -> [String] {
    var urls: [String] = []
    var maps = [sitemap]
    var place = 0
    while place < maps.count, urls.count < limit {
      let text = try await text(of: maps[place])
      let isIndex = text.contains("<sitemapindex")
      let found = Self.locations(in: text)
      if isIndex {
        maps += found.prefix(max(0, Self.sitemapCount - maps.count))
      } else {
        urls += found
      }
      place += 1
    }
    return urls
  }

  private func text(of sitemap: String) async throws(CommandFailure) -> String {
    if !sitemap.hasPrefix("http://"), !sitemap.hasPrefix("https://") {
      do throws(SystemError) {
        return String(
          decoding: try Files.read(sitemap, limit: Self.sitemapBytes),
          as: UTF8.self
        )
      } catch {
        throw CommandFailure(.failure, "cannot read \(sitemap): \(error)")
      }
    }
    let (result, body) = await client.ask(sitemap, keeping: Self.sitemapBytes)
    guard result.problem == nil, result.status == 200 else {
      let problem = result.problem ?? "the answer is \(result.status)"
      throw CommandFailure(.failure, "cannot read \(sitemap): \(problem)")
    }
    return String(decoding: body, as: UTF8.self)
  }

  /// What stands between `<loc>` and `</loc>`.
  static func locations(in text: String) -> [String] {
    var found: [String] = []
    var bytes = Array(text.utf8)[...]
    let (open, close) = (Array("<loc>".utf8), Array("</loc>".utf8))
    while let start = bytes.firstIndex(of: 0x3C) {
      bytes = bytes[start...]
      guard bytes.starts(with: open) else {
        bytes = bytes.dropFirst()
        continue
      }
      bytes = bytes.dropFirst(open.count)
      let end = bytes.firstIndex(of: 0x3C) ?? bytes.endIndex
      let value = bytes[..<end]
      bytes = bytes[end...]
      guard bytes.starts(with: close) else { continue }
      let trimmed = value.drop { $0 <= 0x20 }.reversed().drop { $0 <= 0x20 }.reversed()
      found.append(unescaped(String(decoding: trimmed, as: UTF8.self)))
    }
    return found
  }

  private static func unescaped(_ text: String) -> String {
    guard text.utf8.contains(0x26) else { return text }
    var result = ""
    for (index, part) in text.split(separator: "&", omittingEmptySubsequences: false).enumerated() {
      if index == 0 {
        result += part
        continue
      }
      let marks = [("amp;", "&"), ("lt;", "<"), ("gt;", ">"), ("quot;", "\""), ("apos;", "'")]
      if let mark = marks.first(where: { part.hasPrefix($0.0) }) {
        result += mark.1 + part.dropFirst(mark.0.count)
      } else {
        result += "&" + part
      }
    }
    return result
  }
}
