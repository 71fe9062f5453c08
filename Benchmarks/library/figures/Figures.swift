// Prints what parts of the library cost, beside those of others: a name, a tab and nanoseconds in each line.

import Glibc
import MartletProcess
import MartletSync

/// One figure.
struct Figure: Sendable {
  var name: String
  var value: Double

  init(_ name: String, _ value: Double) {
    self.name = name
    self.value = value
  }
}

/// A value that locks protect which the compiler does not know.
final class Box<Value>: @unchecked Sendable {
  var value: Value
  init(_ value: Value) { self.value = value }
}

/// Nanoseconds of a clock that never goes back.
func nanoseconds() -> Int {
  var now = timespec()
  clock_gettime(CLOCK_MONOTONIC, &now)
  return now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// Measures several things, one after the other and that again, so that what else the machine does hits all.
///
/// `choice` makes a figure of the sorted results of one thing.
func inTurn(
  _ rounds: Int,
  _ things: [(name: String, measure: () throws -> Double)],
  of choice: ([Double]) -> Double
) throws -> [Figure] {
  var results = [[Double]](repeating: [], count: things.count)
  for _ in 0..<rounds {
    for (place, thing) in things.enumerated() { results[place].append(try thing.measure()) }
  }
  return zip(things, results).map { Figure($0.name, choice($1.sorted())) }
}

@main
struct Figures {
  /// What is asked for.
  enum Part: String {
    /// Locks, queues, switches and pools.
    case library
    /// Jobs that compute, wait or do both.
    case jobs
  }

  static func blocking(_ part: Part) throws -> [Figure] {
    switch part {
    case .library:
      (try LockFigures.all()) + (try QueueFigures.all()) + (try SwitchFigures.all())
        + (try PoolFigures.all()) + (try PoolFigures.ofProcesses()) + (try PeerFigures.all())
    case .jobs: try WorkFigures.all()
    }
  }

  static func main() async throws {
    WorkerProcess.serveIfAsked(PoolFigures.same, WorkFigures.job)
    guard let part = CommandLine.arguments.dropFirst().first.flatMap({ Part(rawValue: $0) }) else {
      fatalError("library, or jobs")
    }
    LockChecks.isOn = false
    var figures = try blocking(part)
    if part == .library { figures += try await QueueFigures.tasks() + PeerFigures.tasks() }
    for figure in figures { print("\(figure.name)\t\((figure.value * 10).rounded() / 10)") }
  }
}
