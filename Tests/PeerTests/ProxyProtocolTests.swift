import Foundation
import TestCorpora
import TestPeers
import Testing

extension PeerTests {
  /// PROXY headers from others and to others.
  @Suite("PROXY protocol", .timeLimit(.minutes(5 * slowness))) struct ProxyProtocolTests {
    private static let line = "PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n"

    /// A listener that tells whom it takes its client for.
    private func start(_ rig: Rig, _ options: String, log: String = "") throws -> Peer {
      try rig.martlet(
        configuration: """
          server {
              listen LISTEN \(options)
              \(log)
              route /from {
                  client 192.0.2.0/24
                  respond 200 "network"
              }
              route /values {
                  respond 200 "{proxy.authority} {proxy.alpn} {proxy.unique_id} {proxy.tls_version}"
              }
              route / {
                  respond 200 "{client.address} {client.port} {proxy.address} {request.scheme}"
              }
          }
          """
      )
    }

    private static let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

    private func answer(_ wire: Wire, to target: String = "/") throws -> String {
      try wire.send(text: "GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n")
      return try wire.receiveAnswer().text
    }

    @Test("a trusted sender's word is the client's address, for every request of the connection")
    func accepted() async throws {
      try await Rig.run { rig in
        let martlet = try start(
          rig,
          "proxy_protocol required from 127.0.0.0/8",
          log: "access_log stdout json"
        )
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: Self.line + Self.request)
        #expect(try wire.receiveAnswer().text == "192.0.2.7 4711 127.0.0.1 http")
        #expect(try answer(wire) == "192.0.2.7 4711 127.0.0.1 http")
        #expect(try answer(wire, to: "/from") == "network")
        try martlet.line(with: "\"client\":\"192.0.2.7\"")
        let block = try Wire(to: martlet.endpoint)
        try block.send(try Corpus.proxy.bytes(of: "block-ipv6.bin"))
        #expect(try answer(block).hasPrefix("2001:db8::7 4711 "))
      }
    }

    @Test("a header in pieces is one header")
    func pieces() async throws {
      try await Rig.run { rig in
        let martlet = try start(rig, "proxy_protocol required from 127.0.0.1 timeout 30s")
        let bytes = try Corpus.proxy.bytes(of: "block-checksum.bin")
        for cut in [1, 12, 16, 28, bytes.count - 1] {
          let wire = try Wire(to: martlet.endpoint)
          try wire.send(bytes[..<cut])
          #expect(!wire.isReadable(within: .milliseconds(30)))
          try wire.send(bytes[cut...] + Array(Self.request.utf8))
          #expect(try wire.receiveAnswer().text == "192.0.2.7 4711 127.0.0.1 https")
          #expect(try answer(wire, to: "/values") == "www.example.com h2 id-1 TLSv1.3")
        }
      }
    }

    @Test("a proxy that connects for itself is the client itself")
    func local() async throws {
      try await Rig.run { rig in
        let martlet = try start(rig, "proxy_protocol required from 127.0.0.1")
        for name in ["block-local-with-addresses", "line-unknown"] {
          let wire = try Wire(to: martlet.endpoint)
          try wire.send(try Corpus.proxy.bytes(of: name + ".bin"))
          #expect(try answer(wire).hasPrefix("127.0.0.1 "))
        }
      }
    }

    @Test(
      "whatever is no sound header ends the connection without a word",
      arguments: try Preface.all(in: .proxy).filter {
        $0.outcome != "accepted" && $0.outcome != "incomplete"
      }
    )
    func malformed(preface: Preface) async throws {
      try await Rig.run { rig in
        let martlet = try start(rig, "proxy_protocol required from 127.0.0.1")
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(preface.bytes)
        #expect(throws: Wire.Failure.self) { _ = try wire.receiveAnswer() }
        try martlet.line(with: preface.outcome)
      }
    }

    @Test("a header that is late, or breaks off, ends the connection")
    func late() async throws {
      try await Rig.run { rig in
        let martlet = try start(rig, "proxy_protocol required from 127.0.0.1 timeout 200ms")
        let silent = try Wire(to: martlet.endpoint)
        let slow = try Wire(to: martlet.endpoint)
        try slow.send(text: "PROXY TCP4 ")
        try silent.receiveEnd()
        try slow.receiveEnd()
        let cut = try Wire(to: martlet.endpoint)
        try cut.send(text: "PROXY TCP4 ")
        cut.finishSending()
        try cut.receiveEnd()
        try martlet.line(with: "late")
        let metrics = try rig.curl(
          "--unix-socket",
          rig.path("state/admin.sock"),
          "http://a/metrics"
        )
        #expect(metrics.text.contains("outcome=\"late\"} 2"))
        #expect(metrics.text.contains("outcome=\"malformed\"} 1"))
      }
    }

    @Test("who may not send a header may not connect where each connection needs one")
    func untrusted() async throws {
      try await Rig.run { rig in
        let martlet = try start(rig, "proxy_protocol required from 192.0.2.0/24")
        let wire = try Wire(to: martlet.endpoint)
        try wire.receiveEnd()
        try martlet.line(with: "untrusted")
      }
    }

    @Test("where a header may be missing, everybody else connects for himself")
    func optional() async throws {
      try await Rig.run { rig in
        let martlet = try start(rig, "proxy_protocol optional from 127.0.0.1")
        let plain = try Wire(to: martlet.endpoint)
        #expect(try answer(plain).hasPrefix("127.0.0.1 "))
        let proxied = try Wire(to: martlet.endpoint)
        try proxied.send(text: Self.line)
        #expect(try answer(proxied).hasPrefix("192.0.2.7 4711 "))
      }
      try await Rig.run { rig in
        let martlet = try start(rig, "proxy_protocol optional from 192.0.2.0/24")
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: Self.line + Self.request)
        #expect(try wire.receiveAnswer().status == 400)
      }
    }

    @Test(
      "curl, HAProxy and nginx are believed",
      arguments: ["curl", "haproxy v1", "haproxy v2", "nginx"]
    )
    func senders(sender: String) async throws {
      try await Rig.run { rig in
        let martlet = try start(rig, "proxy_protocol required from 127.0.0.1")
        let text: String
        switch sender {
        case "curl": text = try rig.curl("--haproxy-protocol", martlet.endpoint.url("/")).text
        case "nginx":
          let front = try rig.nginxStream("proxy_pass \(martlet.endpoint); proxy_protocol on;")
          text = try rig.curl(front.endpoint.url("/")).text
        default:
          let word = sender.hasSuffix("v2") ? "send-proxy-v2" : "send-proxy"
          let front = try rig.haproxy(to: [martlet.endpoint], options: word)
          text = try rig.curl(front.endpoint.url("/")).text
        }
        // The client's port is its own, and the proxy's is another one.
        let words = text.split(separator: " ")
        #expect(words.count == 4 && words[0] == "127.0.0.1" && words[2] == "127.0.0.1", "\(text)")
      }
    }

    @Test(
      "HAProxy and nginx believe what members are sent",
      arguments: ["v1", "v2 crc32c unique_id"]
    )
    func receivers(version: String) async throws {
      try await Rig.run { rig in
        let nginx = try rig.nginx(
          "location / { return 200 \"$proxy_protocol_addr $proxy_protocol_port\"; }",
          listen: "proxy_protocol"
        )
        let behind = try rig.nginx("location / { return 200 \"$http_x_forwarded_for\"; }")
        let haproxy = try rig.haproxy(
          to: [behind.endpoint],
          bind: "accept-proxy",
          front: "option forwardfor"
        )
        let martlet = try rig.martlet(
          configuration: """
            server {
                listen LISTEN proxy_protocol optional from 127.0.0.1
                forwarded off
                route /nginx { proxy nginx }
                route / { proxy haproxy }
            }
            upstream nginx {
                member \(nginx.endpoint)
                proxy_protocol \(version)
            }
            upstream haproxy {
                member \(haproxy.endpoint)
                proxy_protocol \(version)
            }
            """
        )
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: Self.line)
        for _ in 0..<3 {
          #expect(try answer(wire, to: "/nginx") == "192.0.2.7 4711")
          #expect(try answer(wire, to: "/") == "192.0.2.7")
        }
      }
    }

    @Test("a member's connection serves one client alone, whose header it began with")
    func ownConnections() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          let header = try wire.receive(through: "\r\n")
          while try wire.receiveRequest() != nil {
            try wire.send(text: "HTTP/1.1 200 OK\r\nContent-Length: \(header.count - 2)\r\n\r\n")
            try wire.send(header.dropLast(2))
          }
        }
        let martlet = try rig.martlet(
          configuration: """
            server {
                listen LISTEN proxy_protocol required from 127.0.0.1
                route / { proxy back }
            }
            upstream back {
                member \(member.endpoint)
                proxy_protocol v1
            }
            """
        )
        let wires = try (0..<4).map { _ in try Wire(to: martlet.endpoint) }
        for (index, wire) in wires.enumerated() {
          try wire.send(text: "PROXY TCP4 192.0.2.\(index) 198.51.100.1 1 2\r\n")
        }
        for _ in 0..<10 {
          for (index, wire) in wires.enumerated() {
            #expect(try answer(wire) == "PROXY TCP4 192.0.2.\(index) 198.51.100.1 1 2")
          }
        }
        // The first connection of each client was kept for it.
        #expect(member.connectionCount == 4)
        #expect(member.failures == [])
      }
    }

    @Test("what the proxy in front has said reaches the member behind")
    func chain() async throws {
      try await Rig.run { rig in
        let inner = try start(rig, "proxy_protocol required from 127.0.0.1")
        let endpoint = try rig.freePort()
        let file = try rig.write(
          """
          server {
              listen \(endpoint) proxy_protocol required from 127.0.0.1
              route / { proxy back }
          }
          upstream back {
              member \(inner.endpoint)
              proxy_protocol v2 authority alpn unique_id tls crc32c
          }
          """,
          to: "outer.conf"
        )
        let outer = try rig.start(
          [Rig.martletPath, "run", "--config", file, "--state-directory", rig.path("outer")],
          at: endpoint
        )
        try outer.line(with: "listens on")
        let wire = try Wire(to: endpoint)
        try wire.send(try Corpus.proxy.bytes(of: "block-checksum.bin"))
        #expect(try answer(wire, to: "/values") == "www.example.com h2 id-1 TLSv1.3")
        #expect(try answer(wire) == "192.0.2.7 4711 127.0.0.1 https")
      }
    }

    /// A `tcp` block in front of a member that speaks first where it is told so.
    private func startTCP(
      _ rig: Rig,
      _ member: Endpoint,
      listen: String,
      send: String
    ) throws
      -> Peer
    {
      try rig.martlet(
        configuration: """
          tcp {
              listen LISTEN \(listen)
              proxy back
              access_log stdout json
          }
          upstream back {
              member \(member)
              proxy_protocol \(send)
          }
          """
      )
    }

    @Test(
      "a tcp block takes a header and sends one, whatever comes behind it",
      arguments: [0, 1, 20_000]
    )
    func streams(count: Int) async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in try wire.send(try wire.receiveRest()) }
        let martlet = try startTCP(
          rig,
          member.endpoint,
          listen: "proxy_protocol required from 127.0.0.1",
          send: "v1"
        )
        let bytes = [UInt8](repeating: 0x61, count: count)
        for cut in [0, 5, Self.line.utf8.count] {
          let wire = try Wire(to: martlet.endpoint)
          let all = Array(Self.line.utf8) + bytes
          try wire.send(all[..<cut])
          if cut > 0 { #expect(!wire.isReadable(within: .milliseconds(20))) }
          try wire.send(all[cut...])
          wire.finishSending()
          #expect(try wire.receiveRest() == all)
        }
        let line = try martlet.line(with: "\"client\":\"192.0.2.7\"")
        #expect(line.contains("\"received\":\(count),"), "\(line)")
        #expect(member.failures == [])
      }
    }

    @Test("a tcp block closes what is no sound header, and what is late")
    func refusedStreams() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in try wire.send(try wire.receiveRest()) }
        let martlet = try startTCP(
          rig,
          member.endpoint,
          listen: "proxy_protocol required from 127.0.0.1 timeout 300ms",
          send: "off"
        )
        for name in ["block-wrong-checksum", "line-too-long", "request", "block-too-large"] {
          let wire = try Wire(to: martlet.endpoint)
          try wire.send(try Corpus.proxy.bytes(of: name + ".bin"))
          try wire.receiveEnd()
        }
        let silent = try Wire(to: martlet.endpoint)
        try silent.receiveEnd()
        try martlet.line(with: "client_timeout")
        #expect(member.connectionCount == 0)
      }
    }

    @Test("a member behind an optional header is spoken to also by who sends none")
    func optionalStreams() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          try wire.send(text: "hello")
          try wire.receiveEnd()
        }
        let martlet = try startTCP(
          rig,
          member.endpoint,
          listen: "proxy_protocol optional from 127.0.0.1 timeout 200ms",
          send: "off"
        )
        let silent = try Wire(to: martlet.endpoint)
        #expect(try silent.receive(exactly: 5) == Array("hello".utf8))
        let speaking = try Wire(to: martlet.endpoint)
        try speaking.send(text: "GET /")
        #expect(try speaking.receive(exactly: 5) == Array("hello".utf8))
      }
    }

    @Test("a reload keeps who a connection's client is")
    func reload() async throws {
      try await Rig.run { rig in
        let martlet = try start(rig, "proxy_protocol required from 127.0.0.1")
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: Self.line)
        #expect(try answer(wire).hasPrefix("192.0.2.7"))
        let waiting = try Wire(to: martlet.endpoint)
        #expect(try rig.martlet(command: "reload").status == 0)
        #expect(try answer(wire).hasPrefix("192.0.2.7"))
        try waiting.send(text: Self.line)
        #expect(try answer(waiting).hasPrefix("192.0.2.7"))
      }
    }
  }
}
