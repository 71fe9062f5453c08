import Foundation
import TestPeers
import Testing

extension PeerTests.BulkCommandTests {
  /// How often a batch came, and how often it was acknowledged, by its key.
  private struct Record {
    var sent: [String: Int] = [:]
    var acknowledged: [String: Int] = [:]
    /// What came although it was acknowledged.
    var repeated: [String] = []

    /// Notes a request that has come.
    mutating func take(_ request: Request) {
      let key = request.fields["idempotency-key"] ?? ""
      sent[key, default: 0] += 1
      if acknowledged[key] != nil { repeated.append(key) }
    }

    /// Notes a request before its answer is sent.
    mutating func acknowledge(_ request: Request) {
      acknowledged[request.fields["idempotency-key"] ?? "", default: 0] += 1
    }
  }

  @Test("sends several requests of a connection together, once it has answered one")
  func pipelines() async throws {
    try await Rig.run { rig in
      let file = try table(1700, rig)
      let all = Guarded<[Request]>([])
      let member = try rig.member { wire in
        // Whoever sent them one by one would wait for an answer to the first of them.
        for count in [1, 7, 8, 1] {
          let requests = try (0..<count).map { _ in try #require(try wire.receiveRequest()) }
          all.withLock { $0 += requests }
          let answers = String(repeating: Origin.ok("", "fine"), count: count)
          let bytes = Array(answers.utf8)
          for start in stride(from: 0, to: bytes.count, by: 29) {
            try wire.send(Array(bytes[start..<min(start + 29, bytes.count)]))
          }
        }
        try wire.receiveEnd()
      }
      let line = [
        Rig.martletPath, "bulk", file, "--column", "name", "--workers", "1", "--pipeline", "8",
        "--post", member.endpoint.url("/in"),
      ]
      let outcome = try rig.outcome(of: line)
      #expect(outcome.status == 0, "\(outcome.lines)")
      #expect(member.failures.isEmpty && member.connectionCount == 1)
      #expect(try values(of: all.withLock { $0 }) == (0..<1700).map(name))
    }
  }

  @Test("sends nothing again that was answered before a connection broke off in a pipeline")
  func pipelineBreaks() async throws {
    try await Rig.run { rig in
      let file = try table(3000, rig)
      let record = Guarded(Record())
      let member = try rig.member { wire in
        for answered in 0... {
          guard let request = try wire.receiveRequest() else { return }
          record.withLock { $0.take(request) }
          // Others were sent behind this one, and are lost with the connection.
          if answered == 13 { return }
          record.withLock { $0.acknowledge(request) }
          try wire.send(text: Origin.ok("", ""))
        }
      }
      let line = [
        Rig.martletPath, "bulk", file, "--column", "name", "--workers", "3", "--pipeline", "6",
        "--batch", "10", "--post", member.endpoint.url("/in"), "--tries", "1",
      ]
      let outcome = try rig.outcome(of: line)
      #expect(outcome.status == 0, "\(outcome.lines)")
      #expect(outcome.lines.contains { $0.hasPrefix("300 batches with 3000 rows sent") })
      let found = record.withLock { $0 }
      #expect(found.acknowledged.count == 300 && found.acknowledged.values.allSatisfy { $0 == 1 })
      #expect(found.repeated.isEmpty)
      #expect(found.sent.values.reduce(0, +) > 300)
      let noted = String(decoding: try rig.read("rows.csv.sent"), as: UTF8.self)
      #expect(noted.split(separator: "\n").count == 301)
    }
  }

  @Test("tells the answers of a pipeline apart: what is refused, taken later, and closed behind")
  func pipelineMixes() async throws {
    try await Rig.run { rig in
      let file = try table(1200, rig)
      let origin = try Origin(rig) { request, before in
        let key = request.fields["idempotency-key"] ?? ""
        let fields = before % 5 == 4 ? "Connection: close\r\n" : ""
        if key.hasSuffix("-7\"") { return "HTTP/1.1 422 No\r\n\(fields)Content-Length: 0\r\n\r\n" }
        if key.hasSuffix("-5\""), before < 10 {
          return "HTTP/1.1 503 Busy\r\n\(fields)Content-Length: 4\r\n\r\nbusy"
        }
        return Origin.ok(fields, "fine")
      }
      let line = command(file, origin, ["--workers", "1", "--pipeline", "4", "--tries", "2"])
      let outcome = try rig.outcome(of: line)
      #expect(outcome.status == 1)
      #expect(outcome.lines.contains("batch 7: the answer is 422"), "\(outcome.lines)")
      #expect(outcome.lines.contains { $0.contains("11 batches with 1100 rows") })
      #expect(outcome.lines.contains { $0.contains("1 refused, 1 tries repeated") })
      let dead = String(decoding: try rig.read("rows.csv.dead"), as: UTF8.self)
      #expect(dead.contains("\"n701\"") && !dead.contains("n501") && !dead.contains("n801"))
    }
  }

  @Test("reads answers while it sends, so that long ones on both sides hold up nobody")
  func longPipelines() async throws {
    try await Rig.run { rig in
      let row = String(repeating: "x", count: 100) + "\n"
      let file = try rig.write("name\n" + String(repeating: row, count: 90_000), to: "rows.csv")
      let body = String(repeating: "y", count: 2_000_000)
      let origin = try Origin(rig) { _, _ in Origin.ok("", body) }
      let more = ["--batch", "10000", "--workers", "1", "--pipeline", "9", "--timeout", "20"]
      let outcome = try rig.outcome(of: command(file, origin, more))
      #expect(outcome.status == 0, "\(outcome.lines)")
      #expect(outcome.lines.contains { $0.contains("0 tries repeated") })
      #expect(origin.count == 9 && origin.member.connectionCount == 1)
    }
  }

  @Test("nginx takes pipelines, and whatever it does not come to when it closes is sent again")
  func pipelinesToNginx() async throws {
    try await Rig.run { rig in
      let file = try table(5000, rig)
      let log = rig.path("keys")
      let nginx = try rig.nginx(
        "keepalive_requests 23; access_log \(log) keys; return 204;",
        outside: "log_format keys $http_idempotency_key;"
      )
      let line = [
        Rig.martletPath, "bulk", file, "--column", "name", "--workers", "2", "--pipeline", "16",
        "--batch", "10", "--post", nginx.endpoint.url("/in"), "--tries", "1",
      ]
      let outcome = try rig.outcome(of: line)
      #expect(outcome.status == 0, "\(outcome.lines)")
      #expect(outcome.lines.contains { $0.hasPrefix("500 batches with 5000 rows sent") })
      let keys = String(decoding: try rig.read("keys"), as: UTF8.self).split(separator: "\n")
      #expect(keys.count == 500 && Set(keys).count == 500)
    }
  }

  @Test("a pipeline has its bounds, and a command has none")
  func pipelineBounds() async throws {
    try await Rig.run { rig in
      let file = try table(1, rig)
      let line = [Rig.martletPath, "bulk", file, "--column", "name", "--pipeline"]
      for wrong in ["0", "65"] {
        let outcome = try rig.outcome(of: line + [wrong, "--post", "http://127.0.0.1:1/"])
        #expect(outcome.status == 2)
        #expect(outcome.lines.contains { $0.contains("write a number from 1 to 64") })
      }
      let outcome = try rig.outcome(of: line + ["2", "--command", "/bin/cat"])
      #expect(outcome.status == 2)
      #expect(outcome.lines.contains { $0.contains("--pipeline needs --post") })
    }
  }
}
