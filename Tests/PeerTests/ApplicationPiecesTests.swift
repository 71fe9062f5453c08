import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// Answers of applications by WSGI that come in pieces.
  @Suite("Applications that answer in pieces", .timeLimit(.minutes(2 * slowness)))
  struct ApplicationPiecesTests {
    /// Gives as many pieces as the path says, and waits before the second until a file is there.
    private static let program = """
      def app(environ, start_response):
          start_response("200 OK", [("Content-Type", "text/plain")])
          _, count, what = environ["PATH_INFO"].split("/")
          def pieces():
              for number in range(int(count)):
                  if what == "waits" and number == 1:
                      while not os.path.exists("go"):
                          time.sleep(0.01)
                  if what == "fails" and number == 1:
                      raise ValueError("after the first piece")
                  yield b"piece %d\\n" % number
          return pieces()
      """

    private func ask(_ martlet: Peer, _ target: String, method: String = "GET") throws -> Wire {
      let wire = try Wire(to: martlet.endpoint)
      try wire.send(text: "\(method) \(target) HTTP/1.1\r\nHost: a\r\n\r\n")
      return wire
    }

    @Test("tell the length of what is one piece, though they did not", arguments: [1, 4])
    func onePiece(threads: Int) async throws {
      try await Rig.run { rig in
        let martlet = try ApplicationTests.start(rig, Self.program, "threads \(threads)")
        // The first requests of all may take long enough for their pieces to go by themselves.
        var answer = try ask(martlet, "/1/").receiveAnswer()
        for _ in 0..<1000 where answer.fields["content-length"] == nil {
          answer = try ask(martlet, "/1/").receiveAnswer()
        }
        #expect(answer.fields["content-length"] == "8" && answer.text == "piece 0\n")
        #expect(answer.fields["transfer-encoding"] == nil)
        let head = try ask(martlet, "/1/", method: "HEAD").receiveAnswer(isToHead: true)
        #expect(head.status == 200)
        // Several at once, each in its own order.
        let wires = try (0..<60).map { try ask(martlet, "/\($0 % 4)/") }
        for (place, wire) in wires.enumerated() {
          let expected = (0..<place % 4).map { "piece \($0)\n" }.joined()
          #expect(try wire.receiveAnswer().text == expected)
        }
      }
    }

    @Test("give a piece while they are at the next one", arguments: [1, 4])
    func atOnce(threads: Int) async throws {
      try await Rig.run { rig in
        let martlet = try ApplicationTests.start(rig, Self.program, "threads \(threads)")
        // Quick ones before, so that what is quick is taken for usual.
        for _ in 0..<50 { #expect(try ask(martlet, "/1/").receiveAnswer().status == 200) }
        let wire = try ask(martlet, "/3/waits")
        // As long as the file is missing the second piece is not there.
        let first = String(decoding: try wire.receive(through: "piece 0\n"), as: UTF8.self)
        #expect(first.contains("200 OK") && !first.contains("piece 1"))
        try rig.write("", to: "site/go")
        let rest = String(decoding: try wire.receive(through: "\r\n0\r\n\r\n"), as: UTF8.self)
        #expect(rest.contains("piece 1\n") && rest.contains("piece 2\n"))
      }
    }

    @Test("and fail behind the first one leave an answer that has no end")
    func fails() async throws {
      try await Rig.run { rig in
        let martlet = try ApplicationTests.start(rig, Self.program)
        for _ in 0..<20 {
          let rest = String(decoding: try ask(martlet, "/3/fails").receiveRest(), as: UTF8.self)
          #expect(rest.contains("piece 0\n") && !rest.hasSuffix("0\r\n\r\n"))
        }
        try martlet.line(with: "ValueError: after the first piece")
      }
    }
  }
}
