import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// Applications of FastCGI that answer several requests at once on a connection.
  @Suite("Multiplexed FastCGI", .timeLimit(.minutes(5 * slowness))) struct MultiplexTests {
    /// The side of an application.
    private final class Application {
      let wire: Wire
      private var params: [UInt16: [UInt8]] = [:]
      private var targets: [UInt16: String] = [:]

      init(_ wire: Wire) { self.wire = wire }

      /// What comes: the kind of the record and its number.
      func record() throws -> (kind: UInt8, number: UInt16, content: [UInt8]) {
        let header = try wire.receive(exactly: 8)
        let count = Int(header[4]) << 8 | Int(header[5])
        let content = try wire.receive(exactly: count + Int(header[6])).prefix(count)
        return (header[1], UInt16(header[2]) << 8 | UInt16(header[3]), Array(content))
      }

      /// The next request that has come as a whole.
      func next() throws -> (number: UInt16, target: String) {
        while true {
          let (kind, number, content) = try record()
          switch kind {
          case 1: params[number] = []
          case 4 where content.isEmpty: targets[number] = Self.target(params[number] ?? [])
          case 4: params[number]? += content
          case 5 where content.isEmpty: return (number, targets[number] ?? "")
          case 9: try send(10, 0, Self.values)
          default: continue
          }
        }
      }

      /// The path that is asked for, of which no other variable has the name.
      private static func target(_ params: [UInt8]) -> String {
        let text = String(decoding: params, as: UTF8.self)
        guard let start = text.range(of: "REQUEST_URI") else { return "" }
        return String(text[start.upperBound...].prefix { $0 != "\u{C}" && !$0.isNewline })
      }

      /// It takes three requests at once.
      private static let values = pair("FCGI_MPXS_CONNS", "1") + pair("FCGI_MAX_REQS", "3")

      static func pair(_ name: String, _ value: String) -> [UInt8] {
        [UInt8(name.utf8.count), UInt8(value.utf8.count)] + Array(name.utf8) + Array(value.utf8)
      }

      func send(_ kind: UInt8, _ number: UInt16, _ content: [UInt8]) throws {
        let (low, high) = (UInt8(truncatingIfNeeded: content.count), UInt8(content.count >> 8))
        let place = [UInt8(number >> 8), UInt8(truncatingIfNeeded: number)]
        try wire.send([1, kind] + place + [high, low, 0, 0] + content)
      }

      func say(_ text: String, to number: UInt16) throws { try send(6, number, Array(text.utf8)) }

      func end(_ number: UInt16, outcome: UInt8 = 0) throws {
        try send(3, number, [0, 0, 0, 0, outcome, 0, 0, 0])
      }

      /// The numbers of two requests, of which the second may be sent once the first has come.
      func nextTwo(_ begun: Gate) throws -> (UInt16, UInt16) {
        let first = try next().number
        begun.open()
        return (first, try next().number)
      }

      func answer(_ text: String, to number: UInt16) throws {
        try say("Content-Type: text/plain\r\n\r\n\(text)", to: number)
        try end(number)
      }
    }

    private func martlet(
      _ rig: Rig,
      _ member: Endpoint,
      _ block: String = "multiplex 10"
    ) throws -> Peer {
      try rig.martlet(
        configuration: """
          loops 1
          server {
            listen LISTEN
            access_log stdout json
            route / {
              fastcgi \(member) {
                \(block)
              }
            }
          }
          """
      )
    }

    private func ask(_ martlet: Peer, _ target: String, method: String = "GET") throws -> Wire {
      let wire = try Wire(to: martlet.endpoint)
      let length = method == "POST" ? "Content-Length: 0\r\n" : ""
      try wire.send(text: "\(method) \(target) HTTP/1.1\r\nHost: a\r\n\(length)\r\n")
      return wire
    }

    private func metrics(_ rig: Rig) throws -> String {
      try rig.curl("--unix-socket", rig.path("state/admin.sock"), "http://a/metrics").text
    }

    /// Asks until the application's answer to what it takes is known, and a request shares a connection.
    private func askUntilShared(_ martlet: Peer, _ rig: Rig) throws {
      for _ in 0..<1000 {
        #expect(try ask(martlet, "/").receiveAnswer().status == 200)
        if try metrics(rig).contains("connection=\"shared\"} 1\n") { return }
      }
      throw PeerError("no request has shared a connection")
    }

    @Test("several requests are under way at once, and their answers come in any order, in parts")
    func several() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          let application = Application(wire)
          while true {
            var requests: [(number: UInt16, target: String)] = []
            for _ in 0..<3 { requests.append(try application.next()) }
            for (number, target) in requests.reversed() {
              try application.say("A: \(target)\r\n\r\n", to: number)
            }
            for count in 1...3 {
              for (number, _) in requests { try application.say("\(number) \(count),", to: number) }
            }
            for (number, _) in requests { try application.end(number) }
          }
        }
        let martlet = try martlet(rig, member.endpoint)
        for _ in 0..<3 {
          let wires = try (0..<3).map { try ask(martlet, "/\($0)") }
          var bodies: Set<String> = []
          for (index, wire) in wires.enumerated() {
            let answer = try wire.receiveAnswer()
            #expect(answer.status == 200 && answer.fields["a"]?.hasPrefix("/\(index)") == true)
            bodies.insert(answer.text)
          }
          #expect(bodies == ["1 1,1 2,1 3,", "2 1,2 2,2 3,", "3 1,3 2,3 3,"])
        }
        #expect(member.connectionCount == 1)
        let text = try metrics(rig)
        #expect(
          text.contains(
            "martlet_gateway_requests_total{protocol=\"fastcgi\",connection=\"shared\"} 9\n"
          )
        )
        let status = try rig.curl("--unix-socket", rig.path("state/admin.sock"), "http://a/status")
        #expect(status.text.contains("\"requests_shared\":9"))
      }
    }

    @Test("an application is asked what it takes, and more than that goes over another connection")
    func asked() async throws {
      try await Rig.run { rig in
        let both = Gate()
        let member = try rig.member { wire in
          let application = Application(wire)
          var held: [UInt16] = []
          while true {
            let (number, target) = try application.next()
            if target.hasPrefix("/held") {
              held.append(number)
              if held.count == 3 { both.open() }
            } else if target.hasPrefix("/end") {
              for number in held { try application.answer("held", to: number) }
              try application.answer("end", to: number)
              held = []
            } else {
              try application.answer("\(number)", to: number)
            }
          }
        }
        let martlet = try martlet(rig, member.endpoint, "multiplex auto")
        // The first ones have connections of their own, until the application has said what it takes.
        try askUntilShared(martlet, rig)
        let before = member.connectionCount
        let held = try (0..<3).map { _ in try ask(martlet, "/held") }
        try both.pass()
        #expect(member.connectionCount == before)
        // It takes three at once, so this one is sent elsewhere.
        #expect(try ask(martlet, "/").receiveAnswer().status == 200)
        #expect(member.connectionCount > before)
        for wire in held { wire.end() }
      }
    }

    @Test("a client that leaves has its request given up, and nobody else's")
    func abort() async throws {
      try await Rig.run { rig in
        let (begun, aborted) = (Gate(), Gate())
        let member = try rig.member { wire in
          let application = Application(wire)
          let (first, second) = try application.nextTwo(begun)
          begun.open()
          let (kind, number, _) = try application.record()
          #expect(kind == 2 && number == first)
          aborted.open()
          try application.say("nobody reads this", to: first)
          try application.answer("second", to: second)
          // As long as the first one is not ended its number is taken.
          let (third, _) = try application.next()
          #expect(third == second)
          try application.end(first)
          try application.answer("third", to: third)
          let (fourth, _) = try application.next()
          #expect(fourth == first)
          try application.answer("fourth", to: fourth)
          try wire.receiveEnd()
        }
        let martlet = try martlet(rig, member.endpoint)
        let leaving = try ask(martlet, "/1")
        try begun.pass()
        let staying = try ask(martlet, "/2")
        try begun.pass()
        leaving.end()
        try aborted.pass()
        #expect(try staying.receiveAnswer().text == "second")
        for word in ["third", "fourth"] {
          #expect(try ask(martlet, "/").receiveAnswer().text == word)
        }
        #expect(member.connectionCount == 1 && member.failures.isEmpty)
      }
    }

    @Test("a connection that requests share outlives a reload; the next ones follow the new rules")
    func reload() async throws {
      try await Rig.run { rig in
        let begun = Gate()
        let member = try rig.member { wire in
          let application = Application(wire)
          let (first, second) = try application.nextTwo(begun)
          begun.open()
          try application.answer("third", to: try application.next().number)
          try application.answer("second", to: second)
          try application.answer("first", to: first)
          try wire.receiveEnd()
        }
        let martlet = try martlet(rig, member.endpoint)
        let first = try ask(martlet, "/1")
        try begun.pass()
        let second = try ask(martlet, "/2")
        try begun.pass()
        let text = String(decoding: try rig.read("martlet.conf"), as: UTF8.self)
        let rule = "route / {\nresponse header set X-Rules new"
        try rig.write(text.replacingOccurrences(of: "route / {", with: rule), to: "martlet.conf")
        #expect(try rig.martlet(command: "reload").status == 0)
        let third = try ask(martlet, "/3").receiveAnswer()
        #expect(third.text == "third" && third.fields["x-rules"] == "new")
        for (wire, word) in [(second, "second"), (first, "first")] {
          let answer = try wire.receiveAnswer()
          #expect(answer.text == word && answer.fields["x-rules"] == nil)
        }
        #expect(member.connectionCount == 1 && member.failures.isEmpty)
      }
    }

    @Test("an application that refuses to share a connection is given one for each request")
    func refuses() async throws {
      try await Rig.run { rig in
        let (order, begun) = (Guarded(0), Gate())
        let member = try rig.member { wire in
          let application = Application(wire)
          let (first, target) = try application.next()
          let place = order.withLock { order in
            order += 1
            return order
          }
          if place == 1 {
            begun.open()
            let (second, _) = try application.next()
            try application.end(second, outcome: 1)
            try application.answer("first", to: first)
          } else {
            try application.answer("alone \(target.prefix(2))", to: first)
          }
          try wire.receiveEnd()
        }
        let martlet = try martlet(rig, member.endpoint)
        let first = try ask(martlet, "/1")
        try begun.pass()
        let second = try ask(martlet, "/2", method: "POST")
        #expect(try second.receiveAnswer().text == "alone /2")
        #expect(try first.receiveAnswer().text == "first")
        #expect(try ask(martlet, "/3").receiveAnswer().text == "alone /3")
        #expect(member.connectionCount == 3)
      }
    }

    @Test("an overloaded application is another failure, of the one request")
    func overloaded() async throws {
      try await Rig.run { rig in
        let begun = Gate()
        let member = try rig.member { wire in
          let application = Application(wire)
          let (first, _) = try application.next()
          begun.open()
          for _ in 0..<2 { try application.end(application.next().number, outcome: 2) }
          try application.answer("first", to: first)
          try wire.receiveEnd()
        }
        let martlet = try martlet(rig, member.endpoint)
        let first = try ask(martlet, "/1")
        try begun.pass()
        #expect(try ask(martlet, "/2").receiveAnswer().status == 502)
        #expect(try martlet.line(with: "a member failed").contains("refused"))
        #expect(try first.receiveAnswer().text == "first")
      }
    }

    @Test("an answer that is none ends alone")
    func fault() async throws {
      try await Rig.run { rig in
        let begun = Gate()
        let member = try rig.member { wire in
          let application = Application(wire)
          let (first, second) = try application.nextTwo(begun)
          try application.say("no field\r\n\r\nA: b\r\n\r\n", to: first)
          let (kind, number, _) = try application.record()
          #expect(kind == 2 && number == first)
          try application.end(first)
          try application.answer("second", to: second)
          try wire.receiveEnd()
        }
        let martlet = try martlet(rig, member.endpoint)
        let first = try ask(martlet, "/1")
        try begun.pass()
        let second = try ask(martlet, "/2")
        #expect(try first.receiveAnswer().status == 502)
        #expect(try second.receiveAnswer().text == "second")
        #expect(member.failures.isEmpty)
      }
    }

    @Test("where a connection breaks, what may be sent again is, and nothing else")
    func broken() async throws {
      try await Rig.run { rig in
        let (order, begun) = (Guarded(0), Gate())
        let posts = Guarded(0)
        let member = try rig.member { wire in
          let application = Application(wire)
          let place = order.withLock { order in
            order += 1
            return order
          }
          if place == 1 {
            try application.answer("once", to: application.next().number)
            for _ in 0..<3 {
              _ = try application.next()
              begun.open()
            }
            return
          }
          while true {
            let (number, target) = try application.next()
            if target.hasPrefix("/post") { posts.withLock { $0 += 1 } }
            try application.answer("again", to: number)
          }
        }
        let martlet = try martlet(rig, member.endpoint)
        #expect(try ask(martlet, "/").receiveAnswer().text == "once")
        var wires: [Wire] = []
        for (target, method) in [("/get", "GET"), ("/post", "POST"), ("/get", "GET")] {
          wires.append(try ask(martlet, target, method: method))
          try begun.pass()
        }
        #expect(try wires[0].receiveAnswer().text == "again")
        #expect(try wires[1].receiveAnswer().status == 502)
        #expect(try wires[2].receiveAnswer().text == "again")
        #expect(posts.withLock { $0 } == 0)
        #expect(try ask(martlet, "/").receiveAnswer().text == "again")
      }
    }

    @Test("a client that takes its answer slowly holds up others for a while, and no longer")
    func slow() async throws {
      try await Rig.run { rig in
        let begun = Gate()
        let member = try rig.member { wire in
          let application = Application(wire)
          let (slow, fast) = try application.nextTwo(begun)
          try application.say("A: b\r\n\r\n", to: slow)
          let piece = [UInt8](repeating: 65, count: 65_000)
          for _ in 0..<500 { try application.send(6, slow, piece) }
          try application.answer("fast", to: fast)
          let (kind, number, _) = try application.record()
          #expect(kind == 2 && number == slow)
          try wire.receiveEnd()
        }
        let martlet = try martlet(rig, member.endpoint)
        let slow = try Wire(to: martlet.endpoint, receiveBuffer: 4096)
        try slow.send(text: "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        try begun.pass()
        let fast = try ask(martlet, "/fast")
        #expect(try fast.receiveAnswer().text == "fast")
        let cut = try slow.receiveAnswer()
        #expect(cut.status == 200 && cut.ending != .complete && cut.body.count < 32_000_000)
        #expect(
          try metrics(rig).contains("martlet_gateway_given_up_total{protocol=\"fastcgi\"} 1\n")
        )
        #expect(member.failures.isEmpty)
      }
    }

    @Test("an application that is asked and says nothing, or closes, answers as it always did")
    func silent() async throws {
      try await Rig.run { rig in
        for closes in [false, true] {
          let member = try rig.member { wire in
            let application = Application(wire)
            let (kind, number, _) = try application.record()
            if kind == 9 {
              if !closes { try wire.receiveEnd() }
              return
            }
            while try application.record().kind != 5 {}
            try application.answer("alone", to: number)
          }
          let martlet = try martlet(rig, member.endpoint, "multiplex auto")
          for _ in 0..<5 { #expect(try ask(martlet, "/").receiveAnswer().text == "alone") }
          martlet.signal(SIGTERM)
          #expect(try martlet.status() == 0)
        }
      }
    }

    @Test("php-fpm says that it takes one at a time, and works", arguments: ["off", "on"])
    func php(keep: String) async throws {
      try await Rig.run { rig in
        try rig.write(
          "<?php echo 'hello ', strlen(file_get_contents('php://input'));",
          to: "www/a.php"
        )
        _ = try rig.php(children: 3)
        let martlet = try rig.martlet(
          configuration: """
            loops 1
            server {
              listen LISTEN
              route / {
                fastcgi unix:\(rig.path("php.sock")) {
                  root \(rig.path("www"))
                  multiplex auto
                  keep_connections \(keep)
                }
              }
            }
            """
        )
        for count in [0, 10, 100_000] {
          let body = String(repeating: "x", count: count)
          let file = try rig.write(body, to: "body")
          let url = martlet.endpoint.url("/a.php")
          #expect(try rig.curl("--data-binary", "@\(file)", url).text == "hello \(count)")
        }
        #expect(try metrics(rig).contains("connection=\"shared\"} 0\n"))
      }
    }

    @Test("authorizers, filters and places that answer instead share connections as well")
    func roles() async throws {
      try await Rig.run { rig in
        let asked = Guarded(0)
        let member = try rig.member { wire in
          let application = Application(wire)
          while true {
            let (number, target) = try application.next()
            asked.withLock { $0 += 1 }
            if target.hasPrefix("/no") {
              try application.say("Status: 403 No\r\n\r\nno", to: number)
              try application.end(number)
            } else if target.hasPrefix("/leads") {
              try application.say("Location: /place\r\n\r\n", to: number)
              try application.end(number)
            } else {
              try application.answer("yes", to: number)
            }
          }
        }
        let filter = try rig.python(FilterTests.program)
        try rig.write("page", to: "files/page")
        let martlet = try rig.martlet(
          configuration: """
            loops 1
            server {
              listen LISTEN
              route /place { respond 200 "the place" }
              route /page {
                fastcgi \(filter.endpoint) {
                  root \(rig.path("files"))
                  filter 1KB
                  multiplex 10
                }
              }
              route /leads { fastcgi \(member.endpoint) { multiplex 10 } }
              route / {
                authorize \(member.endpoint) { multiplex 10 }
                respond 200 "passed"
              }
            }
            """
        )
        for _ in 0..<2 {
          #expect(try ask(martlet, "/").receiveAnswer().text == "passed")
          #expect(try ask(martlet, "/no").receiveAnswer().text == "no")
          #expect(try ask(martlet, "/leads").receiveAnswer().text == "the place")
          let head = try ask(martlet, "/leads", method: "HEAD").receiveAnswer(isToHead: true)
          #expect(head.status == 200 && head.fields["content-length"] == "9")
          #expect(try ask(martlet, "/page").receiveAnswer().text.hasPrefix("3\n[4, 5, 8]\n"))
        }
        #expect(asked.withLock { $0 } == 8 && member.connectionCount == 1)
      }
    }

    // MARK: flup

    /// Each request of `/all` is answered when eight of them are under way.
    private static let program = """
      import hashlib, sys, threading
      from flup.server.fcgi import WSGIServer
      barrier = threading.Barrier(8, timeout=15)
      def application(environ, start_response):
          body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
          if environ["PATH_INFO"] == "/all": barrier.wait()
          start_response("200 OK", [("Content-Type", "text/plain")])
          if environ["PATH_INFO"] == "/long":
              return [b"%5d" % number * 2000 for number in range(50)]
          return [("%d %s" % (len(body), hashlib.md5(body).hexdigest())).encode()]
      server = WSGIServer(application, bindAddress=("127.0.0.1", int(sys.argv[1])), multiplexed=True)
      # It looks for names as bytes among those that it keeps as texts.
      server.capability.update({name.encode(): value for name, value in server.capability.items()})
      server.run()
      """

    @Test(
      "flup answers several at once, of clients of HTTP/1.1 and HTTP/2",
      .enabled(if: FrameworkTests.has("flup"), "MARTLET_PYTHON names an interpreter with flup"),
      arguments: ["auto", "50"]
    )
    func flup(multiplex: String) async throws {
      try await Rig.run { rig in
        let endpoint = try rig.freePort()
        guard case .port(let port) = endpoint else { throw PeerError("not a port") }
        let file = try rig.write(Self.program, to: "several.py")
        let words = [FrameworkTests.interpreter, "-u", file, "\(port)"]
        _ = try rig.start(words, at: endpoint)
        let martlet = try martlet(rig, endpoint, "multiplex \(multiplex)\nbody_buffer 1MB")
        try askUntilShared(martlet, rig)
        for _ in 0..<3 {
          let wires = try (0..<8).map { _ in try ask(martlet, "/all") }
          for wire in wires { #expect(try wire.receiveAnswer().text.hasPrefix("0 ")) }
        }
        let bytes: [UInt8] = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 13 >> 3) }
        let body = try rig.write(bytes, to: "body")
        let sum = try rig.outcome(of: ["md5sum", body]).lines.joined().prefix(32)
        let url = martlet.endpoint.url("/all")
        let uploads = ["--data-binary", "@\(body)"] + [String](repeating: url, count: 8)
        let options = ["-sS", "--http2-prior-knowledge", "-Z", "--parallel-immediate"]
        let texts = try rig.outcome(of: ["curl"] + options + uploads).lines.joined()
        // Curl tells how far it is besides.
        #expect(texts.contains(String(repeating: "300000 \(sum)", count: 8)))
        let long = (0..<50).map { number in
          String(
            repeating: String(repeating: " ", count: 5 - "\(number)".count) + "\(number)",
            count: 2000
          )
        }.joined()
        let wires = try (0..<8).map { _ in try ask(martlet, "/long") }
        for wire in wires {
          let isWhole = try wire.receiveAnswer().text == long
          #expect(isWhole)
        }
      }
    }
  }
}
