import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// Answers that outlive processes.
  @Suite("The disk of a cache", .timeLimit(.minutes(3 * slowness))) struct CacheDiskTests {
    private func body(_ target: String) -> String {
      let number = Int(target.filter(\.isNumber)) ?? 0
      return String(repeating: "\(target) ", count: 1 + number % 7 * 900)
    }

    /// A member that counts, and answers GET with what is kept for an hour.
    private func origin(_ rig: Rig, _ count: Guarded<Int>) throws -> ScriptedMember {
      try rig.member { wire in
        while let request = try wire.receiveRequest() {
          count.withLock { $0 += 1 }
          let content = request.method == "GET" ? body(request.target) : "done"
          try wire.send(
            text: "HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nSurrogate-Key: all "
              + "\(request.target.dropFirst())\r\nContent-Length: \(content.utf8.count)\r\n\r\n\(content)"
          )
        }
      }
    }

    private func start(
      _ rig: Rig,
      _ member: Endpoint,
      memory: String = "4MB",
      disk: String? = nil,
      rules: String = ""
    ) throws -> Peer {
      try rig.martlet(
        configuration: """
          admin unix:admin.sock
          cache main {
              memory \(memory)
              disk \(disk ?? rig.path("disk")) 64MB
          }
          server {
              listen LISTEN
              route / {
                  proxy \(member)
                  cache main {
                      \(rules)
                  }
              }
          }
          """
      )
    }

    private func ask(_ wire: Wire, _ target: String, _ method: String = "GET") throws -> Answer {
      try wire.ask(target, method, "Content-Length: 0", host: "shop.example")
    }

    /// What the only cache is said to be.
    private func list(_ rig: Rig) throws -> [String: Any] {
      let outcome = try rig.martlet(command: "cache", "list", "--json")
      let json = try JSONSerialization.jsonObject(with: Data(outcome.lines.joined().utf8))
      let caches = (json as? [String: Any])?["caches"] as? [[String: Any]]
      return try #require(caches?.first)
    }

    /// Where the answers are that a command shows.
    private func places(_ rig: Rig, _ words: [String]) throws -> [String] {
      let command = [Rig.martletPath, "cache"] + words
      let outcome = try rig.outcome(
        of: command + ["--json", "--state-directory", rig.path("state")]
      )
      let json = try JSONSerialization.jsonObject(with: Data(outcome.lines.joined().utf8))
      let objects = (json as? [String: Any])?["objects"] as? [[String: Any]]
      return (objects ?? []).map { $0["place"] as? String ?? "" }
    }

    /// Waits until a disk is as it should be.
    private func wait(_ rig: Rig, _ isGood: ([String: Any]) -> Bool) throws {
      let deadline = ContinuousClock.now + patience
      while true {
        let cache = try list(rig)
        if isGood(cache) { return }
        guard ContinuousClock.now < deadline else { throw PeerError("\(cache)") }
      }
    }

    private func isOpen(_ cache: [String: Any], atLeast count: Int = 0) -> Bool {
      cache["disk_state"] as? String == "open" && cache["disk_objects"] as? Int ?? 0 >= count
    }

    @Test("has what was kept when all processes were killed, in the middle of writing, and at once")
    func killed() async throws {
      try await Rig.run { rig in
        let count = Guarded(0)
        let member = try origin(rig, count)
        for round in 0..<3 {
          let martlet = try start(rig, member.endpoint)
          try wait(rig) { isOpen($0, atLeast: round * 80) }
          let wire = try Wire(to: martlet.endpoint)
          let before = count.withLock { $0 }
          // What is there is right, and most of what was asked for before is there.
          for number in 0..<round * 100 {
            let answer = try ask(wire, "/\(number)")
            #expect(answer.status == 200 && answer.text == body("/\(number)"))
          }
          #expect(count.withLock { $0 } - before <= round * 15)
          for number in round * 100..<(round + 1) * 100 {
            #expect(try ask(wire, "/\(number)").text == body("/\(number)"))
          }
          if round > 0 { #expect(try rig.metric("martlet_cache_disk_hits_total") > 0) }
          martlet.end()
        }
      }
    }

    @Test("has what was kept when the edge process was killed, which is replaced")
    func replaced() async throws {
      try await Rig.run { rig in
        let count = Guarded(0)
        let member = try origin(rig, count)
        let martlet = try start(rig, member.endpoint)
        try wait(rig) { isOpen($0) }
        for number in 0..<50 {
          _ = try ask(try Wire(to: martlet.endpoint), "/\(number)")
        }
        try wait(rig) { isOpen($0, atLeast: 50) }
        let edge = try #require(martlet.children.last)
        kill(edge, SIGKILL)
        let wire = try Wire(to: martlet.endpoint)
        #expect(try ask(wire, "/0").text == body("/0"))
        try wait(rig) { isOpen($0, atLeast: 50) }
        for number in 1..<50 {
          let answer = try ask(wire, "/\(number)")
          #expect(answer.text == body("/\(number)"))
          #expect(answer.fields["cache-status"]?.hasSuffix("detail=disk") == true)
          // It is in memory from then on.
          let again = try ask(wire, "/\(number)")
          #expect(again.fields["cache-status"]?.contains("detail") == false)
        }
        #expect(count.withLock { $0 } <= 51)
      }
    }

    @Test("knows after a restart what was purged, invalidated, and renewed")
    func changes() async throws {
      try await Rig.run { rig in
        let count = Guarded(0)
        let member = try origin(rig, count)
        let first = try start(rig, member.endpoint)
        try wait(rig) { isOpen($0) }
        let wire = try Wire(to: first.endpoint)
        for number in 0..<8 { _ = try ask(wire, "/\(number)") }
        try wait(rig) { isOpen($0, atLeast: 8) }
        #expect(try rig.martlet(command: "cache", "purge", "--tag", "1").status == 0)
        let url = try rig.martlet(command: "cache", "purge", "http://shop.example/2")
        #expect(url.status == 0 && !url.lines.joined().contains("could not note"))
        #expect(try rig.martlet(command: "cache", "purge", "--tag", "4", "--soft").status == 0)
        #expect(try ask(wire, "/3", "POST").status == 200)
        try wait(rig) { $0["disk_objects"] as? Int == 7 }
        first.end()
        let second = try start(rig, member.endpoint)
        try wait(rig) { isOpen($0, atLeast: 5) }
        let again = try Wire(to: second.endpoint)
        var asked: [Int] = []
        for number in 0..<8 {
          let before = count.withLock { $0 }
          #expect(try ask(again, "/\(number)").text == body("/\(number)"))
          if count.withLock({ $0 }) > before { asked.append(number) }
        }
        #expect(asked == [1, 2, 3, 4])
      }
    }

    @Test(
      "has forgotten what a request has changed when its answer is there, whenever it is killed",
      arguments: ["", "body_methods POST"]
    )
    func changedAndKilled(rules: String) async throws {
      try await Rig.run { rig in
        let version = Guarded(0)
        let member = try rig.member { wire in
          while let request = try wire.receiveRequest() {
            if request.method != "GET" { version.withLock { $0 += 1 } }
            var content = "version \(version.withLock { $0 })"
            if request.target.hasPrefix("/large") {
              content = String(repeating: "\(request.target) ", count: 400_000)
            }
            try wire.send(
              text: "HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\n"
                + "Content-Length: \(content.utf8.count)\r\n\r\n\(content)"
            )
          }
        }
        let martlet = try start(rig, member.endpoint, memory: "256MB", rules: rules)
        for round in 0..<6 {
          try wait(rig) { isOpen($0) }
          let wire = try Wire(to: martlet.endpoint)
          let before = try ask(wire, "/page").text
          try wait(rig) { isOpen($0, atLeast: 1) }
          // The disk has something else to do.
          for part in 0..<3 { _ = try ask(wire, "/large/\(round)/\(part)") }
          let edge = try #require(martlet.children.last)
          #expect(try ask(wire, "/page", "POST").status == 200)
          kill(edge, SIGKILL)
          let after = try Wire(to: martlet.endpoint)
          _ = try ask(after, "/other")
          try wait(rig) { isOpen($0) }
          #expect(try ask(after, "/page").text != before)
        }
      }
    }

    @Test("is told of by what shows what is kept, also where memory has nothing of it")
    func told() async throws {
      try await Rig.run { rig in
        let count = Guarded(0)
        let member = try origin(rig, count)
        let first = try start(rig, member.endpoint)
        try wait(rig) { isOpen($0) }
        for number in 0..<5 { _ = try ask(try Wire(to: first.endpoint), "/\(number)") }
        try wait(rig) { isOpen($0, atLeast: 5) }
        let kept = try places(rig, ["top"])
        #expect(kept == [String](repeating: "memory", count: 5))
        first.end()
        let second = try start(rig, member.endpoint)
        try wait(rig) { isOpen($0, atLeast: 5) }
        #expect(try places(rig, ["show", "http://shop.example/3"]) == ["disk"])
        #expect(try places(rig, ["show", "http://shop.example/9"]).isEmpty)
        #expect(try places(rig, ["top"]) == [String](repeating: "disk", count: 5))
        _ = try ask(try Wire(to: second.endpoint), "/3")
        let after = try places(rig, ["top"]).sorted()
        #expect(after == ["disk", "disk", "disk", "disk", "memory"])
      }
    }

    @Test("goes over to the process that an upgrade starts, and stays through a reload")
    func upgrade() async throws {
      try await Rig.run { rig in
        let count = Guarded(0)
        let member = try origin(rig, count)
        let martlet = try start(rig, member.endpoint)
        try wait(rig) { isOpen($0) }
        for number in 0..<40 { _ = try ask(try Wire(to: martlet.endpoint), "/\(number)") }
        try wait(rig) { isOpen($0, atLeast: 40) }
        #expect(try rig.martlet(command: "upgrade").status == 0)
        try wait(rig) { isOpen($0, atLeast: 40) }
        for number in 0..<40 {
          #expect(try ask(try Wire(to: martlet.endpoint), "/\(number)").text == body("/\(number)"))
        }
        #expect(count.withLock { $0 } == 40)
        // With another size of memory it is another store before the same disk.
        let text = String(decoding: try rig.read("martlet.conf"), as: UTF8.self)
        try rig.write(
          text.replacingOccurrences(of: "memory 4MB", with: "memory 8MB"),
          to: "martlet.conf"
        )
        #expect(try rig.martlet(command: "reload").status == 0)
        #expect(isOpen(try list(rig), atLeast: 40))
        for number in 0..<40 {
          #expect(try ask(try Wire(to: martlet.endpoint), "/\(number)").text == body("/\(number)"))
        }
        #expect(count.withLock { $0 } == 40)
      }
    }

    @Test("that is full, or not there, is told of, and everything is served from memory")
    func full() async throws {
      try await Rig.run { rig in
        let count = Guarded(0)
        let member = try origin(rig, count)
        let place = rig.path("small")
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
        // Who may not make a small disk takes one that is none.
        let mounted = try rig.outcome(
          of: ["mount", "-t", "tmpfs", "-o", "size=2m", "none", place]
        )
        let isSmall = mounted.status == 0
        defer { if isSmall { _ = try? rig.outcome(of: ["umount", "-l", place]) } }
        let martlet = try start(
          rig,
          member.endpoint,
          memory: "16MB",
          disk: isSmall ? place : "/proc/martlet"
        )
        let wire = try Wire(to: martlet.endpoint)
        for _ in 0..<2 {
          for number in 0..<200 {
            #expect(try ask(wire, "/\(number)").text == body("/\(number)"))
          }
        }
        #expect(count.withLock { $0 } == 200)
        try martlet.line(with: "the disk of a cache failed")
        #expect(try rig.metric("martlet_cache_disk_faults_total", "failed") > 0)
        martlet.end()
      }
    }
  }
}

extension Rig {
  /// A figure of the only cache, with a further label.
  fileprivate func metric(_ name: String, _ label: String = "main") throws -> Double {
    let page = try curl("--unix-socket", path("state/admin.sock"), "http://localhost/metrics")
    let lines = page.text.split(separator: "\n")
    let line = lines.first { $0.hasPrefix(name + "{") && $0.contains("\"\(label)\"") }
    return line?.split(separator: " ").last.flatMap { Double($0) } ?? 0
  }
}
