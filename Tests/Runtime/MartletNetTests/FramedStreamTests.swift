import MartletBytes
import MartletLoop
import MartletNet
import MartletSystem
import TestLoop
import Testing

extension Peers {
  /// Sends `bytes` to who takes messages of them, which are returned with how they ended.
  func messages(
    in bytes: [UInt8],
    _ form: FrameForm,
    limit: Int
  ) async throws -> (messages: [[UInt8]], failure: FramedStreamError?) {
    try await connected { peers, client, server in
      try await client.write(bytes, by: peers.soon)
      client.shutdownWrite()
      let framed = FramedStream(server, form, limit: limit)
      var messages: [[UInt8]] = []
      do throws(FramedStreamError) {
        while let message = try await framed.next(by: peers.soon) { messages.append(message) }
        return (messages, nil)
      } catch {
        return (messages, error)
      }
    }
  }

  /// Sends messages through a connection, larger than what its sockets hold, and returns what comes.
  func exchanged(_ messages: [[UInt8]], _ form: FrameForm) async throws -> [[UInt8]] {
    try await connected { peers, client, server in
      let sender = FramedStream(client, form, limit: 1 << 20)
      peers.loop.spawn {
        for message in messages { try? await sender.send(message, by: .never) }
        client.shutdownWrite()
      }
      let receiver = FramedStream(server, form, limit: 1 << 20)
      var received: [[UInt8]] = []
      while let message = try await receiver.next(by: peers.soon) { received.append(message) }
      return received
    }
  }
}

@Suite("Streams of messages", .timeLimit(.minutes(5)))
struct FramedStreamTests {
  private static let form = FrameForm.counted(LengthField(byteCount: 4))

  @Test("carry messages of any length in order", arguments: LoopKind.all)
  func order(kind: LoopKind) async throws {
    let messages = (0..<40).map { number in
      [UInt8](repeating: UInt8(number), count: number * number * 600)
    }
    #expect(try await Peers(kind: kind).exchanged(messages, Self.form) == messages)
  }

  @Test("say that the other side has ended within a message, or said too much")
  func ends() async throws {
    let peers = try Peers(kind: LoopKind())
    let whole = try await peers.messages(in: [0, 0, 0, 1, 7], Self.form, limit: 9)
    #expect(whole.messages == [[7]] && whole.failure == nil)
    let cut = try await peers.messages(in: [0, 0, 0, 1, 7, 0], Self.form, limit: 9)
    #expect(cut.messages == [[7]] && cut.failure == .cut)
    let long = try await peers.messages(in: [0, 0, 0, 1, 7, 0, 0, 0, 10], Self.form, limit: 9)
    #expect(long.messages == [[7]] && long.failure == .framing(.tooLong(limit: 9)))
  }

  @Test("do not send what could not be read again, and end with their deadline")
  func refusals() async throws {
    let peers = try Peers(kind: LoopKind())
    let failures = try await peers.connected { peers, client, _ in
      let lines = FramedStream(client, .lines, limit: 9)
      var failures: [FramedStreamError] = []
      do throws(FramedStreamError) { try await lines.send([10], by: peers.soon) } catch {
        failures.append(error)
      }
      let now = peers.loop.deadline(after: Timeout(.milliseconds(1)))
      do throws(FramedStreamError) { _ = try await lines.next(by: now) } catch {
        failures.append(error)
      }
      return failures
    }
    #expect(failures == [.framing(.containsDelimiter), .stream(.timedOut)])
  }
}
