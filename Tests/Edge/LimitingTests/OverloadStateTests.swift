import Limiting
import Testing

private typealias Figures = [OverloadCause: (figure: Double, thresholds: OverloadState.Thresholds)]

private func update(_ state: inout OverloadState, _ figures: Figures, at now: UInt64) -> Bool {
  state.update(figures, at: now)
}

private func lag(_ figure: Double) -> Figures { [.loopLag: (figure, .multiples(of: 100))] }

@Suite("Overload")
struct OverloadStateTests {
  @Test(
    "begins with the level that the figure reaches",
    arguments: zip([0, 99.9, 100, 199, 200, 400, 799, 800, 1e9], [0, 0, 1, 1, 2, 3, 3, 4, 4])
  )
  func begins(figure: Double, level: Int) {
    var state = OverloadState()
    #expect(update(&state, lag(figure), at: 0) == (level > 0))
    #expect(state.level == level)
    #expect(state.cause == (level > 0 ? .loopLag : nil))
  }

  @Test("ends by one level at a time, when it was clearly lower for long enough")
  func ends() {
    var state = OverloadState(hold: 100)
    _ = update(&state, lag(850), at: 0)
    var levels: [Int] = []
    for time in stride(from: UInt64(10), through: 600, by: 10) {
      _ = update(&state, lag(0), at: time)
      levels.append(state.level)
    }
    let wanted =
      Array(repeating: 4, count: 10) + Array(repeating: 3, count: 10)
      + Array(repeating: 2, count: 10) + Array(repeating: 1, count: 10)
    #expect(Array(levels.prefix(40)) == wanted)
    #expect(levels.dropFirst(40).allSatisfy { $0 == 0 })
    #expect(state.cause == nil)
  }

  @Test("stays while the figure is near, and begins to wait anew when it comes back")
  func hysteresis() {
    var state = OverloadState(hold: 100)
    _ = update(&state, lag(100), at: 0)
    for time in 1...50 { #expect(!update(&state, lag(91), at: UInt64(time * 100))) }
    #expect(!update(&state, lag(89), at: 6000))
    #expect(!update(&state, lag(95), at: 6050))
    #expect(!update(&state, lag(89), at: 6060))
    #expect(!update(&state, lag(89), at: 6159))
    #expect(update(&state, lag(89), at: 6160))
    #expect(state.level == 0)
  }

  @Test("changes no more often than the hold allows, however the figure swings", arguments: 1...5)
  func swings(seed: UInt64) {
    var numbers = Numbers(state: seed)
    var state = OverloadState(hold: 1000)
    var falls = 0
    for time in 0..<100_000 {
      let before = state.level
      let figure = Double.random(in: 0...1000, using: &numbers)
      _ = update(&state, lag(figure), at: UInt64(time))
      if state.level < before { falls += 1 }
      #expect(state.level >= min(4, [100, 200, 400, 800].count { figure >= $0 }))
    }
    #expect(falls <= 100)
  }

  @Test("is that of the cause that is worst")
  func causes() {
    var state = OverloadState(hold: 10)
    let figures: Figures = [
      .loopLag: (100, .multiples(of: 100)), .memory: (94, .shares(of: 100)),
      .descriptors: (86, .shares(of: 100)),
    ]
    #expect(update(&state, figures, at: 0))
    #expect(state.level == 3)
    #expect(state.cause == .memory)
    var without = figures
    without[.memory] = nil
    #expect(update(&state, without, at: 1))
    #expect(state.level == 1)
    #expect(state.cause == .loopLag)
  }

  @Test("refuses the lowest priorities first, and never the highest")
  func priorities() {
    #expect((0...4).map(OverloadState.floor(of:)) == [0, 3, 6, 9, 9])
  }
}
