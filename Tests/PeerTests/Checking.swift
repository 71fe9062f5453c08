import Foundation
import TestPeers

extension Peer {
  /// Waits until so many lines with `part` were written.
  func lines(with part: String, count: Int) throws {
    let deadline = ContinuousClock.now + patience
    while lines.count(where: { $0.contains(part) }) < count {
      guard ContinuousClock.now < deadline else {
        throw PeerError("\(name) did not write \"\(part)\" \(count) times but: \(lines)")
      }
      _ = poll(nil, 0, 5)
    }
  }

  /// How many lines with `part` were written.
  func count(of part: String) -> Int { lines.count { $0.contains(part) } }
}

extension Rig {
  /// What `martlet status --json` says of each member of the first upstream.
  func members() throws -> [[String: Any]] {
    let lines = try martlet(command: "status", "--json").lines
    let json = try JSONSerialization.jsonObject(with: Data(lines.joined().utf8))
    func find(_ value: Any) -> [[String: Any]]? {
      if let object = value as? [String: Any] {
        if let upstreams = object["upstreams"] as? [[String: Any]] {
          return upstreams.first?["members"] as? [[String: Any]]
        }
        return object.values.lazy.compactMap(find).first
      }
      return (value as? [Any])?.lazy.compactMap(find).first
    }
    guard let members = find(json) else { throw PeerError("no members in \(lines)") }
    return members
  }

  /// The health of each member.
  func health() throws -> [String] {
    try members().map { $0["health"] as? String ?? "" }
  }

  /// Starts Martlet in front of `members`, with `block` in its upstream.
  func checking(_ members: [Endpoint], _ block: String, upstreams: Int = 1) throws -> Peer {
    let list = members.map { "member \($0)" }.joined(separator: "\n")
    let all = (0..<upstreams).map { "upstream u\($0) {\n\(list)\n\(block)\n}\n" }.joined()
    return try martlet(configuration: "\(all)server {\nlisten LISTEN\nroute / { proxy u0 }\n}\n")
  }

  /// The answer to one request.
  func ask(_ martlet: Peer) throws -> (status: Int, text: String) {
    let wire = try Wire(to: martlet.endpoint)
    try wire.send(text: "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    let answer = try wire.receiveAnswer()
    return (Int(answer.status), answer.text)
  }
}
