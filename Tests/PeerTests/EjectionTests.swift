import Foundation
import TestPeers
import Testing

private let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
private let bad = "HTTP/1.1 500 a\r\nContent-Length: 3\r\n\r\nbad"

extension PeerTests {
  /// Members that are taken out of service for what they answer.
  @Suite("Ejection of members", .timeLimit(.minutes(5 * slowness))) struct EjectionTests {
    private static func member(_ rig: Rig, _ answer: Guarded<String>) throws -> ScriptedMember {
      try rig.member { wire in
        while try wire.receiveRequest() != nil {
          let text = answer.withLock { $0 }
          guard !text.isEmpty else { return }
          try wire.send(text: text)
        }
      }
    }

    @Test("so many failures in a row, over all loops, eject a member, until its time is over")
    func row() async throws {
      try await Rig.run { rig in
        let answer = Guarded(bad)
        let one = try Self.member(rig, answer)
        let two = try Self.member(rig, Guarded(ok))
        let martlet = try rig.checking(
          [one.endpoint, two.endpoint],
          "eject {\nfailures 5\ntime 1s\n}"
        )
        var failures = 0
        for _ in 0..<30 where try rig.ask(martlet).status == 500 { failures += 1 }
        #expect(failures == 5)
        let line = try martlet.line(with: "a member is ejected")
        #expect(line.contains("reason=failures_in_a_row"), "\(line)")
        #expect(try rig.members().map { $0["ejected"] as? Bool } == [true, false])
        answer.withLock { $0 = ok }
        try martlet.line(with: "a member serves again")
        let before = one.connectionCount
        for _ in 0..<4 { _ = try rig.ask(martlet) }
        #expect(one.connectionCount > before || one.received.count > 0)
        #expect(try rig.members().map { $0["ejections"] as? Int } == [1, 0])
      }
    }

    @Test("a success ends the row")
    func success() async throws {
      try await Rig.run { rig in
        let count = Guarded(0)
        let one = try rig.member { wire in
          while try wire.receiveRequest() != nil {
            let number = count.withLock { count in
              count += 1
              return count
            }
            try wire.send(text: number % 3 == 0 ? ok : bad)
          }
        }
        let two = try Self.member(rig, Guarded(ok))
        let martlet = try rig.checking([one.endpoint, two.endpoint], "eject { failures 3 }")
        for _ in 0..<60 { _ = try rig.ask(martlet) }
        #expect(martlet.count(of: "a member is ejected") == 0)
      }
    }

    @Test("connections that end without an answer are failures, though another member answers")
    func connections() async throws {
      try await Rig.run { rig in
        let one = try Self.member(rig, Guarded(""))
        let two = try Self.member(rig, Guarded(ok))
        let martlet = try rig.checking(
          [one.endpoint, try rig.freePort(), two.endpoint],
          "eject {\nfailures 3\nmax_ejected 70%\n}"
        )
        for _ in 0..<40 { #expect(try rig.ask(martlet).status == 200) }
        try martlet.lines(with: "a member is ejected", count: 2)
        #expect(try rig.members().map { $0["ejected"] as? Bool } == [true, true, false])
      }
    }

    @Test("the share of a window ejects, and the last that serves stays")
    func share() async throws {
      try await Rig.run { rig in
        let members = try (0..<3).map { _ in try Self.member(rig, Guarded(bad)) }
        let martlet = try rig.checking(
          members.map(\.endpoint),
          "eject {\nfailures off\nfailure_share 50%\nwindow 1s\nmin_requests 5\nmax_ejected 99%\n}"
        )
        let load = Load(to: martlet.endpoint)
        try martlet.lines(with: "a member is ejected", count: 2)
        _ = try load.stop()
        #expect(martlet.count(of: "a member is ejected") == 2)
        #expect(try rig.ask(martlet).status == 500)
        #expect(martlet.lines.contains { $0.contains("reason=failure_share") })
      }
    }

    @Test("a reload that ejects nobody any more brings everybody back")
    func reload() async throws {
      try await Rig.run { rig in
        let one = try Self.member(rig, Guarded(bad))
        let two = try Self.member(rig, Guarded(ok))
        let martlet = try rig.checking([one.endpoint, two.endpoint], "eject { failures 1 }")
        while martlet.count(of: "a member is ejected") == 0 { _ = try rig.ask(martlet) }
        #expect(try rig.martlet(command: "reload").status == 0)
        #expect(try rig.members().map { $0["ejected"] as? Bool } == [true, false])
        let text = String(decoding: try rig.read("martlet.conf"), as: UTF8.self)
        try rig.write(
          text.replacingOccurrences(of: "eject { failures 1 }", with: ""),
          to: "martlet.conf"
        )
        #expect(try rig.martlet(command: "reload").status == 0)
        try martlet.line(with: "a member serves again")
        let answers = try (0..<4).map { _ in try rig.ask(martlet).status }
        #expect(Set(answers) == [200, 500])
      }
    }
  }
}
