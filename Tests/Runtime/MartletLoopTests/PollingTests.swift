import MartletLoop
import MartletSystem
import Synchronization
import Testing

/// A loop that the test turns by hand, with the true kernel, and a pipe or a pair of sockets.
private struct Turned {
  let loop: EventLoop
  let near: OpenFile
  let far: OpenFile

  init(_ polling: PollingModel) throws {
    loop = try EventLoop(descriptorLimit: 65_536, mode: .parking, polling: polling)
    (near, far) = try OpenFile.socketPair()
    try near.descriptor.setNonblocking()
    try far.descriptor.setNonblocking()
    try loop.watch(near.number)
  }

  /// Turns until what was asked before has reached the kernel and has been answered.
  func settle() { for _ in 0..<4 { loop.turn(waitingAtMost: 0) } }

  /// Whether the loop sleeps when nothing happens: one that is told of something again and again turns
  /// thousands of times meanwhile.
  func sleeps() -> Bool {
    let end = SystemClock.monotonicNanoseconds() + 100_000_000
    var turns = 0
    while SystemClock.monotonicNanoseconds() < end {
      loop.turn(waitingAtMost: 100)
      turns += 1
    }
    return turns < 50
  }

  func say(_ text: String) throws {
    let bytes = Array(text.utf8)
    #expect(try far.descriptor.write(bytes.span) == bytes.count)
  }
}

/// What waiters found, in their order.
private final class Found { var words: [String] = [] }

@Suite("Each model of polling", .timeLimit(.minutes(5)))
struct PollingTests {
  @Test("tells once of what nobody waits for, and then sleeps", arguments: PollingModel.allCases)
  func unheard(polling: PollingModel) throws {
    let turned = try Turned(polling)
    turned.settle()
    #expect(!turned.loop.isReadable(turned.near.number))
    try turned.say("early")
    turned.settle()
    #expect(turned.loop.isReadable(turned.near.number))
    #expect(turned.sleeps())
    turned.loop.forget(turned.near.number)
  }

  @Test("tells of more once the first is read and somebody waits", arguments: PollingModel.allCases)
  func heardLater(polling: PollingModel) throws {
    let turned = try Turned(polling)
    let (loop, near, found) = (turned.loop, turned.near, Found())
    try turned.say("early")
    turned.settle()
    loop.spawn {
      for _ in 0..<3 {
        do throws(WaitError) { try await loop.readable(near.number, by: .never) } catch { return }
        let bytes = (try? near.descriptor.read(upTo: 100)) ?? []
        found.words.append(String(decoding: bytes, as: UTF8.self))
        loop.clearReadable(near.number)
      }
    }
    turned.settle()
    #expect(found.words == ["early"])
    try turned.say("second")
    turned.settle()
    try turned.say("third")
    turned.settle()
    #expect(found.words == ["early", "second", "third"])
    loop.forget(near.number)
  }

  @Test("tells once of a close that nobody waits for", arguments: PollingModel.allCases)
  func closed(polling: PollingModel) throws {
    let turned = try Turned(polling)
    turned.settle()
    turned.loop.kernel.shutdownWrite(turned.far.number)
    turned.settle()
    #expect(turned.loop.isReadable(turned.near.number))
    // `select` has no word for it before somebody reads.
    #expect(turned.loop.isClosed(turned.near.number) == (polling != .select))
    #expect(turned.sleeps())
    turned.loop.forget(turned.near.number)
  }

  @Test("tells whoever was refused that there is room", arguments: PollingModel.allCases)
  func room(polling: PollingModel) throws {
    let turned = try Turned(polling)
    let (loop, near, found) = (turned.loop, turned.near, Found())
    let block = [UInt8](repeating: 7, count: 65_536)
    while (try? near.descriptor.write(block.span)) != nil {}
    turned.settle()
    loop.spawn {
      for _ in 0..<2 {
        do throws(WaitError) { try await loop.writable(near.number, by: .never) } catch { return }
        found.words.append("room")
        while (try? near.descriptor.write(block.span)) != nil {}
      }
    }
    turned.settle()
    #expect(found.words.isEmpty)
    for round in 1...2 {
      while (try? turned.far.descriptor.read(upTo: 65_536)) != nil {}
      turned.settle()
      #expect(found.words.count >= round)
    }
    loop.cancelWaits(of: near.number)
    turned.settle()
    #expect(turned.sleeps())
    loop.forget(near.number)
  }

  @Test("closes a socket that it watches at once", arguments: PollingModel.allCases)
  func release(polling: PollingModel) throws {
    let loop = try EventLoop(descriptorLimit: 65_536, mode: .parking, polling: polling)
    var near: OpenFile?
    let far: OpenFile
    (near, far) = try OpenFile.socketPair()
    let number = try #require(near).number
    try loop.watch(number)
    loop.turn(waitingAtMost: 0)
    loop.forget(number)
    near = nil
    loop.turn(waitingAtMost: 0)
    loop.turn(waitingAtMost: 0)
    #expect(near?.number == nil)
    try far.descriptor.setNonblocking()
    #expect(try far.descriptor.read(upTo: 1).isEmpty)
  }

  @Test("keeps the owners of one number apart", arguments: PollingModel.allCases)
  func reuse(polling: PollingModel) throws {
    let loop = try EventLoop(descriptorLimit: 65_536, mode: .parking, polling: polling)
    for round in 0..<200 {
      let pair = try Descriptor.socketPair()
      try loop.watch(pair.first.number)
      if round % 3 == 0 { loop.turn(waitingAtMost: 0) }
      #expect(!loop.isReadable(pair.first.number), "round \(round)")
      #expect(try pair.second.write([1].span) == 1)
      if round % 2 == 0 {
        for _ in 0..<3 { loop.turn(waitingAtMost: 0) }
        #expect(loop.isReadable(pair.first.number), "round \(round)")
      }
      loop.forget(pair.first.number)
    }
  }

  @Test("tells of every one of many descriptors", arguments: PollingModel.allCases)
  func many(polling: PollingModel) throws {
    let loop = try EventLoop(descriptorLimit: 65_536, mode: .parking, polling: polling)
    let count = 700
    var pairs: [(OpenFile, OpenFile)] = []
    for _ in 0..<count {
      let pair = try OpenFile.socketPair()
      try loop.watch(pair.0.number)
      pairs.append(pair)
    }
    for pair in pairs { #expect(try pair.1.descriptor.write([1].span) == 1) }
    for _ in 0..<10 { loop.turn(waitingAtMost: 0) }
    #expect(pairs.count { !loop.isReadable($0.0.number) } == 0)
    for pair in pairs { loop.forget(pair.0.number) }
  }

  @Test("refuses what it cannot watch, and says why")
  func limit() throws {
    let loop = try EventLoop(polling: .select)
    let pair = try OpenFile.socketPair()
    let high = try pair.0.descriptor.duplicate(from: 1024)
    let error = #expect(throws: SystemError.self) { try loop.watch(high.number) }
    #expect(
      error?.description == "select: a set of descriptors has room for those below 1024 alone"
    )
    // The loop goes on.
    loop.turn(waitingAtMost: 0)
  }
}
