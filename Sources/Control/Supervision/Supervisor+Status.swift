import Handover
import MartletLoop
import MartletProcess
import MartletSystem

// What runs, for people and for scripts.

extension Supervisor {
  /// The state of all processes, as lines and as a JSON object.
  func status() async -> (text: String, json: String) {
    var texts: [String] = []
    var objects: [String] = []
    for edge in edges {
      let report = await report(of: edge)
      let age = seconds(since: edge.startedAt)
      texts.append(
        "edge       process \(edge.child.number), \(edge.state.rawValue), generation "
          + "\(edge.generation), for \(age) s"
      )
      texts += report.text.split(separator: "\n").map { "  \($0)" }
      objects.append(
        """
        {"process":\(edge.child.number),"state":"\(edge.state.rawValue)",\
        "generation":\(edge.generation),"uptime_seconds":\(age),"report":\(report.json)}
        """
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
    let json = """
      {"version":\(quoted(options.version)),"process":\(Processes.own),"state":"\(what)",\
      "uptime_seconds":\(age),"generation":\(inForce.number),"restarts":\(restartCount),\
      "listeners":[\(keys.map(quoted).joined(separator: ","))],\
      "logs":[\(inForce.logs.map { quoted($0.path) }.joined(separator: ","))],\
      "edges":[\(objects.joined(separator: ","))]}
      """
    return (text.joined(separator: "\n"), json)
  }

  private func report(of edge: SupervisedEdge) async -> (json: String, text: String) {
    guard let answer = Answer<(json: String, text: String)>(on: loop) else { return ("null", "") }
    edge.reports.append(answer)
    edge.tell(.ask)
    let deadline = loop.deadline(after: Timeout(.seconds(2)))
    return await answer.wait(by: deadline) ?? ("null", "it does not answer")
  }

  private func seconds(since start: Int64) -> Int64 {
    (SystemClock.monotonicNanoseconds() - start) / 1_000_000_000
  }
}

/// A text as a JSON string, see RFC 8259, section 7.
func quoted(_ text: String) -> String {
  var result = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"", "\\": result += "\\\(scalar)"
    case "\n": result += "\\n"
    case _ where scalar.value < 0x20:
      let digits = String(scalar.value, radix: 16)
      result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result + "\""
}
