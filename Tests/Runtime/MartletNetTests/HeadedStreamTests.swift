import JSON
import MartletBytes
import MartletLoop
import MartletNet
import MartletSystem
import TestLoop
import Testing

/// A message as a test compares it.
private struct Plain: Equatable, Sendable {
  var kind: String?
  var body: [UInt8]
}

extension Peers {
  fileprivate func read(_ messages: HeadedStream) async throws -> [Plain] {
    var all: [Plain] = []
    while let message = try await messages.next(by: soon) {
      var body: [UInt8] = []
      while try await messages.part(by: soon, { body.append(copying: $0) }) {}
      all.append(Plain(kind: message.head["do"]?.text, body: body))
    }
    return all
  }

  /// Sends messages whose bodies come from memory and from a file, and returns what comes.
  fileprivate func exchanged(_ count: Int) async throws -> [Plain] {
    try await connected { peers, client, server in
      let file = try Descriptor.memoryFile("body")
      try file.writeAll([UInt8](repeating: 7, count: count))
      peers.loop.spawn {
        let sender = HeadedStream(client, bodyLimit: 0)
        try? await sender.send(.object(["do": .text("one")]), body: [1, 2, 3], by: .never)
        try? await sender.send(
          .object(["do": .text("file")]),
          file: file,
          from: 1,
          count: count - 1,
          pause: .none
        )
        try? await sender.send(.object(["do": .text("none")]), by: .never)
        client.shutdownWrite()
      }
      return try await peers.read(HeadedStream(server, bodyLimit: count))
    }
  }

  /// Sends bytes to who takes such messages, and returns how that ends.
  fileprivate func failure(_ bytes: [UInt8]) async throws -> FramedStreamError? {
    try await connected { peers, client, server in
      try await client.write(bytes, by: peers.soon)
      client.shutdownWrite()
      let messages = HeadedStream(server, headLimit: 20, bodyLimit: 5)
      do throws(FramedStreamError) {
        while try await messages.next(by: peers.soon) != nil {}
        return nil
      } catch {
        return error
      }
    }
  }
}

@Suite("Streams of messages with heads", .timeLimit(.minutes(5)))
struct HeadedStreamTests {
  @Test("carry bodies longer than what sockets hold", arguments: LoopKind.all)
  func bodies(kind: LoopKind) async throws {
    let count = 3_000_000
    let all = try await Peers(kind: kind).exchanged(count)
    #expect(all.map(\.kind) == ["one", "file", "none"])
    #expect(all.map(\.body.count) == [3, count - 1, 0])
    #expect(all.first?.body == [1, 2, 3])
    let isWhole = all[1].body.allSatisfy { $0 == 7 }
    #expect(isWhole)
  }

  @Test("say why they cannot go on, and pass over bodies that nobody reads")
  func failures() async throws {
    let peers = try Peers(kind: LoopKind())
    let whole = HeadedFrame.start(head: Array("{}".utf8), bodyBytes: 5) + [1, 2, 3, 4, 5]
    #expect(try await peers.failure(whole + whole) == nil)
    #expect(try await peers.failure(Array(whole.dropLast())) == .cut)
    #expect(try await peers.failure(whole + [0]) == .cut)
    let text = HeadedFrame.start(head: Array("{\"a\":1,\"a\":2}".utf8), bodyBytes: 0)
    guard case .head = try await peers.failure(text) else {
      Issue.record("a name that stands twice is taken")
      return
    }
    let long = HeadedFrame.start(head: [UInt8](repeating: 0x20, count: 21), bodyBytes: 0)
    #expect(try await peers.failure(long) == .framing(.tooLong(limit: 20)))
    let body = HeadedFrame.start(head: Array("{}".utf8), bodyBytes: 6)
    #expect(try await peers.failure(body) == .framing(.tooLong(limit: 5)))
  }
}
