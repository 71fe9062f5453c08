/// A member whose answers a test makes of the requests that it gets, which it counts.
public struct Origin: Sendable {
  /// The member.
  public let member: ScriptedMember
  private let requests = Guarded<[Request]>([])

  /// Starts one: `answer` gets the request and how many there were before it, and makes the bytes of the answer.
  ///
  /// - Throws: ``PeerError`` when it cannot be started.
  public init(_ rig: Rig, _ answer: @escaping @Sendable (Request, Int) throws -> String) throws {
    let requests = requests
    member = try rig.member { wire in
      while let request = try wire.receiveRequest() {
        let before = requests.withLock { all in
          all.append(request)
          return all.count - 1
        }
        try wire.send(text: try answer(request, before))
      }
    }
  }

  /// Where it is.
  public var endpoint: Endpoint { member.endpoint }
  /// The requests that have come.
  public var seen: [Request] { requests.withLock { $0 } }
  /// How many have.
  public var count: Int { seen.count }

  /// An answer of 200 with these fields, each with its end, and this body.
  public static func ok(_ fields: String, _ body: String) -> String {
    "HTTP/1.1 200 OK\r\n\(fields)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
  }
}

extension Rig {
  /// Starts the program with one server that has one route, logs what it answers, and can be asked by commands.
  ///
  /// - Throws: ``PeerError`` when it does not start.
  public func martlet(
    outside: String = "",
    server: String = "",
    route: String
  ) throws -> Peer {
    try martlet(
      configuration: """
        admin unix:admin.sock
        \(outside)
        server {
            listen LISTEN
            access_log stdout json
            \(server)
            route / {
                \(route)
            }
        }
        """
    )
  }
}

extension Rig {
  /// What the admin listener of ``martlet(outside:server:route:)`` says of a target.
  ///
  /// - Throws: ``PeerError`` or ``Wire/Failure`` when it cannot be asked.
  public func told(_ target: String) throws -> String {
    let wire = try Wire(to: .unix(path("state/admin.sock")))
    return try wire.ask(target, "GET", "Connection: close").text
  }

  /// The number behind a metric with its labels; nil: it is not there.
  ///
  /// - Throws: ``PeerError`` or ``Wire/Failure`` when it cannot be asked.
  public func metric(_ name: String) throws -> Double? {
    let line = try told("/metrics").split(separator: "\n").first { $0.hasPrefix(name + " ") }
    return line.flatMap { $0.split(separator: " ").last.flatMap { Double($0) } }
  }
}

extension Wire {
  /// Sends a request with these fields, and receives the answer.
  ///
  /// - Throws: ``Wire/Failure`` when the connection ends before the answer does.
  public func ask(
    _ target: String = "/",
    _ method: String = "GET",
    _ fields: String...,
    host: String = "a",
    body: String? = nil
  ) throws -> Answer {
    let length = body.map { ["Content-Length: \($0.utf8.count)"] } ?? []
    let lines = ["\(method) \(target) HTTP/1.1", "Host: \(host)"] + fields + length
    try send(text: lines.joined(separator: "\r\n") + "\r\n\r\n" + (body ?? ""))
    return try receiveAnswer(isToHead: method == "HEAD")
  }
}
