import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// Many small requests, few large ones, and peers that are slow.
  @Suite("Transfers", .timeLimit(.minutes(5 * slowness))) struct TransferTests {
    /// A body that depends on the path alone, of 0 to about 2000 bytes.
    private static func body(of target: String) -> [UInt8] {
      var state = target.utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
      return (0..<Int(state % 2000)).map { _ in
        state = state &* 1_664_525 &+ 1_013_904_223
        return UInt8(truncatingIfNeeded: state >> 24)
      }
    }

    @Test("10,000 small answers are, byte for byte, what the member sent")
    func small() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          while let request = try wire.receiveRequest() {
            let body = Self.body(of: request.target)
            if body.count % 3 == 0 {
              var answer = Array("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".utf8)
              for start in stride(from: 0, to: body.count, by: 700) {
                let part = body[start..<min(start + 700, body.count)]
                answer += Array("\(String(part.count, radix: 16))\r\n".utf8) + part + [13, 10]
              }
              try wire.send(answer + Array("0\r\n\r\n".utf8))
            } else {
              let head = "HTTP/1.1 200 OK\r\nContent-Length: \(body.count)\r\n\r\n"
              try wire.send(Array(head.utf8) + body)
            }
          }
        }
        let martlet = try rig.martlet(to: [member.endpoint, member.endpoint])
        let wires = try (0..<20).map { _ in try Wire(to: martlet.endpoint) }
        var different = 0
        for round in 0..<500 {
          for (index, wire) in wires.enumerated() {
            try wire.send(text: "GET /\(round)/\(index) HTTP/1.1\r\nHost: a\r\n\r\n")
          }
          for (index, wire) in wires.enumerated() {
            let answer = try wire.receiveAnswer()
            if answer.status != 200 || answer.body != Self.body(of: "/\(round)/\(index)") {
              different += 1
            }
          }
        }
        #expect(different == 0)
        #expect(member.failures.isEmpty)
      }
    }

    // MARK: A gigabyte

    private static let gigabyte = 1 << 30
    // The block's length is odd, so that a block in the wrong place does not look right.
    private static let block: [UInt8] = (0..<1_000_003).map {
      UInt8(truncatingIfNeeded: $0 &* 31 >> 4)
    }
    // More than buffers of two loops, less than one large body kept by mistake.
    private static let growth = 32 << 20

    /// Whether `part` is what stands at `offset` of the endless repetition of the block.
    private static func matches(_ part: [UInt8], at offset: Int) -> Bool {
      var done = 0
      while done < part.count {
        let start = (offset + done) % block.count
        let count = min(block.count - start, part.count - done)
        // Compared by the C library: a gigabyte is long for code that is not optimised.
        let isSame = unsafe part.withUnsafeBytes { part in
          unsafe block.withUnsafeBytes { block in
            guard let one = part.baseAddress, let other = block.baseAddress else { return false }
            return unsafe memcmp(one + done, other + start, count) == 0
          }
        }
        guard isSame else { return false }
        done += count
      }
      return true
    }

    private static func sendBlocks(_ total: Int, to wire: Wire) throws {
      var sent = 0
      while sent < total {
        let count = min(block.count, total - sent)
        try wire.send(count == block.count ? block : Array(block[..<count]))
        sent += count
      }
    }

    private static func receiveBlocks(_ total: Int, from wire: Wire) throws -> Bool {
      var received = 0
      while received < total {
        let part = try wire.receive(atMost: min(1 << 18, total - received))
        guard !part.isEmpty, matches(part, at: received) else { return false }
        received += part.count
      }
      return true
    }

    @Test("a download of 1 GB is whole, and the memory stays flat")
    func download() async throws {
      try await Rig.run { rig in
        let member = try rig.member { wire in
          guard try wire.receiveRequest() != nil else { return }
          try wire.send(text: "HTTP/1.1 200 OK\r\nContent-Length: \(Self.gigabyte)\r\n\r\n")
          try Self.sendBlocks(Self.gigabyte, to: wire)
          _ = try wire.receive()
        }
        let martlet = try rig.martlet(to: [member.endpoint])
        let before = try martlet.memory()
        let wire = try Wire(to: martlet.endpoint)
        try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        _ = try wire.receive(through: "\r\n\r\n")
        #expect(try Self.receiveBlocks(Self.gigabyte, from: wire))
        #expect(try martlet.memory().most - before.most < memoryFactor * Self.growth)
      }
    }

    @Test("an upload of 1 GB is whole, and the memory stays flat", arguments: [true, false])
    func upload(isChunked: Bool) async throws {
      try await Rig.run { rig in
        // A chunked one takes its way through the decoder; a part of it shows as much.
        let total = isChunked ? Self.gigabyte / 4 : Self.gigabyte
        let member = try rig.member { wire in
          guard try wire.receiveRequestHead() != nil else { return }
          if !isChunked {
            let isSame = try Self.receiveBlocks(total, from: wire)
            return try wire.send(
              text: "HTTP/1.1 \(isSame ? 200 : 500) Done\r\nContent-Length: 0\r\n\r\n"
            )
          }
          var received = 0
          while true {
            let line = String(
              decoding: try wire.receive(through: "\r\n").dropLast(2),
              as: UTF8.self
            )
            guard let size = Int(line, radix: 16) else { throw PeerError("no size: \(line)") }
            let part = try wire.receive(exactly: size + 2)
            guard size > 0 else { break }
            guard Self.matches(Array(part.dropLast(2)), at: received) else { break }
            received += size
          }
          try wire.send(
            text: "HTTP/1.1 \(received == total ? 200 : 500) Done\r\nContent-Length: 0\r\n\r\n"
          )
        }
        let martlet = try rig.martlet(
          configuration: """
            server {
                listen LISTEN
                body_limit none
                route / { proxy back }
            }
            upstream back { member \(member.endpoint) }
            """
        )
        let before = try martlet.memory()
        let wire = try Wire(to: martlet.endpoint)
        let framing = isChunked ? "Transfer-Encoding: chunked" : "Content-Length: \(total)"
        try wire.send(text: "PUT / HTTP/1.1\r\nHost: a\r\n\(framing)\r\n\r\n")
        if isChunked {
          try Self.sendChunks(total, to: wire)
        } else {
          try Self.sendBlocks(total, to: wire)
        }
        #expect(try wire.receiveAnswer().status == 200)
        #expect(member.failures.isEmpty)
        #expect(try martlet.memory().most - before.most < memoryFactor * Self.growth)
      }
    }

    private static func sendChunks(_ total: Int, to wire: Wire) throws {
      let size = Array("\(String(block.count, radix: 16))\r\n".utf8)
      var sent = 0
      while sent + block.count <= total {
        try wire.send(size + block + [13, 10])
        sent += block.count
      }
      let rest = Array(block[..<(total - sent)])
      try wire.send(Array("\(String(rest.count, radix: 16))\r\n".utf8) + rest)
      try wire.send(text: "\r\n0\r\n\r\n")
    }

    // MARK: Peers that are slow

    @Test("a client that does not read slows the member down, and nothing is hoarded")
    func slowClient() async throws {
      try await Rig.run { rig in
        let sent = Guarded(0)
        let stalled = Gate()
        let total = 200 << 20
        let member = try rig.member { wire in
          guard try wire.receiveRequest() != nil else { return }
          try wire.send(text: "HTTP/1.1 200 OK\r\nContent-Length: \(total)\r\n\r\n")
          var offset = 0
          var isStalled = false
          while offset < total {
            if !isStalled, !wire.isWritable(within: .milliseconds(500)) {
              isStalled = true
              sent.withLock { $0 = offset }
              stalled.open()
            }
            let start = offset % Self.block.count
            let part = Self.block[start..<min(Self.block.count, start + min(65536, total - offset))]
            try wire.send(part)
            offset += part.count
          }
        }
        let martlet = try rig.martlet(to: [member.endpoint])
        let before = try martlet.memory()
        let wire = try Wire(to: martlet.endpoint, receiveBuffer: 65536)
        try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        _ = try wire.receive(through: "\r\n\r\n")
        // A trickle, until the member could send nothing for half a second.
        var received = 0
        while sent.withLock({ $0 }) == 0 {
          let part = try wire.receive(atMost: 1024)
          #expect(Self.matches(part, at: received))
          received += part.count
          _ = wire.isWritable(within: .zero)
          if received >= 4096 { break }
        }
        try stalled.pass()
        // What the kernel's buffers hold, and two buffers of ours.
        #expect(sent.withLock { $0 } < 32 << 20)
        #expect(try martlet.memory().most - before.most < memoryFactor * 16 << 20)
        // Then it reads on, and all is there.
        var isSame = true
        while received < total {
          let part = try wire.receive(atMost: min(1 << 18, total - received))
          guard !part.isEmpty else { break }
          isSame = isSame && Self.matches(part, at: received)
          received += part.count
        }
        #expect(received == total && isSame)
        #expect(try martlet.memory().most - before.most < memoryFactor * Self.growth)
      }
    }

    @Test("a member that does not read slows the client down, and nothing is hoarded")
    func slowMember() async throws {
      try await Rig.run { rig in
        let gate = Gate()
        let total = 1 << 20
        let member = try rig.member { wire in
          guard try wire.receiveRequestHead() != nil else { return }
          try gate.pass()
          let isSame = try Self.receiveBlocks(total, from: wire)
          try wire.send(text: "HTTP/1.1 \(isSame ? 200 : 500) Done\r\nContent-Length: 0\r\n\r\n")
        }
        let martlet = try rig.martlet(to: [member.endpoint])
        let before = try martlet.memory()
        let wire = try Wire(to: martlet.endpoint)
        // Many clients at once, whose bodies have no place but the sockets.
        let others = try (0..<32).map { _ in try Wire(to: martlet.endpoint) }
        let head = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: \(total)\r\n\r\n"
        for other in others {
          try other.send(text: head)
          var offset = 0
          while offset < total, other.isWritable(within: .milliseconds(20)) {
            let start = offset % Self.block.count
            let end = min(Self.block.count, start + min(65536, total - offset))
            offset += try other.sendNow(Array(Self.block[start..<end]))
          }
        }
        try wire.send(text: head)
        #expect(try martlet.memory().most - before.most < memoryFactor * 16 << 20)
        for other in others { other.end() }
        for _ in 0...32 { gate.open() }
        try Self.sendBlocks(1_000_003, to: wire)
        try wire.send(Self.block[..<(total - 1_000_003)])
        #expect(try wire.receiveAnswer().status == 200)
      }
    }

    @Test("a body that comes in small pieces is passed on as it comes")
    func trickle() async throws {
      try await Rig.run { rig in
        let next = Gate()
        let member = try rig.member { wire in
          guard try wire.receiveRequest() != nil else { return }
          try wire.send(text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
          for number in 0..<100 {
            try next.pass()
            try wire.send(text: "2\r\n\(10 + number % 90)\r\n")
          }
          try wire.send(text: "0\r\n\r\n")
        }
        let wire = try Wire(to: try rig.martlet(to: [member.endpoint]).endpoint)
        try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        _ = try wire.receive(through: "\r\n\r\n")
        for number in 0..<100 {
          next.open()
          let chunk = try wire.receive(exactly: 7)
          #expect(String(decoding: chunk, as: UTF8.self) == "2\r\n\(10 + number % 90)\r\n")
        }
        #expect(try wire.receive(exactly: 5) == Array("0\r\n\r\n".utf8))
      }
    }
  }
}
