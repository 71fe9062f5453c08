// A chat: each line that one says is heard by all others. Each member has a queue, so that none waits for a slow one.
import MartletLoop
import MartletProcess
import MartletQueues
import MartletServers
import MartletSync
import MartletSystem

final class Room: ConnectionHandler {
  private let members = Locked<[String: Queue<String>]>([:])

  private func say(_ line: String, from name: String) {
    let others = members.withLock { members in members.filter { $0.key != name }.map(\.value) }
    // Who does not listen misses what its queue has no room for.
    for other in others { _ = other.tryPut("\(name): \(line)\n") }
  }

  nonisolated(nonsending) func serve(_ connection: Connection) async throws {
    guard let name = try await connection.line(limit: 30) else { return }
    let heard = Queue<String>(capacity: 100)
    members.withLock { $0[name] = heard }
    connection.loop.spawn {
      do {
        while let line = await heard.next() { try await connection.write(line) }
      } catch {
        // Who has gone hears no more; the reader below sees that, too.
      }
    }
    defer {
      members.withLock { $0[name] = nil }
      say("has left", from: name)
      heard.close()
    }
    try await connection.write("welcome \(name)\n")
    say("is here", from: name)
    while let line = try await connection.line(limit: 1000) { say(line, from: name) }
  }
}

nonisolated(nonsending) func join(
  _ address: SocketAddress,
  as name: String,
  on loop: EventLoop
) async throws -> Connection {
  let connection = try await Connection.open(to: address, on: loop)
  try await connection.write(name + "\n")
  print(name, "reads", try await connection.line() ?? "")
  return connection
}

func main() throws {
  let server = try TCPServer(port: 0, handler: Room())
  try server.start()
  let loop = try EventLoop()
  loop.run(until: {
    do {
      let ada = try await join(server.address, as: "Ada", on: loop)
      let grace = try await join(server.address, as: "Grace", on: loop)
      print("Ada reads", try await ada.line() ?? "")
      try await ada.write("good morning\n")
      print("Grace reads", try await grace.line() ?? "")
      ada.end()
      print("Grace reads", try await grace.line() ?? "")
      grace.end()
      _ = try await (ada.readAll(), grace.readAll())
    } catch {
      print(error)
    }
  })
  server.stop()
  server.join()
}

try main()
