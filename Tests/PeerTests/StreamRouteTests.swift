import Foundation
import TestCorpora
import TestPeers
import Testing

extension PeerTests {
  /// Connections that are told apart by what their clients say first.
  @Suite("Routes of layer 4", .timeLimit(.minutes(5 * slowness))) struct StreamRouteTests {
    /// A member that says its name, and then gives back what it gets.
    private func member(_ rig: Rig, _ name: String) throws -> ScriptedMember {
      try rig.member { wire in
        try wire.send(text: name)
        while true {
          let part = try wire.receive()
          if part.isEmpty { return }
          try wire.send(part)
        }
      }
    }

    private func start(_ rig: Rig, listen: String = "") throws -> Peer {
      let names = ["shop", "other", "h2", "ssh", "sql", "quiet", "authority", "rest"]
      let members = try names.map { (name: $0, member: try member(rig, $0)) }
      let upstreams = members.map { "upstream \($0.name) { member \($0.member.endpoint) }" }
      return try rig.martlet(
        configuration: """
          tcp {
              listen LISTEN \(listen)
              inspect_timeout 300ms
              route {
                  authority proxied.example
                  proxy authority
              }
              route {
                  server_name www.example.com
                  alpn h2
                  proxy h2
              }
              route {
                  server_name www.example.com a.example
                  proxy shop
              }
              route {
                  server_name *.example.net
                  close
              }
              route {
                  speaks tls
                  proxy other
              }
              route {
                  speaks ssh
                  proxy ssh
              }
              route {
                  speaks postgresql redis
                  proxy sql
              }
              route {
                  speaks nothing
                  proxy quiet
              }
              proxy rest
          }
          \(upstreams.joined(separator: "\n"))
          """
      )
    }

    /// What a connection gets that begins with `bytes`: the member's name, and these bytes again.
    private func check(
      _ martlet: Peer,
      _ bytes: [UInt8],
      _ name: String,
      cutAt cut: Int? = nil
    ) throws {
      let wire = try Wire(to: martlet.endpoint)
      if let cut, cut < bytes.count {
        try wire.send(bytes[..<cut])
        #expect(!wire.isReadable(within: .milliseconds(20)))
        try wire.send(bytes[cut...])
      } else {
        try wire.send(bytes)
      }
      let expected = Array(name.utf8) + bytes
      #expect(try wire.receive(exactly: expected.count) == expected, "\(name)")
    }

    @Test("by server name and protocol, however the hello comes")
    func names() async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        let hello = try Corpus.hello.bytes(of: "openssl.bin")
        for cut in [nil, 1, 5, 6, 100, hello.count - 1] {
          try check(martlet, hello, "h2", cutAt: cut)
        }
        try check(martlet, try Corpus.hello.bytes(of: "small-records.bin"), "h2")
        try check(martlet, try Corpus.hello.bytes(of: "openssl-tls12.bin"), "shop")
        try check(martlet, try Corpus.hello.bytes(of: "openssl-without-name.bin"), "other")
        try check(martlet, try Corpus.hello.bytes(of: "message-largest.bin"), "h2")
      }
    }

    @Test("by first bytes, of those too who say nothing")
    func languages() async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        try check(martlet, Array("SSH-2.0-OpenSSH_9.2\r\n".utf8), "ssh", cutAt: 2)
        try check(martlet, [0, 0, 0, 8, 0x04, 0xD2, 0x16, 0x2F], "sql", cutAt: 4)
        try check(martlet, Array("*1\r\n$4\r\nPING\r\n".utf8), "sql")
        try check(martlet, Array("GET / HTTP/1.1\r\n\r\n".utf8), "rest")
        try check(martlet, Array("\u{1}\u{2}".utf8), "rest")
        let silent = try Wire(to: martlet.endpoint)
        #expect(try silent.receive(exactly: 5) == Array("quiet".utf8))
        let half = try Wire(to: martlet.endpoint)
        try half.send(text: "SS")
        #expect(try half.receive(exactly: 6) == Array("restSS".utf8))
      }
    }

    @Test("a client of OpenSSL that asks for a name that is closed gets nothing")
    func openssl() async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        guard case .port(let port) = martlet.endpoint else { return }
        // The member is no TLS server, but its name tells which one was reached.
        let outcome = try rig.outcome(of: [
          "openssl", "s_client", "-connect", "127.0.0.1:\(port)", "-servername", "b.example.net",
        ])
        #expect(outcome.status != 0)
        #expect(!outcome.lines.contains { $0.contains("other") })
      }
    }

    @Test("what is no hello, or is one too large, goes where TLS goes that is not known")
    func malformed() async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        for name in ["repeated-name", "name-with-zero", "message-too-large", "single-bytes"] {
          let bytes = try Corpus.hello.bytes(of: name + ".bin")
          let wire = try Wire(to: martlet.endpoint)
          try wire.send(bytes)
          #expect(try wire.receive(exactly: 5) == Array("other".utf8), "\(name)")
        }
      }
    }

    @Test("by what a PROXY header says, which is then no part of the bytes")
    func headers() async throws {
      try await Rig.run { rig in
        let martlet = try start(rig, listen: "proxy_protocol required from 127.0.0.1")
        let line = Array("PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n".utf8)
        let hello = try Corpus.hello.bytes(of: "openssl.bin")
        for cut in [line.count + hello.count, line.count, line.count + 7] {
          let wire = try Wire(to: martlet.endpoint)
          let all = line + hello
          try wire.send(all[..<cut])
          if cut < all.count { #expect(!wire.isReadable(within: .milliseconds(20))) }
          try wire.send(all[cut...])
          let expected = Array("h2".utf8) + hello
          #expect(try wire.receive(exactly: expected.count) == expected)
        }
      }
    }
  }
}
