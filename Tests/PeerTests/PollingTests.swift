import Foundation
import MartletSystem
import TestPeers
import Testing

extension PeerTests {
  /// Each model of polling under the whole proxy.
  @Suite("Polling", .timeLimit(.minutes(5 * slowness))) struct PollingTests {
    private static let large: [UInt8] = (0..<3_000_000).map {
      UInt8(truncatingIfNeeded: $0 &* 13 >> 4)
    }

    private func start(_ rig: Rig, _ polling: PollingModel) throws -> Peer {
      try rig.write("All that is text.\n", to: "files/text.txt")
      try rig.write(Self.large, to: "files/large.bin")
      let nginx = try rig.nginx(
        """
        root \(rig.path("files"));
        location /store/ { dav_methods PUT; create_full_put_path on; client_max_body_size 9m; }
        """
      )
      return try rig.martlet(
        outside: "loops 2\npolling \(polling.rawValue)",
        server: "body_limit 9MB",
        route: "proxy \(nginx.endpoint)"
      )
    }

    @Test("answers many connections at once, in every model", arguments: PollingModel.allCases)
    func small(polling: PollingModel) async throws {
      try await Rig.run { rig in
        let martlet = try start(rig, polling)
        let wires = try (0..<60).map { _ in try Wire(to: martlet.endpoint) }
        for round in 0..<30 {
          for wire in wires { try wire.send(text: "GET /text.txt HTTP/1.1\r\nHost: a\r\n\r\n") }
          for wire in wires {
            let answer = try wire.receiveAnswer()
            #expect(answer.status == 200 && answer.body.count == 18, "round \(round)")
          }
        }
        let reload = try rig.martlet(command: "reload")
        #expect(reload.status == 0)
        let again = try Wire(to: martlet.endpoint)
        try again.send(text: "GET /text.txt HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try again.receiveAnswer().status == 200)
      }
    }

    @Test(
      "carries large bodies both ways, to slow readers and over HTTP/2 too, in every model",
      arguments: PollingModel.allCases
    )
    func large(polling: PollingModel) async throws {
      try await Rig.run { rig in
        let martlet = try start(rig, polling)
        for version in ["--http1.1", "--http1.0", "--http2-prior-knowledge"] {
          try rig.curl(version, "-o", rig.path("got"), martlet.endpoint.url("/large.bin"))
          #expect(try rig.read("got") == Self.large, "\(version)")
        }
        let url = martlet.endpoint.url("/large.bin")
        try rig.curl("--limit-rate", "4M", "-o", rig.path("slow"), url)
        #expect(try rig.read("slow") == Self.large)
        let put = try rig.curl(
          "-T",
          rig.path("files/large.bin"),
          "-w",
          "%{http_code}",
          martlet.endpoint.url("/store/copy.bin")
        )
        #expect(put.text == "201")
        #expect(try rig.read("files/store/copy.bin") == Self.large)
      }
    }

    @Test("lets those wait that a set of descriptors has no room for")
    func room() async throws {
      try await Rig.run { rig in
        let martlet = try rig.martlet(outside: "polling select", route: "respond 200 \"ok\"")
        var wires: [Wire] = []
        let ask = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        for _ in 0..<1100 {
          let wire = try Wire(to: martlet.endpoint)
          try wire.send(text: ask)
          wires.append(wire)
        }
        for wire in wires.prefix(800) { #expect(try wire.receiveAnswer().status == 200) }
        // The last have had no number yet: they get one of the first, or are told that there is none.
        wires.removeFirst(800)
        for wire in wires { #expect([200, 503].contains(try wire.receiveAnswer().status)) }
        wires.removeAll()
        let last = try Wire(to: martlet.endpoint)
        try last.send(text: ask)
        #expect(try last.receiveAnswer().status == 200)
      }
    }
  }
}
