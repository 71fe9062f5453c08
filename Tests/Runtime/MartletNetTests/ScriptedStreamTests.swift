import MartletBytes
import MartletLoop
import MartletNet
import MartletSystem
import Testing
import TestLoop

/// A stream over a scripted socket, and what became of the calls on it.
private final class Scripted {
  let driven: DrivenLoop
  let socket: Int32
  let stream: Stream
  var outcomes: [String] = []
  var bytes: [UInt8] = []

  var loop: EventLoop { driven.loop }
  var kernel: ScriptedKernel { driven.kernel }

  init(_ mode: EventLoop.WaitMode, assumesReady: Bool = false) throws {
    driven = try DrivenLoop(mode)
    socket = driven.kernel.descriptor()
    stream = try Stream(
      adopting: Descriptor(adopting: socket),
      on: driven.loop,
      assumesReady: assumesReady
    )
  }

  /// Runs `body` as a coroutine, and notes how it ended.
  func start(_ body: @escaping () async throws(StreamError) -> String) {
    driven.start {
      do throws(StreamError) {
        self.outcomes.append(try await body())
      } catch {
        self.outcomes.append(Self.name(of: error))
      }
    }
  }

  private static func name(of error: StreamError) -> String {
    switch error {
    case .timedOut: "timed out"
    case .cancelled: "cancelled"
    case .failed(let cause): "\(cause.call.rawValue) \(cause.code)"
    }
  }

  func read(_ size: BufferSize = .head, seconds: Int = 5) {
    start { () async throws(StreamError) -> String in
      let deadline = self.loop.deadline(after: Timeout(.seconds(seconds)))
      let buffer = try await self.stream.read(size, by: deadline)
      self.bytes.append(copying: buffer.bytes)
      return "\(buffer.count)"
    }
  }

  func write(_ count: Int, seconds: Int = 5) {
    start { () async throws(StreamError) -> String in
      let deadline = self.loop.deadline(after: Timeout(.seconds(seconds)))
      try await self.stream.write(Array(pattern.prefix(count)), by: deadline)
      return "written"
    }
  }
}

private let pattern = (0..<64).map { UInt8($0) }
private let wouldBlock: Int32 = 11
private let reset: Int32 = 104

@Suite("A stream whose socket is scripted")
struct ScriptedStreamTests {
  static let modes = [EventLoop.WaitMode.parking, .continuation]

  @Test("reads when bytes come, and tries no read in vain", arguments: modes)
  func reading(mode: EventLoop.WaitMode) throws {
    let test = try Scripted(mode)
    test.kernel.willReceive(.bytes([1, 2]), .bytes([3]), .end, on: test.socket)
    test.read()
    #expect(test.kernel.calls == [] && test.loop.lentCount == 0)
    test.driven.happen([.readable], on: test.socket)
    #expect(test.outcomes == ["2"])
    // The short read emptied the socket: no second call, and no buffer while it waits.
    test.read()
    #expect(test.kernel.calls == [.receive(test.socket)] && test.loop.lentCount == 0)
    test.driven.happen([.readable, .halfClosed], on: test.socket)
    test.read()
    #expect(test.outcomes == ["2", "1", "0"] && test.bytes == [1, 2, 3])
    #expect(test.loop.lentCount == 0)
  }

  @Test("is watched for room from the first write on that found none", arguments: modes)
  func room(mode: EventLoop.WaitMode) throws {
    let test = try Scripted(mode)
    test.write(4)
    #expect(test.outcomes == ["written"] && test.kernel.rewatched == [])
    for _ in 1...2 {
      test.kernel.willSend(.takes(1), .fails(wouldBlock), on: test.socket)
      test.write(4)
      test.driven.happen([.writable], on: test.socket)
      test.driven.happen([.writable], on: test.socket)
    }
    #expect(test.outcomes == ["written", "written", "written"])
    #expect(test.kernel.rewatched == [test.socket])
  }

  @Test(
    "asks again after a read that filled its buffer, and waits if that was all",
    arguments: modes
  )
  func fullReads(mode: EventLoop.WaitMode) throws {
    let test = try Scripted(mode, assumesReady: true)
    let bytes = [UInt8](repeating: 7, count: BufferSize.head.bytes)
    test.kernel.willReceive(.bytes(bytes), .fails(wouldBlock), .bytes([1]), on: test.socket)
    test.read()
    test.read()
    #expect(test.outcomes == ["16384"])
    #expect(test.kernel.calls == [.receive(test.socket), .receive(test.socket)])
    #expect(test.loop.lentCount == 0)
    test.driven.happen([.readable], on: test.socket)
    #expect(test.outcomes == ["16384", "1"])
  }

  @Test("tells a reset, a deadline and a cancellation apart", arguments: modes)
  func readFailures(mode: EventLoop.WaitMode) throws {
    let test = try Scripted(mode)
    test.kernel.willReceive(.fails(reset), on: test.socket)
    test.read()
    test.driven.happen([.broken], on: test.socket)
    test.loop.clearReadiness(test.socket)
    test.read(seconds: 3)
    test.driven.advance(by: .seconds(4))
    test.read()
    test.driven.start { test.stream.cancel() }
    #expect(test.outcomes == ["recv 104", "timed out", "cancelled"])
    #expect(test.loop.lentCount == 0)
  }

  @Test(
    "writes everything, however the socket splits it",
    arguments: modes,
    Array(0...12)
  )
  func partialWrites(mode: EventLoop.WaitMode, split: Int) throws {
    let test = try Scripted(mode)
    test.kernel.willSend(.takes(split), .fails(wouldBlock), .takes(1), on: test.socket)
    test.write(12)
    while test.outcomes.isEmpty, test.kernel.calls.count < 10 {
      test.driven.happen([.writable], on: test.socket)
    }
    #expect(test.outcomes == ["written"])
    #expect(test.kernel.sent[test.socket] == Array(pattern.prefix(12)))
  }

  @Test("writes head, body and tail as one, however the socket splits them", arguments: modes)
  func gatheredWrites(mode: EventLoop.WaitMode) throws {
    let expected = pattern[0..<5] + pattern[7..<20] + Array("end".utf8)
    for first in 0...expected.count {
      for second in [1, 2, 6, 14, 30] {
        let test = try Scripted(mode)
        test.kernel.willSend(.takes(first), .fails(wouldBlock), .takes(second), on: test.socket)
        let stream = test.stream
        let loop = test.loop
        test.start { () async throws(StreamError) -> String in
          var head = loop.lend(.head)
          let start = Array(pattern.prefix(5))
          head.append(start.span)
          var body = loop.lend(.body)
          body.append(pattern.span)
          try await stream.write(head, body, 7..<20, tail: "end", by: .never)
          return "written"
        }
        while test.outcomes.isEmpty, test.kernel.calls.count < 10 {
          test.driven.happen([.writable], on: test.socket)
        }
        #expect(test.outcomes == ["written"])
        #expect(test.kernel.sent[test.socket] == Array(expected), "\(first), \(second)")
        #expect(loop.lentCount == 0)
      }
    }
  }

  @Test("ends a write with what the kernel says, or at its deadline", arguments: modes)
  func writeFailures(mode: EventLoop.WaitMode) throws {
    let test = try Scripted(mode)
    test.kernel.willSend(.takes(3), .fails(32), .fails(wouldBlock), on: test.socket)
    test.write(8)
    test.driven.happen([.broken], on: test.socket)
    #expect(test.outcomes == ["send 32"])
    test.write(8, seconds: 2)
    test.driven.advance(by: .seconds(3))
    #expect(test.outcomes == ["send 32", "timed out"])
  }

  @Test("sends a file in as many calls as it takes, and says when it was shorter", arguments: modes)
  func files(mode: EventLoop.WaitMode) throws {
    let test = try Scripted(mode)
    let socket = test.socket
    test.kernel.willSendFile(.takes(300), .takes(1), .fails(wouldBlock), .takes(99), on: socket)
    let stream = test.stream
    test.start { () async throws(StreamError) -> String in
      let file = Descriptor(adopting: test.kernel.descriptor())
      return "\(try await stream.sendFile(file, from: 50, count: 1000, by: .never))"
    }
    #expect(test.outcomes == [])
    test.driven.happen([.writable], on: socket)
    // After 400 bytes the file is at its end, though 1000 were promised.
    #expect(test.outcomes == ["400"])
    let asked = [1000, 700, 699, 699, 600]
    #expect(test.kernel.calls == asked.map { .sendFile(socket, $0) })
  }

  @Test("sees an end and unasked bytes while it is in a pool", arguments: modes)
  func idle(mode: EventLoop.WaitMode) throws {
    let test = try Scripted(mode)
    #expect(!test.stream.hasEvent && !test.stream.isClosed && !test.stream.hasEventNow())
    test.kernel.willReceive(.end, on: test.socket)
    #expect(test.stream.hasEventNow() && !test.stream.hasEvent)
    test.driven.happen([.readable], on: test.socket)
    #expect(test.stream.hasEvent && !test.stream.isClosed)
    test.driven.happen([.readable, .halfClosed], on: test.socket)
    #expect(test.stream.isClosed)
  }

  @Test("closes its socket with its last use", arguments: modes)
  func closing(mode: EventLoop.WaitMode) throws {
    let driven = try DrivenLoop(mode)
    let socket = driven.kernel.descriptor()
    do { _ = try Stream(adopting: Descriptor(adopting: socket), on: driven.loop) }
    #expect(driven.kernel.calls == [.close(socket)])
  }
}

@Suite("A listener whose accepts are scripted")
struct ScriptedListenerTests {
  static let modes = ScriptedStreamTests.modes

  private final class Arrivals {
    var outcomes: [String] = []

    func accept(by listener: Listener) async {
      do throws(StreamError) {
        outcomes.append("\(try await listener.accept().descriptor.number)")
      } catch {
        outcomes.append("\(error)")
      }
    }
  }

  private func listener(on driven: DrivenLoop) throws -> Listener {
    try Listener(adopting: try Listener.bind(.ipv4(0x7F00_0001, port: 0)), on: driven.loop)
  }

  @Test("passes over clients that went away meanwhile", arguments: modes, [103, 4, 71, 100, 113])
  func goneClients(mode: EventLoop.WaitMode, code: Int32) throws {
    let driven = try DrivenLoop(mode)
    let (listener, arrivals) = (try listener(on: driven), Arrivals())
    let client = driven.kernel.descriptor()
    driven.kernel.willAccept(
      .fails(code),
      .fails(code),
      .connection(client),
      on: listener.descriptor
    )
    driven.start { await arrivals.accept(by: listener) }
    #expect(arrivals.outcomes == ["\(client)"])
  }

  @Test("tells of missing descriptors, and the connection is there the next time", arguments: modes)
  func noDescriptors(mode: EventLoop.WaitMode) throws {
    let driven = try DrivenLoop(mode)
    let (listener, arrivals) = (try listener(on: driven), Arrivals())
    let client = driven.kernel.descriptor()
    driven.kernel.willAccept(.fails(24), .fails(23), .connection(client), on: listener.descriptor)
    for _ in 0..<3 { driven.start { await arrivals.accept(by: listener) } }
    let emfile = StreamError.failed(SystemError(.accept, 24))
    let enfile = StreamError.failed(SystemError(.accept, 23))
    #expect(arrivals.outcomes == ["\(emfile)", "\(enfile)", "\(client)"])
  }

  @Test("waits when nobody is there, and can be cancelled", arguments: modes)
  func waiting(mode: EventLoop.WaitMode) throws {
    let driven = try DrivenLoop(mode)
    let (listener, arrivals) = (try listener(on: driven), Arrivals())
    let client = driven.kernel.descriptor()
    driven.start { await arrivals.accept(by: listener) }
    #expect(driven.kernel.calls == [.accept(listener.descriptor)])
    driven.kernel.willAccept(.connection(client), on: listener.descriptor)
    driven.happen([.readable], on: listener.descriptor)
    driven.start { await arrivals.accept(by: listener) }
    driven.start { listener.cancel() }
    #expect(arrivals.outcomes == ["\(client)", "cancelled"])
  }
}
