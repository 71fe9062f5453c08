import Foundation
import TestCorpora
import TestPeers
import Testing

extension PeerTests {
  /// Every message of the corpora, sent through the whole program.
  @Suite("Refusals", .timeLimit(.minutes(5 * slowness))) struct RefusalTests {
    @Test("of requests: the status is right, the connection ends, and no byte reaches a member")
    func requests() async throws {
      let messages = try RefusedMessage.all(in: .smuggling)
      #expect(messages.count >= 60)
      try await Rig.run { rig in
        let member = try rig.member { wire in
          while try wire.receiveRequest() != nil {
            try wire.send(text: "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nmember")
          }
        }
        let martlet = try rig.martlet(to: [member.endpoint])
        // What is too long depends on the configuration, and has tests of its own.
        for message in messages where message.part == .head && !message.name.hasPrefix("limit-") {
          try refused(message, by: martlet)
          #expect(member.connectionCount == 0, "\(message) reached the member")
        }
        #expect(member.received.isEmpty)
        #expect(martlet.isRunning)
      }
    }

    @Test("of bodies: what follows a head that was passed on is never taken for a request")
    func bodies() async throws {
      let messages = try RefusedMessage.all(in: .smuggling).filter { $0.part == .body }
      #expect(!messages.isEmpty)
      try await Rig.run { rig in
        let member = try rig.member { wire in
          while try wire.receiveRequest() != nil {
            try wire.send(text: "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nmember")
          }
        }
        let martlet = try rig.martlet(to: [member.endpoint])
        for message in messages { try refused(message, by: martlet) }
        // The same, when the head comes alone and has gone on before the body is seen.
        for message in messages { try refused(message, by: martlet, withHeadAlone: true) }
        #expect(!String(decoding: member.received, as: UTF8.self).contains("/smuggled"))
        #expect(martlet.isRunning)
      }
    }

    private func refused(
      _ message: RefusedMessage,
      by martlet: Peer,
      withHeadAlone: Bool = false
    ) throws {
      let wire = try Wire(to: martlet.endpoint)
      let text = String(decoding: message.bytes, as: UTF8.self)
      let head = text.range(of: "\r\n\r\n").map { Array(text[..<$0.upperBound].utf8) }
      do {
        if withHeadAlone, let head {
          try wire.send(head)
          // The head is on its way once it has been answered that the body may come, or never is.
          _ = wire.isReadable(within: .milliseconds(20))
          try wire.send(message.bytes[head.count...])
        } else {
          try wire.send(message.bytes)
        }
      } catch Wire.Failure.reset {
        // It may be refused before all of it was sent.
      }
      do {
        let answer = try wire.receiveAnswer()
        #expect(answer.status == Int(message.status), "\(message)")
        #expect(answer.fields["connection"] == "close", "\(message)")
      } catch let failure as Wire.Failure {
        Issue.record("\(message): no answer but \(failure)")
      }
      do {
        #expect(try wire.receiveRest().isEmpty, "\(message): more than one answer")
      } catch Wire.Failure.reset {
        return
      }
    }

    @Test("of answers: 502 where the head is at fault, an end before the end where the body is")
    func answers() async throws {
      // Members may send longer heads than clients: what is too long has tests of its own.
      let messages = try RefusedMessage.all(in: .responses).filter {
        !["too_many_fields", "field_line_too_long", "head_too_large"].contains($0.reason)
      }
      #expect(messages.count >= 20)
      try await Rig.run { rig in
        let member = try rig.member { wire in
          guard let request = try wire.receiveRequest(),
            let number = Int(request.target.dropFirst())
          else { return }
          try wire.send(messages[number].bytes)
          try wire.receiveEnd()
        }
        let martlet = try rig.martlet(to: [member.endpoint])
        for (number, message) in messages.enumerated() {
          let wire = try Wire(to: martlet.endpoint)
          try wire.send(text: "GET /\(number) HTTP/1.1\r\nHost: a\r\n\r\n")
          switch message.part {
          case .head:
            do {
              let answer = try wire.receiveAnswer()
              #expect(answer.status == Int(message.status), "\(message)")
              #expect(answer.ending == .complete, "\(message)")
            } catch let failure as Wire.Failure {
              Issue.record("\(message): \(failure)")
            }
          case .body:
            do {
              let answer = try wire.receiveAnswer()
              #expect(answer.ending != .complete || answer.status == 502, "\(message)")
            } catch is Wire.Failure {
              // Nothing at all is no complete answer either.
            }
          }
        }
        #expect(martlet.isRunning)
      }
    }
  }
}
