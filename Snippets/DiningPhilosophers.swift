// Five philosophers and five forks: how they starve, how that is seen, and how it is cured.
import MartletSync

typealias Seat = (first: Lock, second: Lock)

/// Takes both forks, the second when all hold their first one, and eats.
func eat(at seat: Seat, with others: Barrier) async throws {
  try await seat.first.withLock {
    try await others.wait()
    try await seat.second.withLock {}
  }
}

func starve(_ forks: [Lock]) async throws {
  let stands = Event()
  LockChecks.report { report in
    if case .deadlock(let waits) = report {
      print("\(waits.count) wait for each other")
      stands.set()
    } else {
      print(report)
    }
  }
  let all = Barrier(forks.count)
  let philosophers = forks.indices.map { place in
    Task { try await eat(at: (forks[place], forks[(place + 1) % forks.count]), with: all) }
  }
  try await stands.wait()
  // Nothing but a limit or this lets them go on.
  philosophers[0].cancel()
  var hungryCount = 0
  for philosopher in philosophers {
    do { try await philosopher.value } catch WaitFailure.cancelled { hungryCount += 1 }
  }
  print("\(hungryCount) gave up, \(forks.count - hungryCount) have eaten")
}

func dine(_ forks: [Lock]) async throws {
  try await withThrowingTaskGroup(of: Void.self) { philosophers in
    for place in forks.indices {
      // Nobody takes a fork of a lower number than one that he holds: no circle can be.
      let other = (place + 1) % forks.count
      let seat: Seat = (forks[min(place, other)], forks[max(place, other)])
      philosophers.addTask {
        for _ in 0..<100 { try await eat(at: seat, with: Barrier(1)) }
      }
    }
    try await philosophers.waitForAll()
  }
  print("all have eaten a hundred times")
}

LockChecks.isOn = true
try await starve((0..<5).map { Lock("fork \($0)") })
try await dine((0..<5).map { Lock("fork \($0)") })
