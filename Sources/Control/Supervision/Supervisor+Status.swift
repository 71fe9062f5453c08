import Handover
import JSON
import MartletLoop
import MartletProcess
import MartletSystem

// What runs, for people and for scripts.

extension Supervisor {
  /// The state of all processes, as lines and as a JSON object.
  func status() async -> (text: String, json: JSONValue) {
    var texts: [String] = []
    var objects: [JSONValue] = []
    for edge in edges {
      let report = await report(of: edge)
      let age = seconds(since: edge.startedAt)
      texts.append(
        "edge       process \(edge.child.number), \(edge.state.rawValue), generation "
          + "\(edge.generation), for \(age) s"
      )
      texts += report.text.split(separator: "\n").map { "  \($0)" }
      objects.append(
        .object([
          "process": .number(Int(edge.child.number)), "state": .text(edge.state.rawValue),
          "generation": .number(Int(clamping: edge.generation)), "uptime_seconds": .number(age),
          "report": Self.value(of: report.json),
        ])
      )
    }
    let keys = inForce.listeners.map(\.key)
    let age = seconds(since: startedAt)
    let what = isStopping ? "stopping" : current == nil ? "starting" : "running"
    let text =
      [
        "martlet    \(options.version), \(what), process \(Processes.own), for \(age) s",
        "generation \(inForce.number)", "listening  \(keys.joined(separator: ", "))",
        "restarts   \(restartCount)",
      ] + texts
    let json = JSONValue.object([
      "version": .text(options.version), "process": .number(Int(Processes.own)),
      "state": .text(what), "uptime_seconds": .number(age),
      "generation": .number(Int(clamping: inForce.number)), "restarts": .number(restartCount),
      "listeners": .list(keys.map { .text($0) }),
      "logs": .list(inForce.logs.map { .text($0.path) }), "edges": .list(objects),
    ])
    return (text.joined(separator: "\n"), json)
  }

  /// What an edge reports; null for what is not in form.
  private static func value(of report: String) -> JSONValue {
    let limits = JSONLimits(byteCount: 16 << 20, valueCount: 1_000_000)
    do throws(JSONError) { return try JSONValue(parsing: report.utf8, limits: limits) } catch {
      return .null
    }
  }

  private func report(of edge: SupervisedEdge) async -> (json: String, text: String) {
    guard let answer = Answer<(json: String, text: String)>(on: loop) else { return ("null", "") }
    edge.reports.append(answer)
    edge.tell(.ask)
    let deadline = loop.deadline(after: Timeout(.seconds(2)))
    return await answer.wait(by: deadline) ?? ("null", "it does not answer")
  }

  private func seconds(since start: Int64) -> Int {
    Int((SystemClock.monotonicNanoseconds() - start) / 1_000_000_000)
  }
}
