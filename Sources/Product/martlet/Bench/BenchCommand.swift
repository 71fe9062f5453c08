import ArgumentParser
import JSON
import MartletLoop
import MartletProcess
import MartletSync
import MartletSystem
import Supervision

/// `martlet bench`.
struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measure on this machine what the server is built on.",
    subcommands: [LoopCommand.self]
  )

  /// `martlet bench loop`.
  struct LoopCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "loop",
      abstract: "Measure the ways to wait for many connections, and draw what they cost.",
      discussion: """
        Some connections are busy all the time, others say nothing: a way to wait that looks at each \
        of them grows dearer with those. `threads` has a thread for each connection that blocks; the \
        others are what `polling` in a configuration can say.
        """
    )

    @Option(name: .long, help: ArgumentHelp("How many are idle, in turn.", valueName: "numbers"))
    var idle = "10,100,1000,10000"

    @Option(name: .long, help: ArgumentHelp("How many are busy.", valueName: "number"))
    var active = 100

    @Option(
      name: .long,
      help: ArgumentHelp("Which ways: \(Self.names); all if not given.", valueName: "names")
    )
    var models: String?

    @Option(name: .long, help: ArgumentHelp("How long each is measured.", valueName: "seconds"))
    var seconds = 0.3

    @Option(
      name: .long,
      help: ArgumentHelp("How often; the median counts.", valueName: "number")
    )
    var rounds = 3

    @Option(
      name: .long,
      help: ArgumentHelp("Draw into this file too.", valueName: "file"),
      completion: .file()
    )
    var svg: String?

    @Flag(name: .long, help: "Print one JSON object.") var json = false

    private static let names = ServingModel.all.map(\.name).joined(separator: ", ")

    func validate() throws {
      let counts = idle.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
      guard counts.count <= 20, counts.allSatisfy({ 0...100_000 ~= $0 ?? -1 }) else {
        throw ValidationError("--idle: write numbers up to 100000, as `10,100,1000`")
      }
      guard 1...10_000 ~= active else {
        throw ValidationError("--active: write a number from 1 to 10000")
      }
      guard 0.01...60 ~= seconds else {
        throw ValidationError("--seconds: write a number from 0.01 to 60")
      }
      guard 1...100 ~= rounds else {
        throw ValidationError("--rounds: write a number from 1 to 100")
      }
      for name in chosenNames where !ServingModel.all.contains(where: { $0.name == name }) {
        throw ValidationError("--models: there is no `\(name)`; write some of \(Self.names)")
      }
    }

    private var chosenNames: [String] { models?.split(separator: ",").map(String.init) ?? [] }

    func run() throws {
      let counts = idle.split(separator: ",").compactMap { Int($0) }
      let chosen = ServingModel.all.filter { models == nil || chosenNames.contains($0.name) }
      // Both ends of each, and what a program has open anyway.
      let needed = ((counts.max() ?? 0) + active) * 2 + 200
      do { try Resources.limitDescriptors(to: max(needed, 1024)) } catch {}
      let curves = Locked<LoopCurves?>(nil)
      let loop = try EventLoop()
      let command = self
      loop.run(until: {
        let measured = await command.measure(chosen, counts, on: loop)
        curves.withLock { $0 = measured }
      })
      guard let curves = curves.withLock(\.self) else { return }
      Console.say(json ? curves.json.formatted() : String(curves.text.dropLast()))
      if let svg {
        do throws(SystemError) {
          try Files.write(Array(curves.svg.utf8), to: svg, rights: 0o644)
        } catch {
          throw CommandFailure(.failure, "\(svg) cannot be written: \(error)")
        }
      }
    }

    /// All models in turns, so that what disturbs the machine disturbs each of them.
    private func measure(
      _ models: [ServingModel],
      _ counts: [Int],
      on loop: EventLoop
    ) async -> LoopCurves {
      let benchmark = LoopBenchmark(
        activeCount: active,
        duration: .nanoseconds(Int64(seconds * 1e9)),
        loop: loop
      )
      var curves = LoopCurves(
        activeCount: active,
        idleCounts: counts,
        curves: models.map { .init(name: $0.name, costs: counts.map { _ in nil }) }
      )
      for (place, count) in counts.enumerated() {
        var samples = models.map { _ in [Double]() }
        for round in 1...rounds {
          for (number, model) in models.enumerated() where curves.curves[number].problem == nil {
            if !json { Console.complain("\(count) idle, round \(round): \(model.name)") }
            do throws(SystemError) {
              samples[number].append(try await benchmark.cost(model, idleCount: count))
            } catch {
              let mend = error.call == .dup ? " (raise `ulimit -n`)" : ""
              curves.curves[number].problem = "not with \(count) idle connections: \(error)\(mend)"
            }
          }
        }
        for (number, costs) in samples.enumerated() where !costs.isEmpty {
          curves.curves[number].costs[place] = costs.sorted()[costs.count / 2]
        }
      }
      return curves
    }
  }
}
