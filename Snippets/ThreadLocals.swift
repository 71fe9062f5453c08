// What belongs to a thread, to a loop, and to a request: three values that nobody shares, and needs no lock for.
import MartletLoop
import MartletProcess
import MartletSync
import MartletSystem

enum Request {
  @TaskLocal static var name = "none"
}

/// How often a thread has been here.
let visits = ThreadLocal { 0 }

func visit() { visits.value += 1 }

func main() throws {
  let (seen, ended) = (Locked<[Int]>([]), Latch(3))
  for count in 1...3 {
    try Thread.start {
      for _ in 0..<count { visit() }
      seen.withLock { $0.append(visits.value) }
      ended.countDown()
    }
  }
  ended.wait()
  print("threads: \(seen.withLock { $0.sorted() }), and \(visits.value) here")

  let loop = try EventLoop()
  let counter = LoopLocal(on: loop) { [Int]() }
  loop.run(until: {
    // The same thread for both, and each has its own.
    await withTaskGroup(of: String.self) { group in
      for name in ["first", "second"] {
        group.addTask {
          await Request.$name.withValue(name) {
            await Task.yield()
            return Request.name
          }
        }
      }
      var names: [String] = []
      for await name in group { names.append(name) }
      print("requests: \(names.sorted()), and \(Request.name) here")
    }
    print("loops: \(await counter.perform { $0.count }) in the loop's own list")
  })
}

try main()
