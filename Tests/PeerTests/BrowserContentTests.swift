import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// What Chromium makes of files and of what a cache has: pages, films, downloads.
  @Suite(
    "A browser, of files and the cache",
    .timeLimit(.minutes(3 * slowness)),
    .enabled(if: browserProgram != nil, "Chromium is not installed: scripts/setup browser")
  )
  struct BrowserContentTests {
    /// A page that seeks in its film, once its style and its script are there.
    private static let page = """
      <!doctype html><meta charset="utf-8"><title>A film</title>
      <link rel="stylesheet" href="/page.css">
      <video id="film" src="/film.wav" preload="auto" muted></video>
      <script src="/page.js"></script>
      """
    private static let script = """
      const film = document.getElementById("film");
      const style = () => getComputedStyle(film).opacity;
      film.onloadedmetadata = () => { film.currentTime = film.duration * 0.9; };
      film.onerror = () => fetch(`/done?error-${film.error.code}-${film.error.message}`);
      film.onseeked = () => fetch(
        `/done?${Math.round(film.duration)}-${Math.round(film.currentTime)}-${style()}`);
      """
    /// 300 seconds of silence.
    private static let film: [UInt8] = {
      let count = 300 * 176_400
      func little(_ number: Int, _ bytes: Int) -> [UInt8] {
        (0..<bytes).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
      }
      let head = Array("RIFF".utf8) + little(36 + count, 4) + Array("WAVEfmt ".utf8) + little(16, 4)
      let form = little(1, 2) + little(2, 2) + little(44_100, 4) + little(176_400, 4)
      let rest = little(4, 2) + little(16, 2) + Array("data".utf8) + little(count, 4)
      return head + form + rest + [UInt8](repeating: 0, count: count)
    }()

    private func browse(_ rig: Rig, _ url: String) throws -> Peer {
      try rig.start([
        "env", "HOME=\(rig.path("home"))", try #require(browserProgram), "--headless",
        "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        "--user-data-dir=\(rig.path("profile"))", "--remote-debugging-port=0", url,
      ])
    }

    @Test(
      "shows a page with its style and script, and seeks in a film without loading all of it",
      arguments: [false, true]
    )
    func film(isCached: Bool) async throws {
      try await Rig.run { rig in
        try rig.write(Self.page, to: "www/index.html")
        try rig.write("#film { opacity: 0.25 }", to: "www/page.css")
        try rig.write(Self.script, to: "www/page.js")
        try rig.write(Self.film, to: "www/film.wav")
        for name in ["index.html", "page.css", "page.js", "film.wav"] {
          // What was just changed has no strong tag yet.
          try FileManager.default.setAttributes(
            [.modificationDate: Date(timeIntervalSinceNow: -3600)],
            ofItemAtPath: rig.path("www/\(name)")
          )
        }
        let files = "compress\nfiles \(rig.path("www")) { cache_control * max-age=60 }"
        let behind = isCached ? try rig.freePort() : nil
        let kept = behind.map { "proxy \($0)\ncache main {\nranges 1MB\n}" }
        let martlet = try rig.martlet(
          configuration: """
            cache main { memory 64MB }
            server {
              listen LISTEN
              access_log stdout json
              route /done { respond 204 }
              route / {
                \(kept ?? files)
              }
            }
            \(behind.map { "server {\nlisten \($0)\nroute / {\n\(files)\n}\n}" } ?? "")
            """
        )
        guard case .port(let port) = martlet.endpoint else { throw PeerError("not a port") }
        let browser = try browse(rig, "http://localhost:\(port)/")
        defer { browser.end() }
        let done = try martlet.line(with: "/done?")
        #expect(done.contains("/done?300-270-0.25\""), "\(done) \(browser.lines)")
        // The beginning, and what was sought.
        let asked = martlet.lines.filter { $0.contains("\"/film.wav\"") }
        #expect(asked.allSatisfy { $0.contains("\"status\":206") }, "\(asked)")
      }
    }

    /// A program that has the browser, whose commands it gives through pipes, download something.
    private static let downloader = """
      import json, os, subprocess, sys
      program, url, place = sys.argv[1:]
      to, source = place + "/to", place + "/from"
      os.mkfifo(to)
      os.mkfifo(source)
      browser = subprocess.Popen(
          ["sh", "-c", 'exec "$@" 3<%s 4>%s' % (to, source), "sh", program, "--headless",
           "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
           "--user-data-dir=" + place + "/profile", "--remote-debugging-pipe"],
          env=dict(os.environ, HOME=place))
      to, source = open(to, "wb", 0), open(source, "rb", 0)
      calls = [("Browser.setDownloadBehavior",
                {"behavior": "allow", "downloadPath": place, "eventsEnabled": True}),
               ("Target.createTarget", {"url": url})]
      for number, (method, values) in enumerate(calls):
          call = {"id": number, "method": method, "params": values}
          to.write(json.dumps(call).encode() + b"\\0")
      rest, state = b"", None
      while state not in ("completed", "canceled"):
          more = os.read(source.fileno(), 1 << 16)
          if not more:
              break
          *messages, rest = (rest + more).split(b"\\0")
          for message in map(json.loads, messages):
              if message.get("method") == "Browser.downloadProgress":
                  state = message["params"]["state"]
      print(state)
      browser.kill()
      browser.wait()
      """

    @Test("goes on with a download that broke off, from the cache as far as it came")
    func download() async throws {
      try await Rig.run { rig in
        let content: [UInt8] = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7 >> 3) }
        let ranges = Guarded<[String]>([])
        let member = try rig.member { wire in
          while let request = try wire.receiveRequest() {
            let range = request.fields["range"] ?? ""
            let isFirst = ranges.withLock { ranges in
              ranges.append(range)
              return ranges.count == 1
            }
            let first = Int(range.dropFirst("bytes=".count).prefix { $0 != "-" }) ?? 0
            let end = content.count
            let status =
              range.isEmpty
              ? "200 OK" : "206 Partial Content\r\nContent-Range: bytes \(first)-\(end - 1)/\(end)"
            try wire.send(
              text: "HTTP/1.1 \(status)\r\nCache-Control: max-age=60\r\nETag: \"a\"\r\n"
                + "Content-Type: application/octet-stream\r\nContent-Length: \(end - first)\r\n\r\n"
            )
            try wire.send(Array(content[first..<(isFirst ? 1_600_000 : end)]))
            if isFirst { return }
          }
        }
        let martlet = try rig.martlet(
          configuration: """
            cache main { memory 64MB }
            server {
              listen LISTEN
              access_log stdout json
              route / {
                proxy \(member.endpoint)
                cache main {
                  ranges asked
                }
              }
            }
            """
        )
        guard case .port(let port) = martlet.endpoint else { throw PeerError("not a port") }
        let program = try rig.write(Self.downloader, to: "download.py")
        try FileManager.default.createDirectory(
          atPath: rig.path("got"),
          withIntermediateDirectories: true
        )
        let outcome = try rig.outcome(of: [
          "timeout", "60", "python3", program, try #require(browserProgram),
          "http://localhost:\(port)/file.bin", rig.path("got"),
        ])
        #expect(outcome.lines.contains("completed"), "\(outcome.lines)")
        #expect(try rig.read("got/file.bin") == content)
        #expect(ranges.withLock { $0 } == ["", "bytes=1600000-2999999"])
      }
    }
  }
}
