// A process that is waited for (join), one that is ended when it takes too long, and a thread that nobody waits for.
import MartletLoop
import MartletProcess
import MartletSystem

func main() throws {
  // A thread does not keep the process: whoever needs what it does waits for it.
  try Thread.start { while true { Thread.pause() } }
  let loop = try EventLoop()
  loop.run(until: {
    do {
      let worker = try ChildProcess.start(
        Program("/bin/sh", arguments: ["-c", "exit 3"]),
        on: loop
      )
      print("joined: \(try await worker.ended())")
      let sleeper = try ChildProcess.start(Program("/bin/sleep", arguments: ["600"]), on: loop)
      do {
        let moment = loop.deadline(after: Timeout(.milliseconds(50)))
        print("joined: \(try await sleeper.ended(by: moment))")
      } catch {
        sleeper.send(.kill)
        // Still waited for, so that nothing is left of it.
        print("ended: \(try await sleeper.ended())")
      }
    } catch {
      print(error)
    }
  })
}

try main()
