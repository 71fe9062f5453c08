import Foundation
import TestPeers
import Testing

/// Chromium, where it is installed: the program itself, since what stands before it does not end with it.
let browserProgram = ["chromium-headless-shell", "chromium"]
  .map { "/usr/lib/chromium/\($0)" }
  .first { FileManager.default.isExecutableFile(atPath: $0) }

extension PeerTests {
  /// Chromium, without a window.
  ///
  /// It is large, so that `make setup` leaves it out: `scripts/setup browser`.
  @Suite(
    "A browser",
    .timeLimit(.minutes(2 * slowness)),
    .enabled(if: browserProgram != nil, "Chromium is not installed: scripts/setup browser")
  )
  struct BrowserTests {
    private static let page = """
      <!doctype html><meta charset="utf-8"><title>A page</title><script>
      const how = performance.getEntriesByType("navigation")[0].nextHopProtocol;
      const socket = new WebSocket(`wss://${location.host}/socket`);
      const heard = [];
      socket.onopen = () => { socket.send("one"); socket.send(new Uint8Array([1, 2, 3])); };
      socket.onmessage = async event => {
        heard.push(typeof event.data === "string" ? event.data : event.data.size);
        if (heard.length === 2) socket.close(1000, "enough");
      };
      socket.onerror = () => fetch("/done?error");
      socket.onclose = event => fetch(`/done?${how}&${heard.join("-")}&${event.code}`);
      </script>
      """

    @Test(
      "gets a page over HTTP/2 from `tls auto`, whose authority it trusts, and a WebSocket over it"
    )
    func page() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          // A WebSocket that sends back what it gets: frames of clients are masked.
          guard let head = try wire.receiveRequestHead() else { return }
          let key = try #require(head.fields["sec-websocket-key"])
          try wire.send(text: Self.accepting(key, rig))
          while true {
            let start = try wire.receive(exactly: 2)
            let mask = try wire.receive(exactly: 4)
            let masked = try wire.receive(exactly: Int(start[1] & 0x7F))
            let bytes = masked.enumerated().map { $1 ^ mask[$0 & 3] }
            try wire.send([start[0], UInt8(bytes.count)] + bytes)
            if start[0] & 0x0F == 8 { return }
          }
        }
        try rig.write(Self.page, to: "www/index.html")
        let martlet = try rig.martlet(
          configuration: """
            certificates { storage \(rig.path("kept")) }
            server localhost {
              listen LISTEN tls
              access_log stdout json
              tls auto
              route /socket { proxy \(member.endpoint) }
              route /done { respond 204 }
              route / { files \(rig.path("www")) }
            }
            """
        )
        guard case .port(let port) = martlet.endpoint else { throw PeerError("not a port") }
        try trust(rig)
        let program = try #require(browserProgram)
        let browser = try rig.start([
          "env", "HOME=\(rig.path("home"))", program, "--headless", "--no-sandbox",
          "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
          "--user-data-dir=\(rig.path("profile"))", "--remote-debugging-port=0",
          "https://localhost:\(port)/",
        ])
        defer { browser.end() }
        let done = try martlet.line(with: "/done?")
        #expect(done.contains("/done?h2&one-3&1000"), "\(done) \(browser.lines)")
        let socket = try martlet.line(with: "\"target\":\"/socket\"")
        #expect(socket.contains("HTTP/2.0"), "\(socket)")
      }
    }

    /// Has the browser believe the authority of this machine, by the list of the user that it reads.
    private func trust(_ rig: Rig) throws {
      let list = rig.path("home/.pki/nssdb")
      try FileManager.default.createDirectory(atPath: list, withIntermediateDirectories: true)
      for words in [
        ["-N", "--empty-password"],
        ["-A", "-t", "C,,", "-n", "martlet", "-i", rig.path("kept/local/root.pem")],
      ] {
        let outcome = try rig.outcome(of: ["certutil", "-d", "sql:\(list)"] + words)
        #expect(outcome.status == 0, "\(outcome.lines)")
      }
    }

    /// The answer that switches to a WebSocket (RFC 6455, section 4.2.2).
    private static func accepting(_ key: String, _ rig: Rig) throws -> String {
      let text = key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
      let file = try rig.write(text, to: "key-\(UInt32.random(in: 0 ... .max))")
      let digest = try rig.outcome(
        of: ["sh", "-c", "openssl dgst -sha1 -binary \(file) | openssl base64"]
      ).lines.joined()
      return "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        + "Sec-WebSocket-Accept: \(digest)\r\n\r\n"
    }
  }
}
