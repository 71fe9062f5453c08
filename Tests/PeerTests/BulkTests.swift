import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// Bodies that are long enough to pass through a pipe of the kernel instead of a buffer.
  @Suite("Bulk", .timeLimit(.minutes(5 * slowness))) struct BulkTests {
    // Its length is odd, so that bytes in the wrong place do not look right.
    private static let block: [UInt8] = (0..<1_000_003).map {
      UInt8(truncatingIfNeeded: $0 &* 31 >> 4)
    }

    private static func body(_ count: Int) -> [UInt8] {
      var body: [UInt8] = []
      while body.count < count { body += block.prefix(count - body.count) }
      return body
    }

    /// Around the sizes of buffers and pipes.
    private static let sizes: [Int] = [
      0, 1, 16_383, 16_384, 65_535, 65_536, 65_537, 131_071, 131_072, 131_073, 262_143, 262_144,
      262_145, 278_528, 278_529, 327_679, 327_680, 327_681, 1_048_575, 1_048_576, 1_048_577,
      9_000_001,
    ]

    /// How many descriptors the edge process has.
    private static func descriptors(of martlet: Peer) throws -> Int {
      let edge = try #require(martlet.children.last)
      return try FileManager.default.contentsOfDirectory(atPath: "/proc/\(edge)/fd").count
    }

    /// Waits until the edge process has no more descriptors than that.
    private static func expect(_ count: Int, ofDescriptorsOf martlet: Peer) throws {
      let deadline = ContinuousClock.now + patience
      while try descriptors(of: martlet) > count {
        guard ContinuousClock.now < deadline else {
          throw PeerError("\(try descriptors(of: martlet)) descriptors instead of \(count)")
        }
        _ = poll(nil, 0, 20)
      }
    }

    /// A member that sends back what it gets, on any number of requests.
    private static func mirror(_ rig: Rig) throws -> ScriptedMember {
      try rig.member { wire in
        while let request = try wire.receiveRequest() {
          let head = "HTTP/1.1 200 OK\r\nContent-Length: \(request.body.count)\r\n\r\n"
          try wire.send(Array(head.utf8) + request.body)
        }
      }
    }

    private static func anyLength(_ rig: Rig, to member: Endpoint) throws -> Peer {
      try rig.martlet(
        configuration: """
          server {
              listen LISTEN
              body_limit none
              route / { proxy back }
          }
          upstream back { member \(member) }
          """
      )
    }

    @Test(
      "bodies of all sizes go there and back byte for byte, on one connection to the member",
      arguments: [nil, 4096] as [Int32?]
    )
    func allSizes(receiveBuffer: Int32?) async throws {
      try await Rig.run { rig in
        let member = try Self.mirror(rig)
        let martlet = try Self.anyLength(rig, to: member.endpoint)
        let wire = try Wire(to: martlet.endpoint, receiveBuffer: receiveBuffer)
        var before = 0
        // Through a small window bytes come slowly: the sizes around buffers and pipes are enough.
        for size in Self.sizes where receiveBuffer == nil || size < 400_000 {
          let body = Self.body(size)
          try wire.send(text: "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: \(size)\r\n\r\n")
          try wire.send(body)
          let answer = try wire.receiveAnswer()
          #expect(answer.status == 200 && answer.body == body, "\(size)")
          if before == 0 { before = try Self.descriptors(of: martlet) }
        }
        #expect(member.connectionCount == 1 && member.failures.isEmpty)
        try Self.expect(before, ofDescriptorsOf: martlet)
      }
    }

    @Test("they do so over Unix sockets too, to the client and to the member")
    func unixSockets() async throws {
      try await Rig.run { rig in
        let member = try Self.mirror(rig)
        let inner = try rig.martlet(to: [member.endpoint], at: rig.socket("inner"))
        let outer = try rig.martlet(to: [inner.endpoint], at: rig.socket("outer"))
        let wire = try Wire(to: outer.endpoint)
        for size in [65_536, 300_000, 1_000_000] {
          let body = Self.body(size)
          try wire.send(text: "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: \(size)\r\n\r\n")
          try wire.send(body)
          #expect(try wire.receiveAnswer().body == body, "\(size)")
        }
        #expect(member.connectionCount == 1 && member.failures.isEmpty)
      }
    }

    @Test("requests that follow a long body at once are answered in order")
    func pipelined() async throws {
      try await Rig.run { rig in
        let member = try Self.mirror(rig)
        let martlet = try Self.anyLength(rig, to: member.endpoint)
        let wire = try Wire(to: martlet.endpoint)
        let body = Self.body(300_000)
        let request =
          Array("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.count)\r\n\r\n".utf8) + body
        try wire.send(request + request + Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
        for _ in 0..<2 { #expect(try wire.receiveAnswer().body == body) }
        #expect(try wire.receiveAnswer().body == [])
        #expect(member.failures.isEmpty)
      }
    }

    @Test("bytes behind a long answer belong to nobody: the connection is not used again")
    func excess() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          guard try wire.receiveRequest() != nil else { return }
          let head = Array("HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n".utf8)
          try wire.send(head + Self.body(500_000) + Array("HTTP/1.1 200 OK\r\n\r\n".utf8))
          try wire.receiveEnd()
        }
        let wire = try Wire(to: try rig.martlet(to: [member.endpoint]).endpoint)
        for _ in 0..<3 {
          try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
          #expect(try wire.receiveAnswer().body == Self.body(500_000))
        }
        #expect(member.connectionCount == 3)
      }
    }

    @Test("clients that leave in the middle of a long answer end it, and nothing is left of it")
    func clientLeaves() async throws {
      try await Rig.run { rig in
        let ended = Gate()
        let member = try rig.member { wire in
          while let request = try wire.receiveRequest() {
            guard request.target == "/long" else {
              try wire.send(text: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
              continue
            }
            defer { ended.open() }
            try wire.send(text: "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
            for _ in 0..<100 { try wire.send(Self.block) }
          }
        }
        let martlet = try rig.martlet(to: [member.endpoint])
        let first = try Wire(to: martlet.endpoint)
        try first.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try first.receiveAnswer().text == "ok")
        let before = try Self.descriptors(of: martlet)
        for _ in 0..<20 {
          do {
            let wire = try Wire(to: martlet.endpoint)
            try wire.send(text: "GET /long HTTP/1.1\r\nHost: a\r\n\r\n")
            _ = try wire.receive(exactly: 2_000_000)
          }
          // Closed, and not only shut down: a full receive buffer would hide that from the sender.
          try ended.pass()
        }
        // The kept connection to the member may have been one of those that were cut.
        try Self.expect(before, ofDescriptorsOf: martlet)
        try first.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try first.receiveAnswer().text == "ok")
      }
    }

    @Test("what a member sent before it broke off arrives, and the answer is not complete")
    func memberLeaves() async throws {
      try await Rig.run { rig in
        let sent = 3_000_017
        let member = try rig.member { wire in
          guard try wire.receiveRequest() != nil else { return }
          try wire.send(text: "HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n")
          try wire.send(Self.body(sent))
        }
        let martlet = try rig.martlet(to: [member.endpoint])
        let before = try Self.descriptors(of: martlet)
        for _ in 0..<10 {
          let wire = try Wire(to: martlet.endpoint)
          try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
          let answer = try wire.receiveAnswer()
          #expect(answer.ending != .complete && answer.body == Self.body(sent))
        }
        try Self.expect(before, ofDescriptorsOf: martlet)
      }
    }

    @Test("without a descriptor for a pipe, long bodies pass through a buffer")
    func noPipes() async throws {
      try await Rig.run { rig in
        let member = try Self.mirror(rig)
        let martlet = try Self.anyLength(rig, to: member.endpoint)
        let wire = try Wire(to: martlet.endpoint)
        for size in [10, 3_000_000, 10] {
          let body = Self.body(size)
          try wire.send(text: "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: \(size)\r\n\r\n")
          try wire.send(body)
          #expect(try wire.receiveAnswer().body == body)
          // From now on the process may open nothing: its connections stay.
          let edge = try #require(martlet.children.last)
          let limited = try rig.outcome(of: ["prlimit", "--pid", "\(edge)", "--nofile=3:3"])
          #expect(limited.status == 0)
        }
        #expect(member.connectionCount == 1 && member.failures.isEmpty)
      }
    }

    @Test("a tunnel passes many bytes both ways, and its end")
    func tunnel() async throws {
      try await Rig.run { rig in
        let body = Self.body(20_000_000)
        let member = try rig.member { wire in
          guard try wire.receiveRequestHead() != nil else { return }
          try wire.send(
            text: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n"
          )
          let got = try wire.receive(exactly: body.count)
          try wire.send(got)
          wire.finishSending()
          try wire.receiveEnd()
        }
        let martlet = try rig.martlet(to: [member.endpoint])
        let before = try Self.descriptors(of: martlet)
        do {
          let wire = try Wire(to: martlet.endpoint)
          try wire.send(
            text: "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n"
          )
          #expect(try wire.receiveAnswer().status == 101)
          try wire.send(body)
          #expect(try wire.receiveRest() == body)
        }
        #expect(member.failures.isEmpty)
        try Self.expect(before, ofDescriptorsOf: martlet)
      }
    }
  }
}
