import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// Martlet before scripts of CGI.
  @Suite("Scripts", .timeLimit(.minutes(5 * slowness))) struct ScriptTests {
    private func martlet(_ rig: Rig, _ words: [String] = []) throws -> Peer {
      let socket = rig.path("cgi.sock")
      let command = [
        Rig.martletPath, "cgi", "--listen", "unix:\(socket)", "--root", rig.path("cgi"),
      ]
      _ = try rig.start(command + words, at: .unix(socket))
      return try rig.martlet(
        configuration: """
          loops 1
          server {
            listen LISTEN
            access_log stdout json
            body_limit 10MB
            route / {
              fastcgi unix:\(socket) {
                root \(rig.path("cgi"))
                endings .sh
                keep_connections on
              }
            }
          }
          """
      )
    }

    private func write(_ text: String, to name: String, _ rig: Rig) throws {
      let path = try rig.write("#!/bin/sh\n" + text, to: "cgi/" + name)
      try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
    }

    @Test("a shell script answers, and gets no word of the client but in its environment")
    func answers() async throws {
      try await Rig.run { rig in
        let script = """
          echo "Content-Type: text/plain"
          echo
          echo "$#|$SCRIPT_NAME|$PATH_INFO|$QUERY_STRING|$HTTP_PROXY|$(md5sum | cut -c1-32)"
          echo "this is said besides" >&2
          """
        try write(script, to: "a.sh", rig)
        let martlet = try martlet(rig)
        let bytes: [UInt8] = (0..<2_000_000).map { UInt8(truncatingIfNeeded: $0 &* 13 >> 3) }
        let file = try rig.write(bytes, to: "body")
        let sum = try rig.outcome(of: ["md5sum", file]).lines.joined().prefix(32)
        for _ in 0..<3 {
          let got = try rig.curl(
            "-H",
            "Proxy: evil",
            "--data-binary",
            "@\(file)",
            martlet.endpoint.url("/a.sh/b%20c?$(id);x")
          ).text
          #expect(got == "0|/a.sh|/b c|$(id);x||\(sum)")
        }
        #expect(try martlet.line(with: "this is said besides").contains("request_id="))
      }
    }

    @Test("a script has the time that it has, and one that does not begin has the answer 504")
    func times() async throws {
      try await Rig.run { rig in
        try write("sleep 100", to: "slow.sh", rig)
        try write("echo 'A: b'; echo; echo begun; sleep 100", to: "stuck.sh", rig)
        let martlet = try martlet(rig, ["--time", "1s"])
        func ask(_ path: String) throws -> [String] {
          try rig.outcome(
            of: ["curl", "-s", "-w", "%{http_code} %{exitcode}", martlet.endpoint.url(path)]
          ).lines
        }
        #expect(try ask("/slow.sh").last?.contains("504 0") == true)
        // What has begun breaks off, and is not taken for the whole.
        #expect(try ask("/stuck.sh") == ["begun", "200 18"])
      }
    }
  }
}
