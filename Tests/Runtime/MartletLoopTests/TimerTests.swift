import CAllocations
import MartletLoop
import MartletSystem
import Testing
import TestLoop

/// Numbers that look random and are the same in every run.
private struct Dice {
  var state: UInt64

  mutating func roll(_ range: Range<Int>) -> Int {
    // The generator of Marsaglia's "Xorshift RNGs".
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return range.lowerBound + Int(state % UInt64(range.count))
  }
}

/// Many waits with deadlines, and beside them what a list and a comparison say of each.
private final class Sleepers {
  let driven: DrivenLoop
  /// The tick at which each wait must end, by the list alone.
  var expected: [Int64?]
  /// How each wait ended since it began.
  var ends: [String?]
  private let signals: [Signal]

  init(_ driven: DrivenLoop, count: Int) throws {
    self.driven = driven
    expected = Array(repeating: nil, count: count)
    ends = Array(repeating: nil, count: count)
    signals = try (0..<count).map { _ in try #require(Signal(on: driven.loop)) }
  }

  var tick: Int64 { driven.kernel.now / DrivenLoop.tick }

  func arm(_ index: Int, nanoseconds: Int64) {
    guard expected[index] == nil else { return }
    expected[index] = tick + nanoseconds / DrivenLoop.tick + 2
    ends[index] = nil
    let deadline = driven.loop.deadline(after: Timeout(.nanoseconds(nanoseconds)))
    let signal = signals[index]
    driven.loop.spawn {
      do throws(WaitError) {
        try await signal.wait(by: deadline)
        self.ends[index] = "set"
      } catch {
        self.ends[index] = "\(error)"
      }
    }
  }

  /// Ends a wait before its deadline, as most deadlines end.
  func disarm(_ index: Int) {
    guard expected[index] != nil else { return }
    driven.settle()
    signals[index].set()
    driven.settle()
    #expect(ends[index] == "set")
    expected[index] = nil
  }

  /// Moves the clock, and compares every wait with the list.
  func advance(ticks: Int) {
    driven.settle()
    driven.advance(ticks: Int64(ticks))
    for index in expected.indices {
      guard let due = expected[index] else { continue }
      let isDue = due <= tick
      #expect(ends[index] == (isDue ? "timedOut" : nil), "due \(due), now \(tick)")
      if isDue { expected[index] = nil }
    }
  }
}

@Suite("Timers")
struct TimerTests {
  static let modes = [EventLoop.WaitMode.parking, .continuation]
  /// Far from any bound, and where the wheel's 32-bit tick changes its sign and begins anew.
  static let starts: [Int64] = [1000, (1 << 31) - 700, (1 << 32) - 700]

  @Test("wake exactly whom a list says, whatever is armed and dropped", arguments: modes, starts)
  func oracle(mode: EventLoop.WaitMode, start: Int64) throws {
    let sleepers = try Sleepers(DrivenLoop(mode, startTick: start), count: 60)
    var dice = Dice(state: 88_172_645_463_325_252)
    for _ in 0..<1500 {
      let index = dice.roll(0..<60)
      switch dice.roll(0..<10) {
      case 0..<5:
        // Up to five turns of the wheel, mostly near.
        let ticks = dice.roll(0..<4) == 0 ? dice.roll(0..<5000) : dice.roll(0..<40)
        sleepers.arm(
          index,
          nanoseconds: Int64(ticks) * DrivenLoop.tick + Int64(dice.roll(0..<100))
        )
      case 5..<7: sleepers.disarm(index)
      default: sleepers.advance(ticks: dice.roll(0..<20) == 0 ? dice.roll(0..<3000) : 1)
      }
    }
    sleepers.advance(ticks: 6000)
    #expect(sleepers.expected.allSatisfy { $0 == nil })
  }

  @Test("come after a year too, and not before", arguments: modes)
  func year(mode: EventLoop.WaitMode) throws {
    let sleepers = try Sleepers(DrivenLoop(mode), count: 1)
    sleepers.arm(0, nanoseconds: 31_536_000_000_000_000)
    let due = try #require(sleepers.expected[0])
    while sleepers.tick + 40_000_000 < due { sleepers.advance(ticks: 40_000_000) }
    sleepers.advance(ticks: Int(due - sleepers.tick) - 1)
    #expect(sleepers.ends[0] == nil)
    sleepers.advance(ticks: 1)
    #expect(sleepers.ends[0] == "timedOut")
  }

  @Test(
    "are never shorter than asked, and longer by less than two ticks",
    arguments: [0, 1, 999, 16_777_215, 16_777_216, 16_777_217, 50_000_000, 1_000_000_000]
  )
  func rounding(nanoseconds: Int64) throws {
    let driven = try DrivenLoop(.parking)
    // The worst moment: the tick that is under way is nearly over.
    driven.advance(by: .nanoseconds(DrivenLoop.tick - 1))
    let (loop, notes, start) = (driven.loop, Notes(), driven.kernel.now)
    driven.start {
      try? await loop.sleep(for: .nanoseconds(nanoseconds))
      notes.lines.append("awake")
    }
    while notes.lines.isEmpty { driven.advance(by: .nanoseconds(DrivenLoop.tick / 16)) }
    let slept = driven.kernel.now - start
    #expect(slept >= nanoseconds && slept < nanoseconds + 2 * DrivenLoop.tick)
  }

  @Test("longer than a year are a year, negative ones are due at once")
  func bounds() {
    #expect(Timeout(.seconds(31_536_000)) == Timeout(.seconds(1_000_000_000_000)))
    #expect(Timeout(.seconds(-1)) == Timeout(.nanoseconds(-1)))
    #expect(Timeout(.seconds(-1)) != .none && Timeout(.zero) != .none)
  }

  @Test("know which deadline is the earlier one, also where ticks begin anew", arguments: starts)
  func order(start: Int64) throws {
    let driven = try DrivenLoop(.parking, startTick: start)
    let loop = driven.loop
    let near = loop.deadline(after: Timeout(.seconds(1)))
    let far = loop.deadline(after: Timeout(.seconds(3600)))
    #expect(near.earlier(far) == near && far.earlier(near) == near)
    #expect(near.earlier(.never) == near && Deadline.never.earlier(near) == near)
    #expect(loop.deadline(after: .none) == .never)
    #expect(!loop.hasPassed(near) && !loop.hasPassed(.never))
    driven.advance(by: .seconds(2))
    #expect(loop.hasPassed(near) && !loop.hasPassed(far) && !loop.hasPassed(.never))
  }

  @Test("let a loop without them wait for ever, and an idle one until the first", arguments: starts)
  func waits(start: Int64) throws {
    let driven = try DrivenLoop(.parking, startTick: start)
    let loop = driven.loop
    driven.loop.turn(waitingAtMost: -1)
    #expect(driven.kernel.waits.last == -1)
    var isOver = false
    driven.start {
      try? await loop.sleep(for: .seconds(1))
      isOver = true
    }
    driven.loop.turn(waitingAtMost: -1)
    let wait = try #require(driven.kernel.waits.last)
    #expect((1000...1040).contains(wait))
    driven.advance(by: .milliseconds(Int(wait)))
    driven.loop.turn(waitingAtMost: -1)
    #expect(isOver)
    driven.loop.turn(waitingAtMost: -1)
    #expect(driven.kernel.waits.last == -1)
  }

  @Test("let a loop on which something happens wait for a tick only")
  func busyWaits() throws {
    let driven = try DrivenLoop(.parking)
    let (loop, socket) = (driven.loop, driven.kernel.descriptor())
    try loop.watch(socket)
    driven.start { try? await loop.sleep(for: .seconds(1)) }
    driven.kernel.happen([.readable], on: socket)
    driven.loop.turn(waitingAtMost: -1)
    driven.loop.turn(waitingAtMost: -1)
    #expect(driven.kernel.waits.last == 16)
    loop.forget(socket)
  }

  @Test(
    "take nothing from the allocator when a wait arms and drops them",
    .enabled(if: test_allocations() >= 0, "a sanitizer has an allocator of its own")
  )
  func allocations() throws {
    let start = test_allocations()
    let pieces = (1...50).map { Array(repeating: $0, count: $0) }
    #expect(test_allocations() - start >= pieces.count, "allocations are not counted")
    let driven = try DrivenLoop(.parking)
    let (loop, socket) = (driven.loop, driven.kernel.descriptor())
    try loop.watch(socket)
    var rounds = 0
    var taken: [Int64] = []
    driven.start {
      let timeout = Timeout(.seconds(5))
      while rounds < 3000 {
        do { try await loop.readable(socket, by: loop.deadline(after: timeout)) } catch { return }
        loop.clearReadable(socket)
        rounds += 1
      }
    }
    taken.reserveCapacity(8)
    for _ in 0..<3 {
      // What the test itself does takes memory too: it is done beforehand.
      for _ in 0..<1000 { driven.kernel.happen([.readable], on: socket) }
      let before = test_allocations()
      while driven.kernel.hasEvents { loop.turn(waitingAtMost: 0) }
      taken.append(test_allocations() - before)
    }
    loop.forget(socket)
    #expect(rounds == 3000)
    // The first thousand grow what stays.
    #expect(taken[2] < 100, "\(taken) allocations for a thousand waits each")
  }
}
