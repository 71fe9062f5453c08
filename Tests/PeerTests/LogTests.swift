import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// The access log, and files that cannot be written.
  @Suite("Logs", .timeLimit(.minutes(5 * slowness))) struct LogTests {
    private func configuration(_ log: String, _ member: Endpoint) -> String {
      """
      server {
          listen LISTEN
          access_log \(log)
          route / { proxy back }
      }
      upstream back {
          member \(member)
          first_byte_timeout 300ms
      }
      """
    }

    private func member(_ rig: Rig, asked: Gate = Gate()) throws -> ScriptedMember {
      try rig.member { wire in
        while let request = try wire.receiveRequest() {
          if request.target == "/silent" {
            asked.open()
            try wire.receiveEnd()
            return
          }
          if request.target == "/broken" { return }
          if request.target == "/cut" {
            return try wire.send(text: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
          }
          if request.target == "/wrong" { return try wire.send(text: "SMTP\r\n\r\n") }
          try wire.send(text: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        }
      }
    }

    @Test("a full disk costs the log's lines, and not one request")
    func fullDisk() async throws {
      try await Rig.run { rig in
        let member = try member(rig)
        let martlet = try rig.martlet(
          configuration: configuration("/dev/full json", member.endpoint)
        )
        let edges = martlet.children
        let load = Load(to: martlet.endpoint, clientCount: 4)
        try load.wait(forMore: 5000)
        let totals = try load.stop()
        #expect(totals.failures == [:] && totals.broken == 0, "\(totals)")
        #expect(martlet.children == edges)
        try martlet.line(with: "a log cannot be written")
      }
    }

    @Test("a log that a reload takes away while a request is under way is missed by nobody")
    func logTakenAway() async throws {
      try await Rig.run { rig in
        let (asked, answers) = (Gate(), Gate())
        let member = try rig.member { wire in
          guard try wire.receiveRequest() != nil else { return }
          asked.open()
          try answers.pass()
          try wire.send(text: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        }
        let text = """
          server {
              listen LISTEN
              LOG
              route / { proxy \(member.endpoint) }
          }

          """
        let martlet = try rig.martlet(
          configuration: text.replacingOccurrences(of: "LOG", with: "access_log stdout json")
        )
        let edges = martlet.children
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        try asked.pass()
        try rig.write(
          text.replacingOccurrences(of: "LOG", with: "")
            .replacingOccurrences(of: "LISTEN", with: "\(martlet.endpoint)"),
          to: "martlet.conf"
        )
        #expect(try rig.martlet(command: "reload").status == 0)
        answers.open()
        #expect(try wire.receiveAnswer().text == "ok")
        #expect(martlet.children == edges)
      }
    }

    @Test("a log that nobody takes holds no request up")
    func blockedLog() async throws {
      try await Rig.run { rig in
        let member = try member(rig)
        let pipe = rig.path("pipe")
        #expect(try rig.outcome(of: ["mkfifo", pipe]).status == 0)
        // Open for reading, so that it can be opened for writing, and never read.
        let reader = try #require(FileHandle(forUpdatingAtPath: pipe))
        let martlet = try rig.martlet(configuration: configuration("\(pipe) json", member.endpoint))
        let before = try martlet.memory()
        let load = Load(to: martlet.endpoint, clientCount: 4)
        try load.wait(forMore: 5000)
        let totals = try load.stop()
        #expect(totals.failures == [:] && totals.broken == 0, "\(totals)")
        #expect(try martlet.memory().now - before.now < memoryFactor * 16 << 20)
        try reader.close()
      }
    }

    @Test("each request has one line, which tells how it ended")
    func endings() async throws {
      try await Rig.run { rig in
        let asked = Gate()
        let member = try member(rig, asked: asked)
        let martlet = try rig.martlet(
          configuration: configuration("\(rig.path("access.log")) json", member.endpoint)
        )
        func status(_ path: String) throws -> Int {
          let wire = try Wire(to: martlet.endpoint)
          try wire.send(text: "POST \(path) HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
          return try wire.receiveAnswer().status
        }
        #expect(try status("/good") == 200)
        #expect(try status("/silent") == 504)
        #expect(try status("/broken") == 502)
        #expect(try status("/cut") == 200)
        #expect(try status("/wrong") == 502)
        try asked.pass()
        let leaving = try Wire(to: martlet.endpoint)
        try leaving.send(text: "GET /silent HTTP/1.1\r\nHost: a\r\n\r\n")
        try asked.pass()
        leaving.end()
        let refused = try Wire(to: martlet.endpoint)
        try refused.send(text: "GET / HTTP/1.1\r\n\r\n")
        #expect(try refused.receiveAnswer().status == 400)
        #expect(try rig.martlet(command: "stop").status == 0)
        let lines = try rig.read("access.log").split(separator: 10).map {
          try JSONSerialization.jsonObject(with: Data($0)) as? [String: Any] ?? [:]
        }
        let told = Set(
          lines.map { line in
            "\(line["target"] ?? "-") \(line["status"] ?? "") \(line["end"] ?? "")"
          }
        )
        #expect(
          told == [
            "/good 200 complete", "/silent 504 upstream_timeout", "/broken 502 upstream_reset",
            "/cut 200 upstream_cut", "/wrong 502 upstream_malformed", "/silent 499 client_closed",
            "- 400 refused",
          ]
        )
        #expect(lines.count == 7)
      }
    }

    @Test(
      "the error log has what its level asks for, and nothing less grave",
      arguments: [("debug", true), ("info", true), ("warning", true), ("error", false)]
    )
    func levels(level: String, isTold: Bool) async throws {
      try await Rig.run { rig in
        let member = try member(rig)
        let martlet = try rig.martlet(
          configuration: "error_log \(rig.path("error.log")) \(level)\n"
            + configuration("off", member.endpoint)
        )
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: "POST /broken HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        #expect(try wire.receiveAnswer().status == 502)
        #expect(try rig.martlet(command: "stop").status == 0)
        let text = String(decoding: try rig.read("error.log"), as: UTF8.self)
        #expect(text.contains("a member failed") == isTold, "\(text)")
      }
    }

    @Test(
      "logs go to the stream that they name",
      arguments: [("stdout", "stderr"), ("stderr", "stdout")]
    )
    func streams(accessLog: String, errorLog: String) async throws {
      try await Rig.run { rig in
        let member = try member(rig)
        let martlet = try rig.martlet(
          configuration: "error_log \(errorLog) warning\n"
            + configuration("\(accessLog) json", member.endpoint),
          startedBy: ["sh", "-c", "exec \"$@\" 2>stderr", "sh"]
        )
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: "POST /broken HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        #expect(try wire.receiveAnswer().status == 502)
        #expect(try rig.martlet(command: "stop").status == 0)
        _ = try martlet.status()
        let texts = [
          "stdout": martlet.lines.joined(separator: "\n"),
          "stderr": String(decoding: try rig.read("stderr"), as: UTF8.self),
        ]
        for (stream, text) in texts {
          #expect(text.contains("/broken") == (stream == accessLog), "\(stream): \(text)")
          #expect(text.contains("a member failed") == (stream == errorLog), "\(stream): \(text)")
        }
      }
    }

    @Test("the metrics count what was asked")
    func metrics() async throws {
      try await Rig.run { rig in
        let member = try member(rig)
        let martlet = try rig.martlet(configuration: configuration("off", member.endpoint))
        let wire = try Wire(to: martlet.endpoint)
        for _ in 0..<50 {
          try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
          #expect(try wire.receiveAnswer().status == 200)
        }
        let text = try rig.curl(
          "--unix-socket",
          rig.path("state/admin.sock"),
          "http://localhost/metrics"
        ).text
        #expect(text.contains("martlet_requests_ended_total{reason=\"complete\"} 50"), "\(text)")
      }
    }
  }
}
