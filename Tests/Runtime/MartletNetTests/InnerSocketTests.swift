import MartletBytes
import MartletLoop
import MartletNet
import MartletSystem
import Testing

/// The other end of a stream, moved by a test.
private final class OtherEnd: InnerSocket {
  var input: [UInt8] = []
  var hasEnded = false
  var isGone = false
  var room = Int.max
  private(set) var received: [UInt8] = []
  private(set) var wasTold: [String] = []

  var hasInput: Bool { !input.isEmpty || hasEnded }

  func receive(upTo limit: Int, _ take: (Span<UInt8>) -> Void) -> InnerInput {
    // In two pieces, as whoever has framing around content does.
    for count in [min(2, limit), limit - min(2, limit)] {
      let piece = Array(input.prefix(count))
      if !piece.isEmpty { take(piece.span) }
      input.removeFirst(piece.count)
    }
    return hasEnded ? .ended : .open
  }

  func send(_ bytes: Span<UInt8>) -> Int? {
    if isGone { return nil }
    let count = min(bytes.count, room)
    received.append(copying: bytes.extracting(0..<count))
    room -= count
    return count
  }

  func endOfOutput() { wasTold.append("end") }
  func willBreak() { wasTold.append("break") }
  func close() { wasTold.append("closed") }
}

/// A loop with inner sockets, on a thread of its own.
private actor Inside {
  nonisolated let loop: EventLoop
  nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

  init() throws {
    loop = try EventLoop(kernel: InnerKernel())
    try loop.startThread()
  }

  deinit { loop.stop() }

  private func open(_ end: OtherEnd) throws -> Stream {
    guard let socket = loop.openInner(end) else { throw StreamError.cancelled }
    return try Stream(adopting: socket, on: loop)
  }

  private func text(_ stream: Stream) async throws -> String {
    let block = try await stream.read(.head, by: .never)
    return String(decoding: block.bytes)
  }

  /// What a stream reads while its other end has bytes, then none, then more, and then ends.
  func read() async throws -> [String] {
    let end = OtherEnd()
    let stream = try open(end)
    var read: [String] = []
    end.input = Array("first".utf8)
    loop.signalInput(stream.descriptor)
    read.append(try await text(stream))
    let number = stream.descriptor
    let loop = loop
    loop.spawn {
      await loop.yield()
      end.input = Array("second".utf8)
      loop.signalInput(number)
    }
    read.append(try await text(stream))
    end.hasEnded = true
    loop.signalClose(number)
    read.append(try await text(stream))
    return read
  }

  /// What arrives when the other end has room for a part, and later for the rest.
  func write() async throws -> (received: String, told: [String]) {
    let end = OtherEnd()
    end.room = 3
    do {
      let stream = try open(end)
      let number = stream.descriptor
      let loop = loop
      loop.spawn {
        await loop.yield()
        end.room = .max
        loop.signalRoom(number)
      }
      try await stream.write(Array("to the other end".utf8), by: .never)
      stream.shutdownWrite()
      stream.abort()
    }
    return (String(decoding: end.received, as: UTF8.self), end.wasTold)
  }

  /// How a write ends to which nobody listens, and a wait whose time is over.
  func failures() async throws -> [StreamError] {
    let end = OtherEnd()
    let stream = try open(end)
    var errors: [StreamError] = []
    do throws(StreamError) {
      _ = try await stream.read(.head, by: loop.deadline(after: Timeout(.milliseconds(20))))
    } catch {
      errors.append(error)
    }
    end.isGone = true
    do throws(StreamError) { try await stream.write([1], by: .never) } catch {
      errors.append(error)
    }
    return errors
  }

  /// How the wait of a stream ends when the one that it is linked to closes.
  func linked() async throws -> StreamError? {
    let left = try open(OtherEnd())
    let right = try open(OtherEnd())
    loop.linkClose(of: left.descriptor, to: right.descriptor)
    let number = left.descriptor
    let loop = loop
    loop.spawn {
      await loop.yield()
      loop.signalClose(number)
    }
    var failure: StreamError?
    do throws(StreamError) { try await right.readable(by: .never) } catch { failure = error }
    return failure
  }

  /// The order in which things happen before the loop waits.
  func turn() async throws -> [String] {
    let steps = Steps()
    loop.atEndOfTurn(steps)
    steps.all.append("now")
    // Only a wait lets the time of the loop go on.
    try await loop.sleep(for: .milliseconds(1))
    steps.all.append("later")
    return steps.all
  }
}

private final class Steps: TurnEnd {
  var all: [String] = []
  func turnEnds() { all.append("end of turn") }
}

@Suite("Sockets within a loop")
struct InnerSocketTests {
  @Test("a stream reads what its other end has, waits for more, and sees the end")
  func reads() async throws {
    #expect(try await Inside().read() == ["first", "second", ""])
  }

  @Test("a write that finds too little room waits for the rest; the other end is told of the end")
  func writes() async throws {
    let result = try await Inside().write()
    #expect(result.received == "to the other end")
    #expect(result.told == ["end", "break", "closed"])
  }

  @Test("waits have deadlines, and a write to nobody fails")
  func fails() async throws {
    let errors = try await Inside().failures()
    #expect(errors.first == .timedOut)
    #expect(errors.count == 2)
  }

  @Test("a close cancels the waits that are linked to it")
  func links() async throws {
    #expect(try await Inside().linked() == .cancelled)
  }

  @Test("what is to be done at the end of a turn is done before the loop waits")
  func turns() async throws {
    #expect(try await Inside().turn() == ["now", "end of turn", "later"])
  }
}
