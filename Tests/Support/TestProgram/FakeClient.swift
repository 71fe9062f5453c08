import MartletLoop
import MartletNet
import MartletProcess
import MartletSystem

/// Clients of a ``FakeEdge``.
enum FakeClient {
  private static func connect(to port: String, on loop: EventLoop) async throws -> Stream {
    let address: SocketAddress =
      UInt16(port).map { .ipv4(0x7F00_0001, port: $0) } ?? .unix(port)
    return try await Stream.connect(to: address, on: loop, by: soon(loop))
  }

  private static func soon(_ loop: EventLoop) -> Deadline {
    loop.deadline(after: Timeout(.seconds(30)))
  }

  private static func text(from stream: Stream, on loop: EventLoop) async throws -> String {
    let part = try await stream.read(.head, by: soon(loop))
    var bytes: [UInt8] = []
    for index in 0..<part.count { bytes.append(part.bytes[index]) }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Sends a line and tells the answer; after `hold`, SIGUSR1 sends the second line.
  static func call(port: String, _ line: String) throws {
    try ProcessSignal.block([.user1])
    let loop = try EventLoop()
    loop.run {
      loop.checkIsolated()
      do {
        let stream = try await connect(to: port, on: loop)
        try await stream.write(Array("\(line)\n".utf8), by: soon(loop))
        var answer = try await text(from: stream, on: loop)
        if answer == "held\n" {
          TestProgram.tell("held")
          _ = try await SignalQueue([.user1], on: loop).next()
          try await stream.write(Array("go\n".utf8), by: soon(loop))
          answer = try await text(from: stream, on: loop)
        }
        TestProgram.tell(String(answer.dropLast()))
      } catch {
        TestProgram.tell("\(error)")
      }
    }
  }

  /// Makes one call after the other until SIGTERM; tells how many were answered and how many not.
  static func load(port: String) throws {
    try ProcessSignal.block([.terminate])
    let loop = try EventLoop()
    let signals = try Descriptor.signals([.terminate])
    let signalNumber = signals.number
    _ = signals.release()
    loop.run {
      loop.checkIsolated()
      let signals = Descriptor(adopting: signalNumber)
      var answered = 0
      var failed = 0
      while (try? signals.nextSignal()) == .none {
        do {
          let stream = try await connect(to: port, on: loop)
          try await stream.write(Array("hi\n".utf8), by: soon(loop))
          let answer = try await text(from: stream, on: loop)
          if answer.isEmpty { failed += 1 } else { answered += 1 }
        } catch {
          failed += 1
        }
        if answered == 1, failed == 0 { TestProgram.tell("under way") }
      }
      TestProgram.tell("\(answered > 0 ? "answered" : "nothing answered"), \(failed) failed")
    }
  }
}
