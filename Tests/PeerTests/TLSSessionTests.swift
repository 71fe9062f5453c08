import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// What openssl and Martlet agree on, and what becomes of handshakes that fail.
  @Suite("TLS sessions", .timeLimit(.minutes(5 * slowness))) struct TLSSessionTests {
    private func start(_ rig: Rig, _ tls: String = "", listen: String = "") throws -> Peer {
      let files = try rig.certificate("shop", for: ["shop.example"])
      return try rig.martlet(
        configuration: """
          server shop.example {
            listen LISTEN tls \(listen)
            certificate \(files.certificate) \(files.key)
            \(tls)
            route / { respond 200 "{tls.version} {tls.cipher} {tls.resumed} {client.address}" }
          }
          """
      )
    }

    private static let request = "GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n"

    @Test(
      "are continued by ticket and by identifier",
      arguments: [["-tls1_3"], ["-tls1_2"], ["-tls1_2", "-no_ticket"]]
    )
    func resumption(options: [String]) async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        let session = rig.path("session")
        func connect(_ words: [String]) throws -> [String] {
          let file = try rig.write(Self.request, to: "request")
          let all = ["openssl", "s_client", "-ign_eof", "-connect", "\(martlet.endpoint)"] + words
          return try rig.outcome(
            of: ["sh", "-c", "\(all.joined(separator: " ")) <\(file) 2>&1"]
          ).lines
        }
        let first = try connect(options + ["-sess_out", session])
        #expect(first.contains { $0.contains(" no 127.0.0.1") })
        let second = try connect(options + ["-sess_in", session])
        #expect(second.contains { $0.hasPrefix("Reused") })
        #expect(second.contains { $0.contains(" yes 127.0.0.1") })
      }
    }

    @Test("are not continued where that is not wanted")
    func noTickets() async throws {
      try await Rig.run { rig in
        let martlet = try start(rig, "tls { policy modern\n tickets off }")
        let told = try rig.openssl(to: martlet.endpoint, "-tls1_2")
        #expect(told.lines.contains { $0.contains("alert protocol version") })
        try martlet.line(with: "reason=version")
      }
    }

    @Test(
      "have the ciphers that are asked for",
      arguments: [
        ("policy intermediate", "-tls1_2", "ECDHE-ECDSA-AES256-GCM-SHA384"),
        ("policy old\n versions 1.2", "-tls1_2", "ECDHE-ECDSA-AES128-GCM-SHA256"),
        ("ciphers ECDHE-ECDSA-CHACHA20-POLY1305", "-tls1_2", "ECDHE-ECDSA-CHACHA20-POLY1305"),
        ("suites TLS_CHACHA20_POLY1305_SHA256", "-tls1_3", "TLS_CHACHA20_POLY1305_SHA256"),
      ]
    )
    func ciphers(block: String, version: String, cipher: String) async throws {
      try await Rig.run { rig in
        let martlet = try start(rig, "tls {\n\(block)\n}")
        let told = try rig.openssl(to: martlet.endpoint, version)
        #expect(told.lines.contains { $0.hasSuffix("Cipher is \(cipher)") })
      }
    }

    @Test(
      "fail with a reason",
      arguments: [
        (["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], "version"),
        (["-tls1_2", "-cipher", "AES128-SHA"], "cipher"), (["-alpn", "foo"], "alpn"),
        (["-tls1_3", "-groups", "ffdhe2048"], "cipher"),
      ]
    )
    func failures(options: [String], reason: String) async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        let outcome = try rig.outcome(
          of: ["openssl", "s_client", "-connect", "\(martlet.endpoint)"] + options
        )
        #expect(outcome.status != 0)
        try martlet.line(with: "reason=\(reason)")
        let status = try rig.martlet(command: "status").lines.joined(separator: "\n")
        #expect(status.contains("\(reason) 1"), "\(status)")
      }
    }

    @Test("are protected from those who do not begin, or stop in between")
    func silence() async throws {
      try await Rig.run { rig in
        let martlet = try start(rig, "tls { handshake_timeout 300ms }")
        let silent = try Wire(to: martlet.endpoint)
        let half = try Wire(to: martlet.endpoint)
        try half.send([0x16, 0x03, 0x01, 0x02])
        #expect(try silent.receiveRest().isEmpty)
        #expect(try half.receiveRest().isEmpty)
        try martlet.line(with: "reason=late")
        let told = try rig.openssl(to: martlet.endpoint)
        #expect(told.lines.contains { $0.hasPrefix("New, TLSv1.3") })
      }
    }

    @Test("do not mind what strangers send", arguments: 0..<4)
    func noise(seed: Int) async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        let hello = try Self.hello(rig)
        var state = UInt64(seed + 1) &* 0x9E37_79B9_7F4A_7C15
        func next(_ bound: Int) -> Int {
          state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
          return Int(state >> 33) % bound
        }
        for round in 0..<150 {
          var bytes = hello
          switch round % 5 {
          case 0: bytes = (0..<next(600)).map { _ in UInt8(next(256)) }
          case 1: bytes.removeLast(next(bytes.count))
          case 2: for _ in 0...next(8) { bytes[next(bytes.count)] = UInt8(next(256)) }
          // A record that is longer than any may be.
          case 3: bytes.replaceSubrange(3..<5, with: [0xFF, 0xFF])
          default: bytes += bytes
          }
          let wire = try Wire(to: martlet.endpoint)
          do {
            let cut = next(max(1, bytes.count))
            try wire.send(Array(bytes[..<cut]))
            try wire.send(Array(bytes[cut...]))
            wire.finishSending()
            _ = try wire.receiveRest()
          } catch Wire.Failure.reset {
            continue
          }
        }
        let told = try rig.openssl(to: martlet.endpoint)
        #expect(told.lines.contains { $0.hasPrefix("New, TLSv1.3") })
        #expect(martlet.isRunning)
        #expect(!martlet.lines.contains { $0.contains("starting another") })
      }
    }

    /// The first message of openssl.
    private static func hello(_ rig: Rig) throws -> [UInt8] {
      let seen = Guarded<[UInt8]>([])
      let member = try rig.member { wire in
        let bytes = try wire.receive()
        seen.withLock { $0 = bytes }
      }
      _ = try rig.openssl(to: member.endpoint, "-servername", "shop.example")
      return seen.withLock { $0 }
    }

    @Test("can begin byte by byte, and may come behind a PROXY header")
    func fragments() async throws {
      try await Rig.run { rig in
        let martlet = try start(rig, listen: "proxy_protocol optional from 127.0.0.1/32")
        // A relay that passes each byte by itself.
        let program = """
          import socket, sys, threading, time
          server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
          def passes(source, target, piece):
              while True:
                  data = source.recv(65536)
                  if not data:
                      break
                  for start in range(0, len(data), piece):
                      target.sendall(data[start:start + piece])
              try:
                  target.shutdown(socket.SHUT_WR)
              except OSError:
                  pass
          while True:
              client, _ = server.accept()
              member = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
              member.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
              member.sendall(sys.argv[3].encode().decode("unicode_escape").encode())
              threading.Thread(target=passes, args=(client, member, 1), daemon=True).start()
              threading.Thread(target=passes, args=(member, client, 1000), daemon=True).start()
          """
        guard case .port(let port) = martlet.endpoint else { throw PeerError("not a port") }
        for header in ["", "PROXY TCP4 192.0.2.7 127.0.0.1 1000 443\\r\\n"] {
          let relay = try rig.python(program, ["\(port)", header])
          guard case .port(let front) = relay.endpoint else { throw PeerError("not a port") }
          let answer = try rig.curl(
            "--insecure",
            "-H",
            "Host: shop.example",
            "https://127.0.0.1:\(front)/"
          )
          #expect(answer.text.hasPrefix("TLSv1.3"))
          #expect(answer.text.hasSuffix(header.isEmpty ? "127.0.0.1" : "192.0.2.7"))
        }
      }
    }

    @Test("do not change their keys at the client's wish in TLS 1.2, and do in TLS 1.3")
    func renegotiation() async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        let program = """
          import subprocess, sys
          def run(version, command):
              client = subprocess.Popen(
                  ["openssl", "s_client", "-connect", sys.argv[1], version],
                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
              request = b"GET / HTTP/1.1\\r\\nHost: shop.example\\r\\n\\r\\n"
              client.stdin.write(command)
              client.stdin.flush()
              output, _ = client.communicate(request, timeout=5)
              return output
          print(b"no renegotiation" in run("-tls1_2", b"R\\n"))
          """
        let file = try rig.write(program, to: "renegotiate.py")
        let outcome = try rig.outcome(of: ["/usr/bin/python3", file, "\(martlet.endpoint)"])
        #expect(outcome.lines.last == "True")
      }
    }
  }
}
