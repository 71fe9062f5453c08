import TestPeers
import Testing

extension PeerTests {
  /// What passes between a client and a member, in the forms that programs of others seldom use.
  @Suite("Messages", .timeLimit(.minutes(5 * slowness))) struct MessageTests {
    /// A member that answers each request with `answer`, and what the client got.
    private func exchange(
      _ request: String,
      answer: String
    ) async throws -> (answer: Answer, received: String) {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          while try wire.receiveRequest() != nil { try wire.send(text: answer) }
        }
        let wire = try Wire(to: try rig.martlet(to: [member.endpoint]).endpoint)
        try wire.send(text: request)
        let got = try wire.receiveAnswer(isToHead: request.hasPrefix("HEAD"))
        #expect(member.failures.isEmpty)
        return (got, String(decoding: member.received, as: UTF8.self))
      }
    }

    @Test(
      "passes a field with an underscore in its name only where the server says so",
      arguments: [("", 200), ("drop", 200), ("pass", 200), ("refuse", 400)]
    )
    func underscores(policy: String, status: Int) async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          while try wire.receiveRequest() != nil {
            try wire.send(text: "HTTP/1.1 204 No Content\r\n\r\n")
          }
        }
        let martlet = try rig.martlet(
          configuration: """
            server {
                listen LISTEN
                \(policy.isEmpty ? "" : "underscores_in_fields \(policy)")
                route / { proxy back }
            }
            upstream back { member \(member.endpoint) }
            """
        )
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(
          text: "GET / HTTP/1.1\r\nHost: a_b\r\nX-One: 1_1\r\nX_Forwarded_For: 192.0.2.1\r\n"
            + "x-two: 2\r\nremote_user: admin\r\nUser-Agent: me_too\r\n\r\n"
        )
        #expect(try wire.receiveAnswer().status == (status == 200 ? 204 : 400))
        let received = String(decoding: member.received, as: UTF8.self)
        #expect(received.contains("X_Forwarded_For: 192.0.2.1\r\n") == (policy == "pass"))
        #expect(received.contains("remote_user: admin\r\n") == (policy == "pass"))
        guard status == 200 else {
          #expect(received.isEmpty)
          return
        }
        for line in ["Host: a_b", "X-One: 1_1", "x-two: 2", "User-Agent: me_too"] {
          #expect(received.contains(line + "\r\n"))
        }
      }
    }

    @Test("answers pipelined requests in order, each once")
    func pipelining() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          while let request = try wire.receiveRequest() {
            let body = request.target + String(decoding: request.body, as: UTF8.self)
            try wire.send(
              text: "HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
            )
          }
        }
        let wire = try Wire(to: try rig.martlet(to: [member.endpoint]).endpoint)
        var all = ""
        for number in 0..<300 {
          switch number % 3 {
          case 0: all += "GET /\(number) HTTP/1.1\r\nHost: a\r\n\r\n"
          case 1: all += "POST /\(number) HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
          default:
            all +=
              "POST /\(number) HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
              + "1\r\nx\r\n2\r\nyz\r\n0\r\n\r\n"
          }
        }
        try wire.send(text: all)
        for number in 0..<300 {
          let answer = try wire.receiveAnswer()
          #expect(answer.text == "/\(number)" + ["", "abc", "xyz"][number % 3])
        }
        #expect(member.failures.isEmpty)
      }
    }

    @Test("passes trailers of a request and of an answer")
    func trailers() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          while let request = try wire.receiveRequest() {
            let sum = request.trailers["x-sum"] ?? "none"
            try wire.send(
              text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Back\r\n\r\n"
                + "3\r\nabc\r\n0\r\nX-Back: \(sum)\r\n\r\n"
            )
          }
        }
        let wire = try Wire(to: try rig.martlet(to: [member.endpoint]).endpoint)
        for number in 1...3 {
          try wire.send(
            text:
              "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
              + "2\r\nhi\r\n0\r\nX-Sum: \(number)\r\n\r\n"
          )
          let answer = try wire.receiveAnswer()
          #expect(answer.text == "abc")
          #expect(answer.trailers["x-back"] == "\(number)")
        }
      }
    }

    @Test("passes interim answers on, in order and before the final one")
    func interim() async throws {
      let got = try await exchange(
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        answer: "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
          + "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
      ).answer
      #expect(got.interim == [103, 102])
      #expect(got.interimHeads.first?.contains("Link: </a.css>; rel=preload\r\n") == true)
      #expect(got.status == 200 && got.text == "ok")
    }

    @Test("keeps interim answers from a client of HTTP/1.0")
    func interimToOldClient() async throws {
      let got = try await exchange(
        "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
        answer: "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
          + "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
      ).answer
      #expect(got.interim == [])
      #expect(got.status == 200 && got.text == "ok")
    }

    @Test("passes an interim answer on before the final one comes")
    func interimAtOnce() async throws {
      try await Rig.run { rig in
        let gate = Gate()
        let member = try rig.member { wire in
          guard try wire.receiveRequest() != nil else { return }
          try wire.send(text: "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
          try gate.pass()
          try wire.send(text: "HTTP/1.1 204 No Content\r\n\r\n")
        }
        let wire = try Wire(to: try rig.martlet(to: [member.endpoint]).endpoint)
        try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        let hint = String(decoding: try wire.receive(through: "\r\n\r\n"), as: UTF8.self)
        #expect(hint.hasPrefix("HTTP/1.1 103"))
        gate.open()
        #expect(try wire.receiveAnswer().status == 204)
      }
    }

    @Test("says 100 Continue before the body, once, and the member gets the body")
    func expect() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          guard let request = try wire.receiveRequest() else { return }
          let body = String(decoding: request.body, as: UTF8.self)
          try wire.send(
            text: "HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
          )
        }
        let wire = try Wire(to: try rig.martlet(to: [member.endpoint]).endpoint)
        try wire.send(
          text: "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        )
        #expect(
          String(decoding: try wire.receive(through: "\r\n\r\n"), as: UTF8.self)
            .hasPrefix("HTTP/1.1 100 ")
        )
        try wire.send(text: "hello")
        let answer = try wire.receiveAnswer()
        #expect(answer.interim == [] && answer.text == "hello")
      }
    }

    @Test("passes a chunked answer to HTTP/1.0 without its chunks, ended by the connection")
    func chunkedToOldClient() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          while try wire.receiveRequest() != nil {
            try wire.send(
              text:
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
            )
          }
        }
        let wire = try Wire(to: try rig.martlet(to: [member.endpoint]).endpoint)
        try wire.send(text: "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
        let answer = try wire.receiveAnswer()
        #expect(answer.fields["transfer-encoding"] == nil)
        #expect(answer.text == "abcde" && answer.ending == .complete)
      }
    }

    @Test("keeps a connection of HTTP/1.0 whose client asks for it")
    func keepAliveOfOldClient() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          while try wire.receiveRequest() != nil {
            try wire.send(text: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
          }
        }
        let martlet = try rig.martlet(to: [member.endpoint])
        let wire = try Wire(to: martlet.endpoint)
        for _ in 0..<3 {
          try wire.send(text: "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
          let answer = try wire.receiveAnswer()
          #expect(answer.fields["connection"]?.lowercased() == "keep-alive")
        }
        let other = try Wire(to: martlet.endpoint)
        try other.send(text: "GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        #expect(try other.receiveAnswer().text == "ok")
        #expect(try other.receiveRest().isEmpty)
      }
    }

    @Test(
      "takes an answer of every framing for what it is",
      arguments: [
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "abc"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ""),
        (
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
          "abc"
        ),
        ("HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", "abc"),
      ]
    )
    func framings(answer: String, body: String) async throws {
      let got = try await exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n", answer: answer).answer
      #expect(got.status == 200 && got.text == body && got.ending == .complete)
    }

    @Test("takes the end of the connection for the end of a body without length")
    func untilClose() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          guard try wire.receiveRequest() != nil else { return }
          try wire.send(text: "HTTP/1.0 200 OK\r\n\r\n" + String(repeating: "abc", count: 100_000))
        }
        let wire = try Wire(to: try rig.martlet(to: [member.endpoint]).endpoint)
        try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
        for _ in 0..<2 {
          let answer = try wire.receiveAnswer()
          #expect(answer.body.count == 300_000 && answer.ending == .complete)
        }
      }
    }

    @Test("keeps fields of one connection from the other")
    func hopByHop() async throws {
      let (got, received) = try await exchange(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Mine, keep-alive\r\nX-Mine: 1\r\nX-Yours: 2\r\n"
          + "Keep-Alive: timeout=5\r\nProxy-Connection: close\r\nTE: gzip\r\n"
          + "X-Forwarded-For: 9.9.9.9\r\n\r\n",
        answer: "HTTP/1.1 200 OK\r\nConnection: X-Back\r\nX-Back: 1\r\nX-Front: 2\r\n"
          + "Keep-Alive: timeout=9\r\nContent-Length: 0\r\n\r\n"
      )
      let request = received.lowercased()
      for name in ["x-mine", "keep-alive", "proxy-connection", "\r\nte:", "9.9.9.9"] {
        #expect(!request.contains(name), "\(name) reached the member")
      }
      #expect(
        request.contains("x-yours: 2\r\n") && request.contains("x-forwarded-for: 127.0.0.1\r\n")
      )
      #expect(got.fields["x-front"] == "2")
      #expect(got.fields["x-back"] == nil && got.fields["keep-alive"] == nil)
    }

    @Test("passes a request on that comes byte by byte")
    func byteByByte() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          while let request = try wire.receiveRequest() {
            let text = String(decoding: request.body, as: UTF8.self)
            for byte
              in "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n\(text)\r\n0\r\n\r\n"
              .utf8
            {
              try wire.send([byte])
            }
          }
        }
        let wire = try Wire(to: try rig.martlet(to: [member.endpoint]).endpoint)
        for _ in 0..<2 {
          let request =
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            + "2\r\nab\r\n3;x=\"y\"\r\ncde\r\n0\r\n\r\n"
          for byte in request.utf8 { try wire.send([byte]) }
          #expect(try wire.receiveAnswer().text == "abcde")
        }
        #expect(member.failures.isEmpty)
      }
    }
  }
}
