import Edge
import JSON
import JSONRPC
import MartletLoop

// What the coroutines of an edge process do, for `martlet tasks`.

extension EdgeService {
  /// Tells the coroutines of all loops, those of requests first: how many there are, and as many as wanted.
  func tasks(_ arguments: RPCArguments, of server: EdgeServer) async -> JSONValue {
    var tasks: [JSONValue] = []
    let name = arguments.text("name")
    func add(_ views: [CoroutineView], _ loopName: String) {
      tasks += views.filter { name == nil || $0.name == name }.map { $0.json(loopName) }
    }
    for (index, views) in await server.coroutines().enumerated() { add(views, "\(index)") }
    add(loop.coroutineViews(), "control")
    let limit = arguments.number("limit") ?? 100
    return .object([
      "tasks": .list(Array(tasks.prefix(limit))), "count": .number(tasks.count),
    ])
  }
}

extension CoroutineView {
  /// The coroutine as an object.
  fileprivate func json(_ loopName: String) -> JSONValue {
    .object([
      "task": .text("\(loopName)-\(number)"), "name": .text(name),
      "subject": subject.map { .text($0) } ?? .null,
      "waits_for": .text(wait.word), "descriptor": wait.descriptor.map { .number($0) } ?? .null,
      "waited_seconds": Self.seconds(waited), "limit_seconds": Self.seconds(remaining),
      "age_seconds": Self.seconds(age),
    ])
  }

  private static func seconds(_ duration: Duration?) -> JSONValue {
    guard let (seconds, attoseconds) = duration?.components else { return .null }
    return .real((Double(seconds) * 1000 + Double(attoseconds / 1_000_000_000_000_000)) / 1000)
  }
}

extension CoroutineView.Wait {
  fileprivate var word: String {
    switch self {
    case .readable: "reading"
    case .writable: "writing"
    case .signal: "time or signal"
    case .elsewhere: "elsewhere"
    }
  }

  fileprivate var descriptor: Int? {
    switch self {
    case .readable(let number), .writable(let number): Int(number)
    case .signal, .elsewhere: nil
    }
  }
}
