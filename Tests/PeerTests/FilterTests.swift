import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// An application of FastCGI that answers with the files that it is given.
  @Suite("Filters", .timeLimit(.minutes(5 * slowness))) struct FilterTests {
    /// It tells its role, and length and digest of the content and of the file; one request after the other.
    static let program = """
      import hashlib, socketserver, struct, sys
      class Filter(socketserver.StreamRequestHandler):
          def pairs(self, data):
              found, at = {}, 0
              def length():
                  nonlocal at
                  count = data[at]
                  if count < 128:
                      at += 1
                      return count
                  at += 4
                  return struct.unpack(">I", data[at - 4:at])[0] & 0x7fffffff
              while at < len(data):
                  name, value = length(), length()
                  found[data[at:at + name].decode()] = data[at + name:at + name + value].decode()
                  at += name + value
              return found
          def handle(self):
              role, streams, ended = 0, {4: b"", 5: b"", 8: b""}, []
              while True:
                  header = self.rfile.read(8)
                  if len(header) < 8: return
                  kind, count, padding = header[1], struct.unpack(">H", header[4:6])[0], header[6]
                  content = self.rfile.read(count)
                  self.rfile.read(padding)
                  if kind == 1:
                      role, streams, ended = content[1], {4: b"", 5: b"", 8: b""}, []
                  elif count > 0: streams[kind] += content
                  else:
                      ended.append(kind)
                      if kind == 8: self.answer(role, streams, ended)
          def answer(self, role, streams, ended):
              told = self.pairs(streams[4])
              text = "\\n".join([str(role), str(ended), told["SCRIPT_FILENAME"], told["FCGI_DATA_LENGTH"],
                  str(int(told["FCGI_DATA_LAST_MOD"]) > 0), told["CONTENT_LENGTH"]]
                  + [hashlib.md5(streams[kind]).hexdigest() for kind in (5, 8)])
              body = ("Content-Type: text/plain\\r\\n\\r\\n" + text).encode()
              self.wfile.write(struct.pack(">BBHHBB", 1, 6, 1, len(body), 0, 0) + body)
              self.wfile.write(struct.pack(">BBHHBB", 1, 3, 1, 8, 0, 0) + bytes(8))
      class Server(socketserver.ThreadingTCPServer):
          allow_reuse_address = True
          daemon_threads = True
      Server(("127.0.0.1", int(sys.argv[1])), Filter).serve_forever()
      """

    private func digest(_ rig: Rig, _ bytes: [UInt8]) throws -> String {
      let file = try rig.write(bytes, to: "digested")
      return String(try rig.outcome(of: ["md5sum", file]).lines.joined().prefix(32))
    }

    @Test("a filter is given the file, and the content before it", arguments: ["off", "on"])
    func filters(keep: String) async throws {
      try await Rig.run { rig in
        let member = try rig.python(Self.program)
        let martlet = try rig.martlet(
          configuration: """
            loops 1
            server {
              listen LISTEN
              body_limit 10MB
              route / {
                fastcgi \(member.endpoint) {
                  root \(rig.path("files"))
                  filter 1MB
                  body_buffer 1MB
                  keep_connections \(keep)
                }
              }
            }
            """
        )
        let wire = try Wire(to: martlet.endpoint)
        for (name, count) in [("empty", 0), ("one", 1), ("page.html", 5000), ("large", 900_000)] {
          let data = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 13 >> 3) }
          let path = try rig.write(data, to: "files/\(name)")
          for length in [0, 1, 300_000] {
            let content = [UInt8](repeating: 65, count: length)
            let head = length == 0 ? "GET" : "POST"
            let field = length == 0 ? "" : "Content-Length: \(length)\r\n"
            try wire.send(text: "\(head) /\(name)?a HTTP/1.1\r\nHost: a\r\n\(field)\r\n")
            try wire.send(content)
            let lines = try wire.receiveAnswer().text.split(
              separator: "\n",
              omittingEmptySubsequences: false
            ).map { String($0) }
            let expected = [
              "3", "[4, 5, 8]", path, "\(count)", "True", length == 0 ? "" : "\(length)",
              try digest(rig, content), try digest(rig, data),
            ]
            #expect(lines == expected, "\(name) \(length)")
          }
        }
        try rig.write([UInt8](repeating: 1, count: 1 << 20 + 1), to: "files/too-large")
        try rig.write("hidden", to: "files/.hidden")
        for (path, status) in [("too-large", 500), ("none", 404), (".hidden", 404), ("", 404)] {
          try wire.send(text: "GET /\(path) HTTP/1.1\r\nHost: a\r\n\r\n")
          #expect(try wire.receiveAnswer().status == status, "\(path)")
        }
      }
    }
  }
}
