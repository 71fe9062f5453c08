import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// `martlet send` and `martlet receive`, with each other and with programs that speak as they do.
  @Suite("Sending files", .timeLimit(.minutes(5 * slowness))) struct SendCommandTests {
    /// A receiver into a folder of its own, and where it listens.
    private func receiver(
      _ rig: Rig,
      into folder: String = "in",
      _ more: [String] = []
    ) throws -> (peer: Peer, address: String) {
      let path = rig.path(folder)
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
      let arguments = ["receive", "--listen", "127.0.0.1:0", "--into", path] + more
      let peer = try rig.start([Rig.martletPath] + arguments)
      let line = try peer.line(with: "listening on ")
      return (peer, String(line.dropFirst("listening on ".count)))
    }

    private func send(
      _ rig: Rig,
      _ names: [String],
      to address: String,
      _ more: [String] = []
    ) throws -> (status: Int32, lines: [String]) {
      let paths = names.map { rig.path($0) }
      return try rig.outcome(of: [Rig.martletPath, "send"] + paths + ["--to", address] + more)
    }

    /// Bytes that no two blocks have in common.
    private func bytes(_ count: Int) -> [UInt8] {
      var number: UInt64 = 88_172_645_463_325_252
      var bytes: [UInt8] = []
      bytes.reserveCapacity(count + 8)
      while bytes.count < count {
        number ^= number << 13
        number ^= number >> 7
        number ^= number << 17
        for shift in 0..<8 {
          bytes.append(UInt8(truncatingIfNeeded: number >> (UInt64(shift) * 8)))
        }
      }
      return Array(bytes.prefix(count))
    }

    private func isSame(_ rig: Rig, _ one: String, _ other: String) throws -> Bool {
      let command = ["diff", "-r", "--no-dereference", rig.path(one), rig.path(other)]
      return try rig.outcome(of: command).status == 0
    }

    @Test("carries files and folders with their rights and times, over one connection or several")
    func carries() async throws {
      try await Rig.run { rig in
        try rig.write(bytes(40 << 20), to: "tree/big")
        try rig.write("", to: "tree/empty")
        try rig.write("#!/bin/sh\n", to: "tree/a b/ü/run")
        try FileManager.default.setAttributes(
          [.posixPermissions: 0o750],
          ofItemAtPath: rig.path("tree/a b/ü/run")
        )
        try FileManager.default.createDirectory(
          atPath: rig.path("tree/none"),
          withIntermediateDirectories: true
        )
        for count in ["1", "4"] {
          let (peer, address) = try receiver(rig, into: "in\(count)", ["--once"])
          let outcome = try send(rig, ["tree"], to: address, ["--parallel", count])
          #expect(outcome.status == 0, "\(outcome.lines)")
          #expect(try peer.status() == 0)
          #expect(try isSame(rig, "tree", "in\(count)/tree"))
          let run = try FileManager.default.attributesOfItem(
            atPath: rig.path("in\(count)/tree/a b/ü/run")
          )
          #expect(run[.posixPermissions] as? Int == 0o750)
          let times = try ["tree/big", "in\(count)/tree/big"].map { name in
            try FileManager.default.attributesOfItem(atPath: rig.path(name))[.modificationDate]
              as? Date
          }
          #expect(times[0] == times[1])
          let left = try FileManager.default.contentsOfDirectory(
            atPath: rig.path("in\(count)/.martlet-transfer")
          )
          #expect(left.isEmpty)
        }
      }
    }

    @Test("sends nothing again that is there, and replaces nothing unless it is told to")
    func keeps() async throws {
      try await Rig.run { rig in
        try rig.write("one", to: "tree/a")
        try rig.write("two", to: "tree/b")
        let (_, address) = try receiver(rig)
        #expect(try send(rig, ["tree"], to: address).status == 0)
        let again = try send(rig, ["tree"], to: address, ["--json"])
        #expect(again.status == 0)
        #expect(
          again.lines.contains { $0.contains(#""files":0"#) && $0.contains(#""present_files":2"#) }
        )
        try rig.write("three", to: "tree/a")
        let refused = try send(rig, ["tree"], to: address)
        #expect(refused.status == 1)
        #expect(refused.lines.contains("tree/a: tree/a is there, and is another one"))
        #expect(try rig.read("in/tree/a") == Array("one".utf8))
        let (_, other) = try receiver(rig, into: "in", ["--replace"])
        #expect(try send(rig, ["tree"], to: other).status == 0)
        #expect(try rig.read("in/tree/a") == Array("three".utf8))
      }
    }

    @Test("goes on after kills of either side with what is missing, and notices what was spoilt")
    func resumes() async throws {
      try await Rig.run { rig in
        try rig.write(bytes(100 << 20), to: "big")
        var (peer, address) = try receiver(rig)
        // A receiver that has some blocks is killed, and then a sender.
        for round in 1...2 {
          let sender = try rig.start(
            [Rig.martletPath, "send", rig.path("big"), "--to", address, "--tries", "1"]
          )
          try wait(for: round * 2, blocksIn: rig)
          (round == 1 ? peer : sender).end()
          _ = try? (round == 1 ? sender : peer).status(
            within: .milliseconds(round == 1 ? 20_000 : 1)
          )
          if round == 1 { (peer, address) = try receiver(rig) }
        }
        peer.end()
        // A byte of a block that is said to be there.
        let path = part(of: rig)
        let part = try #require(path)
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: part))
        try file.seek(toOffset: 77)
        try file.write(contentsOf: Data([0xFF, 0x00, 0xFF]))
        try file.close()
        (peer, address) = try receiver(rig)
        let outcome = try send(rig, ["big"], to: address, ["--json"])
        #expect(outcome.status == 0, "\(outcome.lines)")
        #expect(try isSame(rig, "big", "in/big"))
        let last = try #require(outcome.lines.last)
        // Three blocks were there at least, one of which is no good any more.
        let present = try #require(last.split(separator: "present_bytes\":").last)
        #expect(try #require(Int(present.prefix { $0.isNumber })) >= 2 * (8 << 20), "\(last)")
      }
    }

    private func part(of rig: Rig) -> String? {
      let folder = rig.path("in/.martlet-transfer")
      let names = try? FileManager.default.contentsOfDirectory(atPath: folder)
      return names?.first { $0.hasSuffix(".part") }.map { "\(folder)/\($0)" }
    }

    /// Waits until a receiver has noted so many blocks of the one file that is under way.
    private func wait(for count: Int, blocksIn rig: Rig) throws {
      let deadline = ContinuousClock.now + patience
      while ContinuousClock.now < deadline {
        if let part = part(of: rig) {
          let list = part.dropLast(4) + "list"
          let text = (try? String(contentsOfFile: String(list), encoding: .utf8)) ?? ""
          if text.split(separator: "\n").count > count { return }
        }
        _ = poll(nil, 0, 1)
      }
      throw PeerError("no blocks have come")
    }

    @Test("speaks TLS with who has the right certificate, and knows who has the right word")
    func secure() async throws {
      try await Rig.run { rig in
        try rig.write(bytes(20 << 20), to: "big")
        let authority = try rig.certificate("authority", for: [])
        let server = try rig.certificate("server", for: ["127.0.0.1"], authority: authority)
        let own = try rig.certificate("own", for: ["sender"], authority: authority)
        let token = try rig.write("a-long-word\n", to: "token")
        let wrong = try rig.write("another-word\n", to: "wrong")
        let (_, address) = try receiver(
          rig,
          [
            "--certificate", server.certificate, "--key", server.key,
            "--client-ca", authority.certificate, "--token-file", token,
          ]
        )
        let tls = ["--tls", "--ca", authority.certificate, "--tries", "1"]
        let shown = ["--certificate", own.certificate, "--key", own.key]
        #expect(try send(rig, ["big"], to: address, ["--tries", "1"]).status == 1)
        #expect(try send(rig, ["big"], to: address, tls + ["--token-file", token]).status == 1)
        #expect(try send(rig, ["big"], to: address, ["--tls", "--tries", "1"] + shown).status == 1)
        let unknown = try send(rig, ["big"], to: address, tls + shown + ["--token-file", wrong])
        #expect(unknown.status == 1)
        #expect(unknown.lines.contains { $0.hasSuffix("the token is another one") })
        #expect(!FileManager.default.fileExists(atPath: rig.path("in/big")))
        let outcome = try send(rig, ["big"], to: address, tls + shown + ["--token-file", token])
        #expect(outcome.status == 0, "\(outcome.lines)")
        #expect(try isSame(rig, "big", "in/big"))
      }
    }

    @Test("takes what comes together with the end of a handshake")
    func early() async throws {
      try await Rig.run { rig in
        let server = try rig.certificate("server", for: ["127.0.0.1"])
        let (_, address) = try receiver(
          rig,
          ["--certificate", server.certificate, "--key", server.key]
        )
        // Whether it does depends on who is faster.
        for number in 1...12 {
          try rig.write("\(number)", to: "file\(number)")
          let tls = ["--tls", "--ca", server.certificate, "--parallel", "1"]
          #expect(try send(rig, ["file\(number)"], to: address, tls).status == 0)
          #expect(try rig.read("in/file\(number)") == Array("\(number)".utf8))
        }
      }
    }

    /// A sender in Python that says what a test wants, and prints each answer.
    private static let stranger = """
      import hashlib, json, socket, struct, sys
      host, port = sys.argv[1].rsplit(":", 1)
      s = socket.create_connection((host, int(port)))
      f = s.makefile("rwb")
      def say(head, body=b""):
          text = json.dumps(head).encode()
          f.write(struct.pack(">IQ", len(text), len(body)) + text + body)
          f.flush()
          count, size = struct.unpack(">IQ", f.read(12))
          answer = json.loads(f.read(count))
          f.read(size)
          print("ok" if answer["ok"] else answer["problem"], flush=True)
          return answer["ok"]
      def file(name, body, **more):
          digest = hashlib.sha256(body).digest()
          facts = dict(name=name, size=len(body), mode=0o7777, modified=5, **more)
          if say(dict(facts, do="offer")):
              say(dict(facts, do="block", block=0, digest=digest.hex()), body)
              say(dict(facts, do="finish", digest=hashlib.sha256(digest).hexdigest()))
      say({"do": "hello", "version": 1, "session": "stranger"})

      """

    private func strange(_ rig: Rig, _ text: String, _ address: String) throws -> [String] {
      let file = try rig.write(Self.stranger + text, to: "stranger.py")
      return try rig.outcome(of: ["python3", file, address]).lines
    }

    @Test("takes what another program sends as the manual says")
    func stranger() async throws {
      try await Rig.run { rig in
        let (_, address) = try receiver(rig)
        let lines = try strange(rig, "file('a/b', b'hello')", address)
        #expect(lines == ["ok", "ok", "ok", "ok"])
        #expect(try rig.read("in/a/b") == Array("hello".utf8))
        let facts = try FileManager.default.attributesOfItem(atPath: rig.path("in/a/b"))
        // No right to act as somebody else comes over the wire.
        #expect(facts[.posixPermissions] as? Int == 0o777)
      }
    }

    /// The same with blocks verified as OpenSSL's command does it.
    private static let verified = """
      import subprocess
      def code(name, block, body):
          key = hashlib.sha256(name.encode()).hexdigest()[:32]
          command = ["openssl", "mac", "-cipher", "AES-128-GCM", "-macopt", "hexkey:" + key]
          command += ["-macopt", "hexiv:%024x" % block, "GMAC"]
          made = subprocess.run(command, input=body, stdout=subprocess.PIPE, check=True).stdout
          return made.decode().strip().lower()
      def verified(name, body, size):
          facts = dict(name=name, size=len(body), mode=0o644, modified=5)
          say(dict(facts, do="offer"))
          blocks = [body[place:place + size] for place in range(0, len(body), size)]
          codes = [code(name, number, block) for number, block in enumerate(blocks)]
          say(dict(facts, do="block", block=0, digest=codes[0]), b"x" + blocks[0][1:])
          for number, block in enumerate(blocks):
              say(dict(facts, do="block", block=number, digest=codes[number]), block)
          whole = hashlib.sha256(b"".join(map(bytes.fromhex, codes))).hexdigest()
          say(dict(facts, do="finish", digest=whole))

      """

    @Test("takes what another program sends with codes, and notices what is not that")
    func codes() async throws {
      try await Rig.run { rig in
        let (_, address) = try receiver(rig)
        let blocks = "verified('a', b'0123456789abcdef' * (1 << 19) + b'rest', 8 << 20)"
        let begun = Self.stranger.replacingOccurrences(
          of: #""version": 1"#,
          with: #""version": 1, "digest": "gmac""#
        )
        let file = try rig.write(begun + Self.verified + blocks, to: "codes.py")
        let lines = try rig.outcome(of: ["python3", file, address]).lines
        #expect(lines == ["ok", "ok", "block 0 of a came otherwise", "ok", "ok", "ok"])
        let whole = String(repeating: "0123456789abcdef", count: 1 << 19) + "rest"
        #expect(try rig.read("in/a") == Array(whole.utf8))
        let other = try rig.write(
          begun.replacingOccurrences(of: "gmac", with: "crc32"),
          to: "other.py"
        )
        #expect(
          try rig.outcome(of: ["python3", other, address]).lines == ["digests are gmac, sha-256"]
        )
      }
    }

    @Test("verifies by SHA-256 when it is told to, and begins anew where the other was used before")
    func digests() async throws {
      try await Rig.run { rig in
        try rig.write("hello", to: "file")
        let (_, address) = try receiver(rig)
        let outcome = try send(rig, ["file"], to: address, ["--digest", "sha-256", "--json"])
        // The SHA-256 of that of `hello`.
        let digest = "9595c9df90075148eb06860365df33584b75bff782a510c6cd4883a419833d50"
        #expect(outcome.status == 0 && outcome.lines[0].contains(digest), "\(outcome.lines)")
        try rig.write(bytes(60 << 20), to: "big")
        let sender = try rig.start(
          [Rig.martletPath, "send", rig.path("big"), "--to", address, "--tries", "1"]
        )
        try wait(for: 2, blocksIn: rig)
        sender.end()
        _ = try? sender.status(within: .milliseconds(1))
        // The receiver may not have noticed yet, and says so: then it is tried again.
        let again = try send(rig, ["big"], to: address, ["--digest", "sha-256", "--json"])
        #expect(again.status == 0, "\(again.lines)")
        #expect(try isSame(rig, "big", "in/big"))
        #expect(again.lines.last?.contains(#""present_bytes":0"#) ?? false, "\(again.lines)")
        #expect(try send(rig, ["big"], to: address, ["--digest", "md5"]).status == 2)
      }
    }

    @Test("serves connections that come together on several threads")
    func spreads() async throws {
      try await Rig.run { rig in
        let (peer, address) = try receiver(rig)
        let lines = try strange(
          rig,
          """
          import os
          held = []
          for number in range(3):
              held.append((s, f))
              s = socket.create_connection((host, int(port)))
              f = s.makefile("rwb")
              say({"do": "hello", "version": 1, "session": "stranger"})
          folder = "/proc/\(peer.identifier)"
          numbers = os.listdir(folder + "/fd")
          sockets = {n for n in numbers if os.readlink(f"{folder}/fd/{n}").startswith("socket:")}
          counts = []
          for number in numbers:
              with open(f"{folder}/fdinfo/{number}") as lines:
                  watched = {line.split()[1] for line in lines if line.startswith("tfd:")}
              counts.append(len(watched & sockets))
          # How many sockets each loop has: one what listens, two others the connections.
          print(sorted(count for count in counts if count))

          """,
          address
        )
        #expect(lines == ["ok", "ok", "ok", "ok", "[1, 2, 2]"])
      }
    }

    @Test(
      "lets no name leave the folder",
      arguments: [
        "../out", "/tmp/out", "a/../../out", "..", ".", "", "a//b", "a/", "link/out", "link",
        ".martlet-transfer/x", "a\\n\\u001b[2J", "x/./y", "n" + String(repeating: "/n", count: 64),
      ]
    )
    func names(name: String) async throws {
      try await Rig.run { rig in
        let (_, address) = try receiver(rig)
        try FileManager.default.createDirectory(
          atPath: rig.path("outside"),
          withIntermediateDirectories: true
        )
        try FileManager.default.createSymbolicLink(
          atPath: rig.path("in/link"),
          withDestinationPath: rig.path("outside")
        )
        let lines = try strange(rig, "file('\(name)', b'hello')", address)
        #expect(lines.count == 2 && lines[1] != "ok", "\(lines)")
        let names = try FileManager.default.subpathsOfDirectory(atPath: rig.path(""))
        #expect(!names.contains { $0.hasSuffix("out") || $0.contains("outside/") })
        let target = try FileManager.default.destinationOfSymbolicLink(atPath: rig.path("in/link"))
        #expect(target == rig.path("outside"))
      }
    }

    @Test("refuses what is not what was said, and what is too long")
    func refuses() async throws {
      try await Rig.run { rig in
        let (peer, address) = try receiver(rig)
        let facts = "facts = dict(name='a', size=5, mode=0o644, modified=5)\n"
        let wrong = try strange(
          rig,
          facts + """
            say(dict(facts, do='block', block=0, digest='00' * 32), b'hello')
            say(dict(facts, do='offer'))
            say(dict(facts, do='offer', size=6))
            say(dict(facts, do='block', block=0, digest='00' * 32), b'hello')
            say(dict(facts, do='block', block=1, digest='00' * 32), b'hello')
            say(dict(facts, do='block', block=0, digest='00' * 32), b'hell')
            say(dict(facts, do='finish', digest='00' * 32))
            say(dict(facts, do='offer', size=1 << 62))
            say(dict(do='other'))
            """,
          address
        )
        #expect(
          wrong == [
            "ok", "a was not offered", "ok", "a has changed", "block 0 of a came otherwise",
            "a block has a number, a digest and its bytes",
            "a block has a number, a digest and its bytes", "blocks of a are missing",
            "a is too long", "nothing of that kind is known here",
          ]
        )
        // Lengths beyond the limits end the connection before anything is kept of them.
        for text in [
          "f.write(struct.pack('>IQ', 1 << 31, 0))",
          "f.write(struct.pack('>IQ', 2, 1 << 60) + b'{}')",
        ] {
          #expect(
            try strange(rig, text + "\nf.flush()\nprint(f.read())", address) == ["ok", "b''"]
          )
        }
        #expect(peer.isRunning)
        #expect(try residentMemory(of: peer.identifier).most < (60 << 20) * memoryFactor)
      }
    }
  }
}
