import MartletLoop
import MartletNet
import MartletSystem
import Testing
import TestLoop

/// Two streams over scripted sockets, and a coroutine that passes bytes from one to the other.
private final class Passing {
  let driven: DrivenLoop
  let source: Stream
  let target: Stream
  var outcomes: [String] = []

  var kernel: ScriptedKernel { driven.kernel }
  var loop: EventLoop { driven.loop }
  var opened: Int { kernel.calls.count { $0 == .openPipe } }
  var sent: [UInt8] { kernel.sent[target.descriptor] ?? [] }

  init(_ mode: EventLoop.WaitMode) throws {
    driven = try DrivenLoop(mode)
    let sockets = (driven.kernel.descriptor(), driven.kernel.descriptor())
    source = try Stream(adopting: Descriptor(adopting: sockets.0), on: driven.loop)
    target = try Stream(adopting: Descriptor(adopting: sockets.1), on: driven.loop)
  }

  /// Passes one piece.
  func pass(upTo limit: Int = 1000, seconds: Int = 5) {
    driven.start {
      do throws(StreamError) {
        let deadline = self.loop.deadline(after: Timeout(.seconds(seconds)))
        guard var pipe = try await self.source.readPipe(upTo: limit, by: deadline) else {
          return self.outcomes.append("no pipe")
        }
        let count = pipe.count
        try await self.target.write(&pipe, pause: Timeout(.seconds(seconds)))
        self.outcomes.append("\(count)")
      } catch {
        self.outcomes.append("\(error)")
      }
    }
  }

  func arrive(_ bytes: [UInt8]) {
    kernel.willReceive(.bytes(bytes), on: source.descriptor)
    driven.happen([.readable], on: source.descriptor)
  }
}

private let pattern = (0..<64).map { UInt8($0) }
private let wouldBlock: Int32 = 11

@Suite("Bytes that pass through a pipe, scripted")
struct ScriptedSplicingTests {
  static let modes = [EventLoop.WaitMode.parking, .continuation]

  @Test("pass whole, however the target takes them", arguments: modes, Array(1...20))
  func splits(mode: EventLoop.WaitMode, split: Int) throws {
    let test = try Passing(mode)
    let target = test.target.descriptor
    test.kernel.willSend(.takes(split), .fails(wouldBlock), .takes(1), on: target)
    test.pass()
    test.arrive(Array(pattern.prefix(20)))
    if split < 20 {
      #expect(test.outcomes == [] && test.loop.lentPipeCount == 1)
      test.driven.happen([.writable], on: target)
    }
    #expect(test.outcomes == ["20"] && test.sent == Array(pattern.prefix(20)))
    #expect(test.loop.lentPipeCount == 0)
  }

  @Test(
    "leave what is beyond the limit in the socket, and its end is an empty piece",
    arguments: modes
  )
  func limits(mode: EventLoop.WaitMode) throws {
    let test = try Passing(mode)
    test.pass(upTo: 30)
    test.arrive(pattern)
    #expect(test.source.hasUnreadInput() && test.source.hasEvent)
    test.pass(upTo: 34)
    #expect(test.outcomes == ["30", "34"] && test.sent == pattern)
    // Nothing more is there: a stream that goes back to a pool must not look as if there were.
    #expect(test.source.hasEvent && !test.source.hasUnreadInput() && !test.source.hasEvent)
    test.kernel.willReceive(.end, on: test.source.descriptor)
    test.pass()
    test.driven.happen([.readable, .halfClosed], on: test.source.descriptor)
    #expect(test.outcomes == ["30", "34", "0"])
  }

  @Test(
    "take a pipe only when they are there, the same again, and none is kept for long",
    arguments: modes
  )
  func pooling(mode: EventLoop.WaitMode) throws {
    let test = try Passing(mode)
    test.pass(seconds: 60)
    #expect(test.opened == 0)
    for _ in 0..<5 {
      test.arrive([1, 2, 3])
      test.pass(seconds: 60)
    }
    #expect(test.outcomes == Array(repeating: "3", count: 5) && test.opened == 1)
    #expect(test.loop.lentPipeCount == 0)
    #expect(!test.kernel.calls.contains { if case .close = $0 { true } else { false } })
    test.driven.advance(by: .seconds(2))
    #expect(test.kernel.calls.count { if case .close = $0 { true } else { false } } == 2)
    test.arrive([4])
    #expect(test.outcomes.last == "1" && test.opened == 2)
  }

  @Test("are lost with their pipe when the target fails: nobody else gets them", arguments: modes)
  func failures(mode: EventLoop.WaitMode) throws {
    let test = try Passing(mode)
    let target = test.target.descriptor
    test.kernel.willSend(.takes(5), .fails(32), on: target)
    test.pass()
    test.arrive(pattern)
    #expect(test.outcomes == ["\(StreamError.failed(SystemError(.splice, 32)))"])
    #expect(test.kernel.calls.count { if case .close = $0 { true } else { false } } == 2)
    test.pass()
    test.arrive([9])
    #expect(test.opened == 2 && test.sent == Array(pattern.prefix(5)) + [9])
  }

  @Test("wait no longer than their deadline, on both sides, and can be cancelled", arguments: modes)
  func deadlines(mode: EventLoop.WaitMode) throws {
    let test = try Passing(mode)
    test.pass(seconds: 2)
    test.driven.advance(by: .seconds(3))
    test.kernel.willSend(.fails(wouldBlock), .fails(wouldBlock), on: test.target.descriptor)
    test.pass(seconds: 2)
    test.arrive(pattern)
    test.driven.advance(by: .seconds(3))
    test.pass()
    test.arrive(pattern)
    test.driven.start { test.target.cancel() }
    #expect(test.outcomes == ["timedOut", "timedOut", "cancelled"])
    #expect(test.loop.lentPipeCount == 0 && test.sent == [])
  }

  @Test(
    "stay in the socket when no pipe is to be had, or the socket has no splice",
    arguments: modes
  )
  func withoutPipe(mode: EventLoop.WaitMode) throws {
    let test = try Passing(mode)
    test.kernel.willOpenPipe(fails: 24)
    test.pass()
    test.arrive(pattern)
    #expect(test.outcomes == ["no pipe"])
    test.pass()
    #expect(test.outcomes == ["no pipe", "64"] && test.sent == pattern)
    test.kernel.willReceive(.fails(22), on: test.source.descriptor)
    test.pass()
    test.driven.happen([.readable], on: test.source.descriptor)
    #expect(test.outcomes == ["no pipe", "64", "no pipe"] && test.loop.lentPipeCount == 0)
  }

  @Test("have at most 128 pipes of a loop")
  func bound() throws {
    let test = try Passing(.parking)
    func lend(_ count: Int) {
      guard let pipe = test.loop.lendPipe() else { return test.outcomes.append("\(count)") }
      lend(count + 1)
      _ = consume pipe
    }
    lend(0)
    #expect(test.outcomes == ["128"] && test.loop.lentPipeCount == 0)
  }
}
