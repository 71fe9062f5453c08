// Two threads bake and three coroutines eat, with a shelf for five between them.
import MartletQueues
import MartletSync
import MartletSystem

func bake(_ names: [String], onto shelf: Queue<String>, then done: Latch) throws {
  try Thread.start {
    for name in names {
      // Blocks while the shelf is full.
      do { try shelf.put(name) } catch { print(error) }
    }
    done.countDown()
  }
}

let shelf = Queue<String>(capacity: 5)
let (eaten, bakers) = (Locked(0), Latch(2))
try bake((1...50).map { "bread \($0)" }, onto: shelf, then: bakers)
try bake((1...50).map { "cake \($0)" }, onto: shelf, then: bakers)
try await withThrowingTaskGroup(of: Void.self) { group in
  for _ in 0..<3 {
    group.addTask {
      // Suspends while it is empty, and ends when it is closed.
      for await _ in shelf {
        eaten.withLock { $0 += 1 }
        shelf.taskDone()
      }
    }
  }
  try await bakers.wait()
  try await shelf.join()
  shelf.close()
  try await group.waitForAll()
}
print("\(eaten.withLock { $0 }) eaten, \(shelf.count) left")
