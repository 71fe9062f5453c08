import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// Clients that stay with a member.
  @Suite("Stickiness", .timeLimit(.minutes(5 * slowness))) struct StickinessTests {
    private static let key = "sticky_key \"0123456789abcdef\""

    /// Members that answer with their letter, and with more fields where these are given.
    private static func members(
      _ rig: Rig,
      _ letters: [String],
      fields: String = ""
    ) throws -> [String: ScriptedMember] {
      var members: [String: ScriptedMember] = [:]
      for letter in letters {
        members[letter] = try rig.member { wire in
          while try wire.receiveRequest() != nil {
            try wire.send(
              text: "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\(fields)\r\n\(letter)"
            )
          }
        }
      }
      return members
    }

    private static func text(
      _ lines: String,
      _ members: [String: ScriptedMember],
      _ options: [String: String] = [:]
    ) -> String {
      let written = members.sorted { $0.key < $1.key }.map { letter, member in
        "member \(member.endpoint) \(options[letter] ?? "")"
      }
      return """
        server {
            listen LISTEN
            route / { proxy back }
        }
        upstream back {
            \(lines)
            \(written.joined(separator: "\n    "))
        }
        """
    }

    /// Asks with these fields, on a connection of its own.
    private static func ask(_ martlet: Peer, _ fields: String...) throws -> Answer {
      let wire = try Wire(to: martlet.endpoint)
      let lines = fields.map { $0 + "\r\n" }.joined()
      try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\(lines)\r\n")
      return try wire.receiveAnswer()
    }

    /// Puts another configuration in force.
    private static func reload(_ rig: Rig, _ martlet: Peer, _ text: String) throws {
      let text = text.replacingOccurrences(of: "LISTEN", with: "\(martlet.endpoint)")
      try rig.write(text, to: "martlet.conf")
      #expect(try rig.martlet(command: "reload").status == 0)
    }

    /// One of several instances.
    private static func machine(_ rig: Rig, _ name: String, _ text: String) throws -> Peer {
      let endpoint = try rig.freePort()
      let text = text.replacingOccurrences(of: "LISTEN", with: "\(endpoint)")
      let file = try rig.write(text, to: "\(name).conf")
      let state = rig.path("state-\(name)")
      let martlet = try rig.start(
        [Rig.martletPath, "run", "--config", file, "--state-directory", state],
        at: endpoint
      )
      try martlet.line(with: "listens on")
      return martlet
    }

    /// The cookie that an answer gives, as the client sends it back.
    private static func cookie(_ answer: Answer) -> String? {
      answer.fields["set-cookie"].map { "Cookie: " + $0.prefix { $0 != ";" } }
    }

    @Test("a client gets a sealed cookie once, and comes back to its member with it")
    func cookie() async throws {
      try await Rig.run { rig in
        let members = try Self.members(rig, ["a", "b", "c"])
        let martlet = try rig.martlet(
          configuration: Self.text("sticky cookie route lifetime 1h secure\n\(Self.key)", members)
        )
        var seen: Set<String> = []
        for _ in 0..<6 {
          let first = try Self.ask(martlet)
          let given = try #require(first.fields["set-cookie"])
          #expect(given.hasPrefix("route="))
          #expect(given.hasSuffix("; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax"))
          for member in members.values {
            #expect(!given.contains("\(member.endpoint)"))
          }
          let cookie = try #require(Self.cookie(first))
          for _ in 0..<6 {
            let next = try Self.ask(martlet, cookie)
            #expect(next.text == first.text && next.fields["set-cookie"] == nil)
          }
          seen.insert(first.text)
        }
        // Each loop has turns of its own, so that two of three may be the same.
        #expect(seen.count > 1)
      }
    }

    @Test(
      "a client's member is known on a loop that has served nobody yet",
      arguments: ["sticky cookie route\n\(key)", "sticky by {request.header.x-client}"]
    )
    func everyLoop(_ way: String) async throws {
      try await Rig.run { rig in
        let members = try Self.members(rig, ["a", "b", "c"])
        let text = Self.text(way, members)
        let martlet = try rig.martlet(configuration: "loops 8\n\(text)")
        let first = try Self.ask(martlet, "X-Client: me")
        let cookie = Self.cookie(first) ?? "X-Nothing: 1"
        // Many at a time, so that every loop has some.
        let wires = try (0..<64).map { _ in try Wire(to: martlet.endpoint) }
        for wire in wires {
          try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\nX-Client: me\r\n\(cookie)\r\n\r\n")
        }
        for wire in wires { #expect(try wire.receiveAnswer().text == first.text) }
      }
    }

    @Test("a cookie that was changed, or made by somebody else, is as good as none")
    func forged() async throws {
      try await Rig.run { rig in
        let members = try Self.members(rig, ["a", "b"])
        let martlet = try rig.martlet(
          configuration: Self.text("sticky cookie route\n\(Self.key)", members)
        )
        let cookie = try #require(Self.cookie(try Self.ask(martlet)))
        for bad in [
          String(cookie.dropLast()) + "!", cookie + "A", "Cookie: route=", "Cookie: route=a",
        ] {
          let answer = try Self.ask(martlet, bad)
          #expect(answer.status == 200 && answer.fields["set-cookie"] != nil, "\(bad)")
        }
      }
    }

    @Test("machines with the same key know each other's clients, others do not")
    func machines() async throws {
      try await Rig.run { rig in
        let members = try Self.members(rig, ["a", "b", "c", "d"])
        let text = Self.text("sticky cookie route\n\(Self.key)", members)
        let other = Self.text("sticky cookie route\nsticky_key \"fedcba9876543210\"", members)
        let first = try Self.machine(rig, "first", text)
        let second = try Self.machine(rig, "second", text)
        let third = try Self.machine(rig, "third", other)
        for _ in 0..<4 {
          let answer = try Self.ask(first)
          let cookie = try #require(Self.cookie(answer))
          let there = try Self.ask(second, cookie)
          #expect(there.text == answer.text && there.fields["set-cookie"] == nil)
          #expect(try Self.ask(third, cookie).fields["set-cookie"] != nil)
        }
      }
    }

    @Test(
      "a client whose member does not answer moves to another for good, or is refused",
      arguments: [true, false]
    )
    func gone(chooses: Bool) async throws {
      try await Rig.run { rig in
        let members = try Self.members(rig, ["a", "b"])
        let word = chooses ? "choose" : "refuse"
        let martlet = try rig.martlet(
          configuration: Self.text("sticky cookie route when_gone \(word)\n\(Self.key)", members)
        )
        let first = try Self.ask(martlet)
        let cookie = try #require(Self.cookie(first))
        try #require(members[first.text]).stop()
        let second = try Self.ask(martlet, cookie)
        if chooses {
          #expect(second.status == 200 && second.text != first.text)
          let moved = try #require(Self.cookie(second))
          let third = try Self.ask(martlet, moved)
          #expect(third.text == second.text && third.fields["set-cookie"] == nil)
        } else {
          #expect([502, 503].contains(second.status))
        }
      }
    }

    @Test(
      "clients of a member that drains stay, unless they are to be moved",
      arguments: [true, false]
    )
    func draining(keeps: Bool) async throws {
      try await Rig.run { rig in
        let members = try Self.members(rig, ["a", "b"])
        let lines = "sticky cookie route when_draining \(keeps ? "keep" : "choose")\n\(Self.key)"
        let martlet = try rig.martlet(configuration: Self.text(lines, members))
        let first = try Self.ask(martlet)
        let cookie = try #require(Self.cookie(first))
        try Self.reload(rig, martlet, Self.text(lines, members, [first.text: "weight 0"]))
        let second = try Self.ask(martlet, cookie)
        #expect((second.text == first.text) == keeps)
        // Nobody new comes to it.
        for _ in 0..<4 { #expect(try Self.ask(martlet).text != first.text) }
      }
    }

    @Test("a client is known by the cookie that the application has given it")
    func learned() async throws {
      try await Rig.run { rig in
        var members: [String: ScriptedMember] = [:]
        for letter in ["a", "b", "c"] {
          let count = Guarded(0)
          members[letter] = try rig.member { wire in
            while let request = try wire.receiveRequest() {
              let number = count.withLock { value -> Int in
                value += 1
                return value
              }
              let isLogin = request.target == "/login"
              let given = isLogin ? "Set-Cookie: SID=\(letter)\(number); Path=/\r\n" : ""
              try wire.send(text: "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\(given)\r\n\(letter)")
            }
          }
        }
        let martlet = try rig.martlet(configuration: Self.text("sticky learn SID", members))
        var sessions: [(cookie: String, letter: String)] = []
        for _ in 0..<9 {
          let wire = try Wire(to: martlet.endpoint)
          try wire.send(text: "GET /login HTTP/1.1\r\nHost: a\r\n\r\n")
          let answer = try wire.receiveAnswer()
          sessions.append((try #require(Self.cookie(answer)), answer.text))
        }
        #expect(Set(sessions.map(\.letter)).count > 1)
        // Other connections, and so most likely other loops.
        for _ in 0..<3 {
          for session in sessions {
            #expect(try Self.ask(martlet, session.cookie).text == session.letter)
          }
        }
      }
    }

    @Test("a client is known by any value of its requests, also after a reload")
    func byValue() async throws {
      try await Rig.run { rig in
        let members = try Self.members(rig, ["a", "b", "c"])
        let text = Self.text("sticky by {request.header.x-user}", members)
        let martlet = try rig.martlet(configuration: text)
        var homes: [String: String] = [:]
        for user in ["ann", "bob", "cay", "dan"] {
          homes[user] = try Self.ask(martlet, "X-User: \(user)").text
        }
        #expect(Set(homes.values).count > 1)
        try Self.reload(rig, martlet, text + "\n# the same")
        for (user, home) in homes {
          for _ in 0..<3 { #expect(try Self.ask(martlet, "X-User: \(user)").text == home) }
        }
        // Who says nothing belongs to nobody.
        let others = try Set((0..<6).map { _ in try Self.ask(martlet).text })
        #expect(others.count > 1)
      }
    }

    @Test("without a key in the configuration, an upgrade keeps the secret")
    func upgrade() async throws {
      try await Rig.run { rig in
        let members = try Self.members(rig, ["a", "b", "c"])
        let martlet = try rig.martlet(configuration: Self.text("sticky cookie route", members))
        let first = try Self.ask(martlet)
        let cookie = try #require(Self.cookie(first))
        #expect(try rig.martlet(command: "upgrade").status == 0)
        let second = try Self.ask(martlet, cookie)
        #expect(second.text == first.text && second.fields["set-cookie"] == nil)
      }
    }

    @Test("curl's cookie jar is kept with one member")
    func curl() async throws {
      try await Rig.run { rig in
        let members = try Self.members(rig, ["a", "b", "c"])
        let martlet = try rig.martlet(
          configuration: Self.text("sticky cookie route\n\(Self.key)", members)
        )
        let jar = rig.path("jar")
        var texts: Set<String> = []
        for _ in 0..<5 {
          let done = try rig.outcome(
            of: ["curl", "-s", "-b", jar, "-c", jar, "http://\(martlet.endpoint)/"]
          )
          texts.formUnion(done.lines)
        }
        #expect(texts.count == 1)
      }
    }
  }
}
