import CLinux
import MartletProcess
import MartletSystem

/// Work for pools of processes, good and bad.
enum PoolTasks {
  /// Ends the process while its try is not above `tries`, in a way of its own; then gives the number back.
  struct Crash: Codable, Sendable {
    var number: Int
    var way: Int
    var tries: Int
  }

  private struct Wrong: Error {}

  static let all: [any RegisteredTask] = [
    WorkerTask("echo") { (bytes: [UInt8]) in bytes },
    WorkerTask("square") { (number: Int) in number * number },
    WorkerTask("process") { (_: Int) in Processes.own },
    WorkerTask("fail") { (_: Int) -> Int in throw Wrong() },
    WorkerTask("big") { (count: Int) in [UInt8](repeating: 7, count: count) },
    WorkerTask("crash") { (order: Crash) in
      if WorkerProcess.attempt <= order.tries { crash(order.way) }
      return order.number
    },
    WorkerTask("hang") { (tries: Int) in
      if WorkerProcess.attempt <= tries { wait() }
      return WorkerProcess.attempt
    },
    WorkerTask("start") { (_: Int) -> Int in
      _ = try Program("/bin/sleep", arguments: ["1000"]).spawn()
      wait()
    },
    WorkerTask("eat") { (count: Int) in
      let bytes = [UInt8](repeating: 1, count: count)
      if WorkerProcess.attempt == 1 { wait() }
      return bytes.count
    },
    WorkerTask("swell") { (count: Int) in
      _ = [UInt8](repeating: 1, count: count)
      return Processes.own
    },
  ]

  private static func crash(_ way: Int) -> Never {
    switch way % 5 {
    case 0: abort()
    case 1: exit(0)
    case 2: exit(3)
    case 3: _ = martlet_kill(getpid(), SIGKILL)
    // What a program in Swift ends by that goes wrong.
    default: _ = martlet_kill(getpid(), SIGILL)
    }
    wait()
  }

  private static func wait() -> Never { while true { _ = pause() } }

  /// Has two workers hang, tells their numbers, and waits to be killed.
  static func hold() throws {
    let pool = try ProcessPool(
      processLimit: 2,
      program: Program("/proc/self/exe", arguments: ["pool"])
    )
    let hang = WorkerTask<Int, Int>("hang") { $0 }
    for _ in 0..<2 { _ = try pool.submit(hang, 1) }
    while pool.processes.count < 2 { Processes.yieldProcessor() }
    TestProgram.tell(pool.processes.map(String.init).joined(separator: " "))
    wait()
  }
}
