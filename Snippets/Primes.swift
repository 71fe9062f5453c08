// Primes counted by four processes; one of them is killed at its work, and nothing is lost.
import MartletProcess
import MartletSystem

/// What the processes do; they are this same program, and find it by its name.
let count = WorkerTask("count primes") { (numbers: Range<Int>) in
  numbers.count { number in
    number > 1
      && !sequence(first: 2, next: { $0 + 1 }).prefix { $0 * $0 <= number }
        .contains { number.isMultiple(of: $0) }
  }
}

// In a process of the pool the program ends here; everywhere else this does nothing.
WorkerProcess.serveIfAsked(count)

func countPrimes(below limit: Int, by steps: Int) async throws {
  let pool = try ProcessPool(processLimit: 4, limits: ProcessPool.Limits(tries: 3))
  let parts = stride(from: 0, to: limit, by: steps).map { $0..<min($0 + steps, limit) }
  async let counts = pool.map(count, parts)
  // Its work goes to another one, and is counted once.
  while pool.processes.count < 2 { await Task.yield() }
  try Processes.send(.kill, to: pool.processes[0])
  let total = try await counts.reduce(0, +)
  print("there are \(total) primes below \(limit)")
  pool.shutDown()
  try await pool.join(within: .seconds(10))
  print("\(pool.counts.crashes) of the processes crashed, \(pool.counts.processes) are left")
}

try await countPrimes(below: 100_000, by: 1000)
