import Foundation
import JSON
import TestPeers
import Testing

extension PeerTests {
  /// `martlet bulk` against servers that answer, and commands that end, as tests want.
  @Suite("Bulk", .timeLimit(.minutes(5 * slowness))) struct BulkCommandTests {
    /// A table of so many rows, the values of whose second column need quotes here and there.
    func table(_ rowCount: Int, _ rig: Rig) throws -> String {
      var text = "id,name\r\n"
      for row in 0..<rowCount {
        text += row % 7 == 0 ? "\(row),\"a, \"\"\(row)\"\"\nb\"\r\n" : "\(row),n\(row)\r\n"
      }
      return try rig.write(text, to: "rows.csv")
    }

    func name(_ row: Int) -> String { row % 7 == 0 ? "a, \"\(row)\"\nb" : "n\(row)" }

    func command(_ file: String, _ origin: Origin, _ more: [String] = []) -> [String] {
      [Rig.martletPath, "bulk", file, "--column", "name", "--post", origin.endpoint.url("/in")]
        + more
    }

    /// The values of the requests of a server, in the order of their batches.
    func values(of requests: [Request]) throws -> [String] {
      let batches = try requests.map { request in
        let key = try #require(request.fields["idempotency-key"])
        let digits = key.drop { $0 != "-" }.dropFirst().prefix { $0 != "\"" }
        let list = try JSONSerialization.jsonObject(with: Data(request.body)) as? [String]
        return (number: try #require(Int(digits)), values: try #require(list))
      }
      return batches.sorted { $0.number < $1.number }.flatMap(\.values)
    }

    @Test("posts every value of a column once, in batches, and nothing when it is started again")
    func postsAll() async throws {
      try await Rig.run { rig in
        let file = try table(1050, rig)
        let origin = try Origin(rig) { _, _ in Origin.ok("", "fine") }
        let line = command(file, origin, ["--batch", "100", "--workers", "4"])
        let outcome = try rig.outcome(of: line)
        #expect(outcome.status == 0, "\(outcome.lines)")
        #expect(outcome.lines.contains { $0.hasPrefix("11 batches with 1050 rows sent in ") })
        #expect(origin.count == 11)
        #expect(try values(of: origin.seen) == (0..<1050).map(name))
        #expect(origin.seen[0].fields["content-type"] == "application/json")
        let again = try rig.outcome(of: line)
        #expect(again.status == 0)
        #expect(again.lines.contains { $0.contains("11 were sent before") })
        #expect(origin.count == 11)
        // Another size of batch would number them otherwise.
        let other = try rig.outcome(of: command(file, origin, ["--batch", "50"]))
        #expect(other.status == 1)
        #expect(
          other.lines.contains { $0.contains("belongs to another file, column or size of batch") }
        )
      }
    }

    @Test(
      "goes on after a kill, and sends nothing again that it had noted",
      arguments: [1, 5]
    )
    func survivesKills(pipeline: Int) async throws {
      try await Rig.run { rig in
        let file = try table(4000, rig)
        let origin = try Origin(rig) { _, _ in Origin.ok("", "") }
        let line = command(
          file,
          origin,
          ["--batch", "10", "--workers", "4", "--pipeline", "\(pipeline)"]
        )
        var sentBefore: Set<String> = []
        for kills in 1...3 {
          let peer = try rig.start(line)
          let deadline = ContinuousClock.now + patience
          while origin.count < kills * 60, ContinuousClock.now < deadline { _ = poll(nil, 0, 1) }
          peer.end()
          let noted = Set(
            String(decoding: try rig.read("rows.csv.sent"), as: UTF8.self)
              .split(separator: "\n").dropFirst().map { String($0.dropLast()) }
          )
          #expect(noted.isSuperset(of: sentBefore))
          sentBefore = noted
          let countThen = origin.count
          if kills == 3 { try finish(rig, line, origin, noted, since: countThen) }
        }
        // At most what four workers had under way at each kill came twice.
        #expect(origin.count <= 400 + 3 * 4 * pipeline)
        let unique = Dictionary(grouping: origin.seen) { $0.fields["idempotency-key"] ?? "" }
        #expect(unique.count == 400)
        #expect(try values(of: unique.values.compactMap(\.first)) == (0..<4000).map(name))
      }
    }

    /// Runs to the end, and looks that nothing comes again that was noted.
    private func finish(
      _ rig: Rig,
      _ line: [String],
      _ origin: Origin,
      _ noted: Set<String>,
      since count: Int
    ) throws {
      let outcome = try rig.outcome(of: line)
      #expect(outcome.status == 0, "\(outcome.lines)")
      for request in origin.seen.dropFirst(count) {
        let key = request.fields["idempotency-key"] ?? ""
        let number = String(key.drop { $0 != "-" }.dropFirst().prefix { $0 != "\"" })
        #expect(!noted.contains(number))
      }
    }

    @Test("tries again what a server cannot take now, over a new connection where it must")
    func triesAgain() async throws {
      try await Rig.run { rig in
        let file = try table(300, rig)
        let origin = try Origin(rig) { _, before in
          switch before % 3 {
          case 0: "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"
          case 1:
            "HTTP/1.1 429 Slow\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
          default: "HTTP/1.1 204 No Content\r\n\r\n"
          }
        }
        let outcome = try rig.outcome(of: command(file, origin, ["--workers", "1"]))
        #expect(outcome.status == 0, "\(outcome.lines)")
        #expect(outcome.lines.contains { $0.contains("6 tries repeated") })
        #expect(origin.count == 9)
      }
    }

    @Test("keeps what is refused in a table that can be sent itself")
    func buries() async throws {
      try await Rig.run { rig in
        let file = try table(500, rig)
        let origin = try Origin(rig) { request, _ in
          request.fields["idempotency-key"]?.hasSuffix("-2\"") == true && request.target == "/in"
            ? "HTTP/1.1 422 No\r\nContent-Length: 0\r\n\r\n" : Origin.ok("", "")
        }
        let outcome = try rig.outcome(of: command(file, origin))
        #expect(outcome.status == 1)
        #expect(outcome.lines.contains("batch 2: the answer is 422"))
        #expect(origin.count == 5)
        let dead = rig.path("rows.csv.dead")
        let again = try rig.outcome(of: command(dead, origin))
        #expect(again.status == 0, "\(again.lines)")
        #expect(try values(of: [try #require(origin.seen.last)]) == (200..<300).map(name))
      }
    }

    @Test("ends with 1 where nothing can be sent, and loses nothing of it")
    func gives() async throws {
      try await Rig.run { rig in
        let file = try table(100, rig)
        let gone = try Origin(rig) { _, _ in Origin.ok("", "") }
        gone.member.stop()
        let outcome = try rig.outcome(of: command(file, gone, ["--tries", "2"]))
        #expect(outcome.status == 1)
        #expect(!FileManager.default.fileExists(atPath: rig.path("rows.csv.dead")))
        let origin = try Origin(rig) { _, _ in Origin.ok("", "") }
        #expect(try rig.outcome(of: command(file, origin)).status == 0)
        #expect(try values(of: origin.seen) == (0..<100).map(name))
      }
    }

    @Test("waits for an answer no longer than it may")
    func timesOut() async throws {
      try await Rig.run { rig in
        let file = try table(100, rig)
        let member = try rig.member { wire in
          _ = try wire.receiveRequest()
          while !(try wire.receive().isEmpty) {}
        }
        let line = [
          Rig.martletPath, "bulk", file, "--column", "name", "--tries", "2", "--timeout", "1",
          "--post", member.endpoint.url("/"),
        ]
        let outcome = try rig.outcome(of: line)
        #expect(outcome.status == 1)
        let told = outcome.lines.contains { $0.hasSuffix("no answer came in time") }
        #expect(told, "\(outcome.lines)")
        #expect(!FileManager.default.fileExists(atPath: rig.path("rows.csv.dead")))
        #expect(member.connectionCount == 2)
      }
    }

    @Test(
      "names what is wrong with a file",
      arguments: [
        ("id,other\n1,2\n", "there is no column name; there are: id, other"),
        ("id,name\n1,\"a\n", "line 3: the table ends within quotes"),
        ("id,name\n1,a\n2\n", "line 3 has no field 2"), ("", "the file is empty"),
      ]
    )
    func names(text: String, problem: String) async throws {
      try await Rig.run { rig in
        let file = try rig.write(text, to: "rows.csv")
        let origin = try Origin(rig) { _, _ in Origin.ok("", "") }
        let outcome = try rig.outcome(of: command(file, origin))
        #expect(outcome.status == 1)
        #expect(outcome.lines.contains { $0.contains(problem) }, "\(outcome.lines)")
      }
    }

    @Test("holds no more of a long file than of a short one")
    func isFlat() async throws {
      try await Rig.run { rig in
        let file = try table(300_000, rig)
        let most = Guarded(0)
        let peers = Guarded<[Peer]>([])
        let origin = try Origin(rig) { _, _ in
          if let peer = peers.withLock({ $0.first }) {
            let now = try residentMemory(of: peer.identifier).most
            most.withLock { $0 = max($0, now) }
          }
          return Origin.ok("", "")
        }
        let peer = try rig.start(command(file, origin, ["--batch", "1000"]))
        peers.withLock { $0 = [peer] }
        #expect(try peer.status() == 0)
        #expect(origin.count == 300)
        #expect(most.withLock { $0 } > 0)
        #expect(most.withLock { $0 } < (50 << 20) * memoryFactor)
      }
    }

    // MARK: Commands

    /// A command line that has a shell script done for each batch.
    private func command(_ file: String, doing script: String, _ more: [String] = []) -> [String] {
      [Rig.martletPath, "bulk", file, "--column", "name", "--command", script, "--shell"] + more
    }

    /// The values that a file with a list in each line has, in the order of their keys.
    private func kept(_ rig: Rig, _ name: String) throws -> [String] {
      let lines = String(decoding: try rig.read(name), as: UTF8.self).split(separator: "\n")
      let batches = try lines.map { line in
        let parts = line.split(separator: " ", maxSplits: 1)
        let number = try #require(parts[0].split(separator: "-").last.flatMap { Int($0) })
        let values = try JSONSerialization.jsonObject(with: Data(parts[1].utf8)) as? [String]
        return (number: number, values: try #require(values))
      }
      return batches.sorted { $0.number < $1.number }.flatMap(\.values)
    }

    @Test("gives every value of a column to a command once, in batches, and goes on behind them")
    func runsCommands() async throws {
      try await Rig.run { rig in
        let file = try table(1050, rig)
        // One write to the end of a file is not cut by another.
        let script = #"line="$MARTLET_BATCH $(cat)"; echo "$line" >> "$OUT"; echo noise"#
        let line = ["/usr/bin/env", "OUT=\(rig.path("out"))"] + command(file, doing: script)
        let outcome = try rig.outcome(of: line)
        #expect(outcome.status == 0, "\(outcome.lines)")
        #expect(outcome.lines.contains { $0.hasPrefix("11 batches with 1050 rows sent in ") })
        #expect(try kept(rig, "out") == (0..<1050).map(name))
        let again = try rig.outcome(of: line)
        #expect(again.status == 0)
        #expect(again.lines.contains { $0.contains("11 were sent before") })
        #expect(try kept(rig, "out").count == 1050)
      }
    }

    @Test("takes a command apart as a shell does, and runs it without one")
    func words() async throws {
      try await Rig.run { rig in
        let file = try table(5, rig)
        let script = rig.path("a script")
        let copy = "import sys; open(sys.argv[1], 'w').write(sys.stdin.read())"
        _ = try rig.write(copy, to: "a script")
        let out = rig.path("it's $HOME")
        let quoted = out.replacingOccurrences(of: "'", with: "\\'")
          .replacingOccurrences(of: " ", with: "' '")
        let line = [Rig.martletPath, "bulk", file, "--column", "name", "--command"]
        let text = "/usr/bin/python3 \"\(script)\"   \(quoted)"
        let outcome = try rig.outcome(of: line + [text])
        #expect(outcome.status == 0, "\(outcome.lines)")
        let values = try JSONSerialization.jsonObject(with: Data(try rig.read("it's $HOME")))
        #expect(values as? [String] == (0..<5).map(name))
        for (text, problem) in [
          ("cat", "write the program with its path"), ("/bin/cat 'a", "a quote is not closed"),
          ("", "path"),
        ] {
          let refused = try rig.outcome(of: line + [text])
          #expect(refused.status == 2)
          #expect(refused.lines.contains { $0.contains(problem) }, "\(refused.lines)")
        }
        let both = try rig.outcome(of: line + ["/bin/cat", "--post", "http://127.0.0.1:1/"])
        #expect(both.status == 2)
      }
    }

    @Test("tries a command again that fails, and keeps what it refuses or fails at to the end")
    func commandsFail() async throws {
      try await Rig.run { rig in
        let file = try table(500, rig)
        let script = #"""
          n=${MARTLET_BATCH##*-}; echo . >> "$OUT.$n"; tries=$(wc -l < "$OUT.$n")
          case $n in
            1) exit 65 ;;
            2) exit 7 ;;
            3) [ $tries -ge 3 ] || kill -9 $$ ;;
          esac
          """#
        let outcome = try rig.outcome(
          of: ["/usr/bin/env", "OUT=\(rig.path("tries"))"]
            + command(file, doing: script, ["--tries", "3"])
        )
        #expect(outcome.status == 1)
        let text = outcome.lines.joined(separator: "\n")
        #expect(outcome.lines.contains("batch 1: the command refuses it"), "\(text)")
        #expect(outcome.lines.contains("batch 2: the command ended with code 7"), "\(text)")
        #expect(text.contains("3 batches with 300 rows sent"), "\(text)")
        #expect(text.contains("2 refused, 4 tries"), "\(text)")
        let tries = try (0..<5).map { try rig.read("tries.\($0)").count / 2 }
        #expect(tries == [1, 1, 3, 3, 1])
        let dead = String(decoding: try rig.read("rows.csv.dead"), as: UTF8.self)
        #expect(dead.contains("\"n101\"") && dead.contains("\"n299\"") && !dead.contains("n301"))
      }
    }

    @Test("kills a command that takes too long, with what it has started, and keeps its batch")
    func commandsHang() async throws {
      try await Rig.run { rig in
        let file = try table(100, rig)
        let script = #"sleep 600 & echo $! > "$OUT"; wait"#
        let outcome = try rig.outcome(
          of: ["/usr/bin/env", "OUT=\(rig.path("pid"))"]
            + command(file, doing: script, ["--tries", "1", "--timeout", "1"])
        )
        #expect(outcome.status == 1)
        let told = outcome.lines.contains("batch 0: the command did not end in time")
        #expect(told, "\(outcome.lines)")
        let text = String(decoding: try rig.read("pid"), as: UTF8.self)
        let process = try #require(Int32(text.dropLast()))
        let deadline = ContinuousClock.now + patience
        while kill(process, 0) == 0, ContinuousClock.now < deadline { _ = poll(nil, 0, 5) }
        #expect(kill(process, 0) != 0)
        let dead = String(decoding: try rig.read("rows.csv.dead"), as: UTF8.self)
        #expect(dead.contains("\"n99\""))
      }
    }

    @Test(
      "ends with 1 where a command cannot be started, and nothing is refused",
      .disabled(if: forksAlways)
    )
    func noCommand() async throws {
      try await Rig.run { rig in
        let file = try table(100, rig)
        let line = [Rig.martletPath, "bulk", file, "--column", "name", "--tries", "1", "--command"]
        let outcome = try rig.outcome(of: line + ["/nonexistent/program"])
        #expect(outcome.status == 1)
        let told = outcome.lines.contains { $0.contains("/nonexistent/program: ") }
        #expect(told, "\(outcome.lines)")
        let shell = try rig.outcome(of: line + ["nonexistent-program", "--shell"])
        #expect(shell.status == 1)
        #expect(shell.lines.contains { $0.contains("the command is not there") }, "\(shell.lines)")
        #expect(!FileManager.default.fileExists(atPath: rig.path("rows.csv.dead")))
        #expect(try rig.outcome(of: line + ["/usr/bin/true"]).status == 0)
      }
    }
  }
}
