import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// Martlet between other proxies.
  @Suite("Neighbours", .timeLimit(.minutes(5 * slowness))) struct NeighbourTests {
    private func nginxMember(_ rig: Rig) throws -> Peer {
      try rig.write([UInt8](repeating: 0x61, count: 500_000), to: "files/a")
      return try rig.nginx(
        """
        root \(rig.path("files"));
        location /store/ { dav_methods PUT; create_full_put_path on; }
        location /who { return 200 "$http_x_forwarded_for|$http_via"; }
        """
      )
    }

    /// GET, PUT and many requests on one connection, through whatever stands at `front`.
    private func check(_ front: Peer, _ rig: Rig) throws {
      try rig.curl("-o", rig.path("got"), front.endpoint.url("/a"))
      #expect(try rig.read("got") == rig.read("files/a"))
      let put = try rig.curl("-T", rig.path("files/a"), front.endpoint.url("/store/b"))
      #expect(put.status == 0)
      #expect(try rig.read("files/store/b") == rig.read("files/a"))
      let wire = try Wire(to: front.endpoint)
      for _ in 0..<100 {
        try wire.send(text: "GET /who HTTP/1.1\r\nHost: a\r\n\r\n")
        let answer = try wire.receiveAnswer()
        #expect(answer.status == 200 && answer.text.contains("martlet"))
      }
    }

    @Test("HAProxy in front")
    func behindHAProxy() async throws {
      try await Rig.run { rig in
        let martlet = try rig.martlet(to: [try nginxMember(rig).endpoint])
        try check(try rig.haproxy(to: [martlet.endpoint]), rig)
      }
    }

    @Test("nginx in front, with and without connections that are kept", arguments: [true, false])
    func behindNginx(isKept: Bool) async throws {
      try await Rig.run { rig in
        let martlet = try rig.martlet(to: [try nginxMember(rig).endpoint])
        let front = try rig.nginx(
          "location / { proxy_pass http://back; "
            + (isKept ? "proxy_http_version 1.1; proxy_set_header Connection \"\"; }" : "}"),
          outside: "upstream back { server \(martlet.endpoint); keepalive 8; }"
        )
        try check(front, rig)
      }
    }

    @Test("HAProxy behind")
    func beforeHAProxy() async throws {
      try await Rig.run { rig in
        let haproxy = try rig.haproxy(to: [try nginxMember(rig).endpoint])
        try check(try rig.martlet(to: [haproxy.endpoint]), rig)
      }
    }

    @Test("Martlet before Martlet")
    func beforeMartlet() async throws {
      try await Rig.run { rig in
        let inner = try rig.martlet(to: [try nginxMember(rig).endpoint])
        try check(try rig.martlet(to: [inner.endpoint]), rig)
      }
    }

    @Test("Python's http.server behind: files, ranges of folders, and what it does not know")
    func beforePython() async throws {
      try await Rig.run { rig in
        try rig.write([UInt8](repeating: 0x62, count: 300_000), to: "files/b")
        let place = try rig.freePort()
        let port = "\(place)".split(separator: ":")[1]
        let member = try rig.start(
          [
            "/usr/bin/python3", "-u", "-m", "http.server", String(port), "--bind", "127.0.0.1",
            "--directory", rig.path("files"),
          ],
          at: place
        )
        let martlet = try rig.martlet(to: [member.endpoint])
        try rig.curl("-o", rig.path("got"), martlet.endpoint.url("/b"))
        #expect(try rig.read("got") == rig.read("files/b"))
        #expect(try rig.curl(martlet.endpoint.url("/")).text.contains("href=\"b\""))
        #expect(try rig.curl("-I", martlet.endpoint.url("/b")).text.contains("300000"))
        let post = try rig.curl("-d", "x=1", "-w", "%{http_code}", martlet.endpoint.url("/b"))
        #expect(post.text.hasSuffix("501"))
        let old = try rig.curl("-0", "-w", "%{http_code}", martlet.endpoint.url("/none"))
        #expect(old.text.hasSuffix("404"))
      }
    }
  }
}
