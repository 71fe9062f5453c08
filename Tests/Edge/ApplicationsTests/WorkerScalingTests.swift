import Applications
import Testing

@Suite("Number of workers")
struct WorkerScalingTests {
  private static let second: Int64 = 1_000_000_000

  private func scaling(_ counts: ClosedRange<Int> = 1...4) -> WorkerScaling {
    var terms = ApplicationTerms()
    terms.threadCount = 4
    terms.workerCounts = counts
    terms.idleTime = 10 * Self.second
    return WorkerScaling(terms)
  }

  /// Looks four times a second, and tells how many were wanted then, without repetitions.
  private func wanted(
    _ scaling: inout WorkerScaling,
    from start: Int64,
    for seconds: Int64,
    _ sight: (_ wanted: Int) -> WorkerScaling.Sight
  ) -> [Int] {
    var counts: [Int] = []
    for quarter in 0..<seconds * 4 {
      scaling.look(sight(scaling.wantedCount), at: start * Self.second + quarter * Self.second / 4)
      if counts.last != scaling.wantedCount { counts.append(scaling.wantedCount) }
    }
    return counts
  }

  @Test("there are more as long as requests wait for long, up to the bound")
  func grows() {
    var scaling = scaling()
    let counts = wanted(&scaling, from: 0, for: 5) { wanted in
      WorkerScaling.Sight(readyCount: wanted, activeCount: wanted * 4, longestWait: 200_000_000)
    }
    #expect(counts == [2, 3, 4])
  }

  @Test("a further one is not wanted before the last is ready, nor for waits that are short")
  func waits() {
    var scaling = scaling()
    let starting = wanted(&scaling, from: 0, for: 5) { _ in
      WorkerScaling.Sight(readyCount: 1, activeCount: 2, longestWait: Self.second)
    }
    #expect(starting == [2])
    let short = wanted(&scaling, from: 5, for: 60) { wanted in
      WorkerScaling.Sight(readyCount: wanted, activeCount: 8, longestWait: 50_000_000)
    }
    #expect(short == [2])
  }

  @Test("there is one less when that was enough for some time, and not again and again")
  func shrinks() {
    var scaling = scaling()
    _ = wanted(&scaling, from: 0, for: 5) { wanted in
      WorkerScaling.Sight(readyCount: wanted, activeCount: wanted * 4, longestWait: Self.second)
    }
    // Of three workers that is less than half, of two it is more.
    let counts = wanted(&scaling, from: 5, for: 120) { wanted in
      WorkerScaling.Sight(readyCount: wanted, activeCount: 5, longestWait: 0)
    }
    #expect(counts == [4, 3])
    let idle = wanted(&scaling, from: 125, for: 60) { wanted in
      WorkerScaling.Sight(readyCount: wanted, activeCount: 0, longestWait: 0)
    }
    #expect(idle == [3, 2, 1])
  }

  @Test("other bounds hold at once, and one number is no matter of load")
  func bounds() {
    var scaling = scaling(3...3)
    let counts = wanted(&scaling, from: 0, for: 60) { wanted in
      WorkerScaling.Sight(readyCount: wanted, activeCount: 0, longestWait: Self.second)
    }
    #expect(counts == [3])
    var terms = ApplicationTerms()
    terms.workerCounts = 5...6
    scaling.use(terms)
    #expect(scaling.wantedCount == 5)
  }
}
