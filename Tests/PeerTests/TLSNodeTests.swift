import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// Several machines of one name, and one whose certificates change under load.
  @Suite("TLS of several nodes, and over reloads", .timeLimit(.minutes(2 * slowness)))
  struct TLSNodeTests {
    /// Starts one of several instances with a state directory of its own.
    private func node(
      _ rig: Rig,
      _ name: String,
      _ files: Rig.CertificateFiles,
      secret: String
    ) throws -> Peer {
      let place = try rig.freePort()
      let file = try rig.write(
        """
        server shop.example {
          listen \(place) tls
          certificate \(files.certificate) \(files.key)
          tls { ticket_secret \(secret) }
          route / { respond 200 "{tls.resumed}" }
        }
        """,
        to: "\(name).conf"
      )
      let state = rig.path("state-\(name)")
      let peer = try rig.start(
        [Rig.martletPath, "run", "--config", file, "--state-directory", state],
        at: place
      )
      try peer.line(with: "listens on")
      return peer
    }

    private static let request = "GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n"

    @Test(
      "sessions go on at another node that shares the secret, and at no other one",
      arguments: ["-tls1_2", "-tls1_3"]
    )
    func shared(version: String) async throws {
      try await Rig.run { rig in
        let files = try rig.certificate("shop", for: ["shop.example"])
        let secret = try rig.write([UInt8](repeating: 7, count: 64), to: "secret")
        let other = try rig.write([UInt8](repeating: 8, count: 64), to: "other")
        let first = try node(rig, "first", files, secret: secret)
        let second = try node(rig, "second", files, secret: secret)
        let stranger = try node(rig, "stranger", files, secret: other)
        let session = rig.path("session")
        func connect(_ peer: Peer, _ word: String) throws -> [String] {
          try rig.openssl(
            to: peer.endpoint,
            version,
            "-servername",
            "shop.example",
            "-ign_eof",
            word,
            session,
            input: Self.request
          ).lines
        }
        #expect(try connect(first, "-sess_out").contains { $0.hasPrefix("New, TLSv1") })
        let again = try connect(second, "-sess_in")
        #expect(again.contains { $0.hasPrefix("Reused, TLSv1") }, "\(again)")
        #expect(again.contains { $0.hasPrefix("yes") }, "\(again)")
        #expect(try connect(stranger, "-sess_in").contains { $0.hasPrefix("New, TLSv1") })
      }
    }

    /// Begins connections one after the other in several threads, until its input ends; tells how many there were,
    /// and what failed.
    private static let client = """
      import socket, ssl, sys, threading
      context = ssl._create_unverified_context()
      counts, problems, is_over = [0] * 4, [], threading.Event()
      def begin(place):
          while not is_over.is_set():
              try:
                  with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20) as raw:
                      with context.wrap_socket(raw, server_hostname="shop.example") as tls:
                          tls.sendall(b"GET / HTTP/1.1\\r\\nHost: shop.example\\r\\nConnection: close\\r\\n\\r\\n")
                          answer = tls.recv(4096)
                  if not answer.startswith(b"HTTP/1.1 200"):
                      raise OSError(repr(answer))
                  counts[place] += 1
                  if place == 0 and counts[0] == 1:
                      print("begun", flush=True)
              except OSError as problem:
                  problems.append(repr(problem))
      threads = [threading.Thread(target=begin, args=(place,)) for place in range(4)]
      for thread in threads:
          thread.start()
      sys.stdin.readline()
      is_over.set()
      for thread in threads:
          thread.join()
      print(f"ended {sum(counts)} {problems[:4]}", flush=True)
      """

    @Test("no handshake is lost while certificates are exchanged again and again")
    func reloads() async throws {
      try await Rig.run { rig in
        let both = try (0..<2).map { try rig.certificate("shop\($0)", for: ["shop.example"]) }
        let files = try rig.certificate("shop", for: ["shop.example"])
        let martlet = try rig.martlet(
          configuration: """
            server shop.example {
              listen LISTEN tls
              certificate \(files.certificate) \(files.key)
              route / { respond 200 "ok" }
            }
            """
        )
        guard case .port(let port) = martlet.endpoint else { throw PeerError("not a port") }
        let program = try rig.write(Self.client, to: "client.py")
        let fifo = rig.path("end")
        #expect(try rig.outcome(of: ["mkfifo", fifo]).status == 0)
        let client = try rig.start(
          ["sh", "-c", "exec /usr/bin/python3 \(program) \(port) <> \(fifo)"]
        )
        try client.line(with: "begun")
        for round in 0..<12 {
          let next = both[round % 2]
          for (from, to) in [(next.certificate, "shop.pem"), (next.key, "shop.key")] {
            try rig.write(Array(try Data(contentsOf: URL(fileURLWithPath: from))), to: to)
          }
          #expect(try rig.martlet(command: "reload").status == 0)
          let told = try rig.openssl(to: martlet.endpoint, "-servername", "shop.example")
          #expect(told.lines.contains("subject=CN = shop\(round % 2)"))
        }
        try Data("over\n".utf8).write(to: URL(fileURLWithPath: fifo))
        let line = try client.line(with: "ended")
        #expect(line.hasSuffix(" []"), "\(line)")
        let count = line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        #expect(count > 12, "\(line)")
        #expect(martlet.count(of: "a TLS handshake has failed") == 0)
      }
    }
  }
}
