// Three processes that are kept running: one is killed, those behind it are started anew with it.
import MartletLoop
import MartletProcess
import MartletSystem

nonisolated(nonsending) func supervise(on loop: EventLoop) async throws {
  let worker = Program("/bin/sleep", arguments: ["1000"])
  let plan = SupervisionPlan(
    .restForOne,
    intensity: SupervisionPlan.Intensity(restarts: 3, period: .seconds(10)),
    children: [
      .process("store", worker), .process("index", worker), .process("web", worker),
    ]
  )
  var startCount = 0
  let news = Signal(on: loop)
  let tree = try SupervisionTree(plan, on: loop) { report in
    switch report {
    case .started(let name, _):
      print("\(name) runs")
      startCount += 1
      if startCount == 3 || startCount == 5 { news?.set() }
    case .ended(let name, let end): print("\(name) \(end)")
    case .stopped(let name): print("\(name) was stopped")
    default: print(report)
    }
  }
  loop.spawn {
    await news?.untilSet()
    if let index = tree.processes.first(where: { $0.name == "index" }) {
      do { try Processes.send(.kill, to: index.process) } catch { print(error) }
    }
    await news?.untilSet()
    tree.stop()
  }
  print(await tree.run())
}

let loop = try EventLoop()
loop.run(until: { do { try await supervise(on: loop) } catch { print(error) } })
