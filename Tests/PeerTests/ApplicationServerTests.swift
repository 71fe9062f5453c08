import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// Martlet before uWSGI, which speaks all three protocols.
  @Suite("Application servers", .timeLimit(.minutes(5 * slowness)))
  struct ApplicationServerTests {
    private static let application = """
      import hashlib

      def application(environ, start_response):
          body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
          if environ["PATH_INFO"].endswith("/away"):
              start_response("303 See Other", [("Location", "http://other.example/")])
              return [b""]
          if environ["PATH_INFO"].endswith("/fails"):
              environ["wsgi.errors"].write("something went wrong\\n")
              environ["wsgi.errors"].flush()
              raise ValueError("on purpose")
          start_response("200 Fine", [("Content-Type", "text/plain")])
          names = ["SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "REMOTE_ADDR", "REQUEST_METHOD"]
          words = [environ.get(name, "") for name in names]
          words.append("%d" % len(body))
          words.append(hashlib.md5(body).hexdigest())
          return ["|".join(words).encode()]
      """

    private func server(_ rig: Rig, _ kind: String) throws -> Peer {
      let file = try rig.write(Self.application, to: "app.py")
      let socket = rig.path(kind + ".sock")
      return try rig.start(
        [
          "uwsgi", "--plugin", "python3", "--wsgi-file", file, "--need-app", "--manage-script-name",
          "--\(kind)-socket", socket, "--chmod-socket=666", "--die-on-term",
        ],
        at: .unix(socket)
      )
    }

    private func martlet(_ rig: Rig, _ kind: String) throws -> Peer {
      try rig.martlet(
        configuration: """
          loops 1
          server {
            listen LISTEN
            body_limit 20MB
            access_log stdout json
            route /shop/ {
              strip_prefix /shop
              \(kind) unix:\(rig.path(kind + ".sock")) { body_buffer 10MB }
            }
            route / { \(kind) unix:\(rig.path(kind + ".sock")) { body_buffer 10MB } }
          }
          """
      )
    }

    @Test("uWSGI serves by each of its protocols", arguments: ["uwsgi", "scgi", "fastcgi"])
    func serves(kind: String) async throws {
      try await Rig.run { rig in
        _ = try server(rig, kind)
        let martlet = try martlet(rig, kind)
        let empty = "0|d41d8cd98f00b204e9800998ecf8427e"
        for version in ["--http1.1", "--http2-prior-knowledge"] {
          let got = try rig.curl(version, martlet.endpoint.url("/a%20b/c?d=e")).text
          #expect(got == "|/a b/c|d=e|127.0.0.1|GET|\(empty)")
        }
        let below = try rig.curl(martlet.endpoint.url("/shop/cart")).text
        #expect(below == "/shop|/cart||127.0.0.1|GET|\(empty)")
        let away = try rig.curl(
          "-o",
          "/dev/null",
          "-w",
          "%{http_code} %{redirect_url}",
          martlet.endpoint.url("/away")
        ).text
        #expect(away == "303 http://other.example/")
        #expect(try rig.curl("-I", martlet.endpoint.url("/")).text.contains("200 Fine"))
      }
    }

    @Test(
      "bodies reach an application whole by each protocol",
      arguments: ["uwsgi", "scgi", "fastcgi"]
    )
    func bodies(kind: String) async throws {
      try await Rig.run { rig in
        _ = try server(rig, kind)
        let martlet = try martlet(rig, kind)
        for count in [1, 20_000, 3_000_000] {
          let bytes: [UInt8] = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 >> 2) }
          let file = try rig.write(bytes, to: "body")
          let sum = try rig.outcome(of: ["md5sum", file]).lines.joined().prefix(32)
          for more in [[], ["-H", "Transfer-Encoding: chunked"]] {
            let words = ["curl", "-sS"] + more + ["--data-binary", "@\(file)"]
            let got = try rig.outcome(of: words + [martlet.endpoint.url("/up")]).lines
            #expect(got == ["|/up||127.0.0.1|POST|\(count)|\(sum)"], "\(more)")
          }
        }
      }
    }
  }
}
