import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// `martlet run --daemon`, from its start to its end.
  @Suite("Daemon", .timeLimit(.minutes(2 * slowness))) struct DaemonTests {
    private func command(_ rig: Rig, _ more: [String]) -> [String] {
      [Rig.martletPath] + more + ["--state-directory", rig.path("state")]
    }

    /// Ends what goes on of a test that has failed.
    private func stop(_ rig: Rig) {
      guard let outcome = try? rig.outcome(of: command(rig, ["stop"])), outcome.status != 0,
        let text = try? rig.read("martlet.pid"),
        let process = Int32(String(decoding: text, as: UTF8.self).dropLast())
      else { return }
      kill(process, SIGKILL)
    }

    /// A configuration beside the state, whose names begin in the folder of the test.
    private func configuration(_ rig: Rig, at endpoint: Endpoint) throws -> String {
      try rig.write(
        """
        error_log error.log notice
        server {
            listen \(endpoint)
            route / { respond 200 "fine" }
        }

        """,
        to: "shop.conf"
      )
    }

    @Test("returns when requests are served, and goes on until it is told to stop")
    func goesOn() async throws {
      try await Rig.run { rig in
        let endpoint = try rig.freePort()
        _ = try configuration(rig, at: endpoint)
        // The names are those of the folder in which the command is given.
        let run = ["run", "--config", "shop.conf", "--daemon", "--pid-file", "martlet.pid"]
        defer { stop(rig) }
        let started = try rig.outcome(of: command(rig, run))
        #expect(started.status == 0, "\(started.lines)")
        #expect(started.lines.first?.hasSuffix("http://\(endpoint)") == true, "\(started.lines)")
        let number = String(decoding: try rig.read("martlet.pid"), as: UTF8.self).dropLast()
        #expect(started.lines.last == "process \(number) goes on")
        let wire = try Wire(to: endpoint)
        try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try wire.receiveAnswer().body == Array("fine".utf8))
        let process = try #require(Int32(number))
        // No terminal ends it, and neither it nor its edge writes where nobody reads.
        #expect(getsid(process) == process)
        let children = try String(
          contentsOfFile: "/proc/\(process)/task/\(process)/children",
          encoding: .utf8
        )
        for one in [String(number)] + children.split(separator: " ").map(String.init) {
          for descriptor in 0...2 {
            let link = "/proc/\(one)/fd/\(descriptor)"
            let target = try FileManager.default.destinationOfSymbolicLink(atPath: link)
            #expect(target == "/dev/null")
          }
        }
        #expect(FileManager.default.fileExists(atPath: rig.path("error.log")))
        let again = try rig.outcome(of: command(rig, run))
        #expect(again.status == 6)
        #expect(again.lines.contains { $0.contains("runs already") }, "\(again.lines)")
        #expect(try rig.outcome(of: command(rig, ["stop"])).status == 0)
        let deadline = ContinuousClock.now + patience
        while kill(process, 0) == 0, ContinuousClock.now < deadline { _ = poll(nil, 0, 5) }
        #expect(kill(process, 0) != 0)
      }
    }

    @Test("stays the same process in an upgrade")
    func upgrades() async throws {
      try await Rig.run { rig in
        let endpoint = try rig.freePort()
        let file = try configuration(rig, at: endpoint)
        let run = ["run", "--config", file, "--daemon", "--pid-file", rig.path("martlet.pid")]
        defer { stop(rig) }
        #expect(try rig.outcome(of: command(rig, run)).status == 0)
        let upgraded = try rig.outcome(of: command(rig, ["upgrade"]))
        #expect(upgraded.status == 0, "\(upgraded.lines)")
        let wire = try Wire(to: endpoint)
        try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try wire.receiveAnswer().status == 200)
        let number = String(decoding: try rig.read("martlet.pid"), as: UTF8.self).dropLast()
        #expect(getsid(try #require(Int32(number))) == Int32(number))
        #expect(try rig.outcome(of: command(rig, ["stop"])).status == 0)
      }
    }

    @Test("ends with the reason and its code when requests cannot be served")
    func fails() async throws {
      try await Rig.run { rig in
        let member = try rig.member { _ in }
        let run = ["run", "--daemon", "--config"]
        let taken = try rig.outcome(
          of: command(rig, run + [try configuration(rig, at: member.endpoint)])
        )
        #expect(taken.status == 4, "\(taken.lines)")
        #expect(taken.lines.contains { $0.contains("\(member.endpoint)") }, "\(taken.lines)")
        let wrong = try rig.write("server { listen nowhere }\n", to: "wrong.conf")
        let refused = try rig.outcome(of: command(rig, run + [wrong]))
        #expect(refused.status == 3)
        #expect(refused.lines.contains { $0.contains("wrong.conf:1:") }, "\(refused.lines)")
        let alone = try rig.outcome(of: command(rig, ["run", "--pid-file", "a"]))
        #expect(alone.status == 2)
      }
    }
  }
}
