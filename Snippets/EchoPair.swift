// A TCP echo server and its client, in each of the four models with the same handler.
import MartletLoop
import MartletNet
import MartletProcess
import MartletServers
import MartletSystem

struct Echo: ConnectionHandler {
  nonisolated(nonsending) func serve(_ connection: Connection) async throws {
    while let line = try await connection.line() { try await connection.write(line + "\n") }
  }
}

func ask(_ address: SocketAddress, _ text: String) throws {
  let loop = try EventLoop()
  loop.run(until: {
    do {
      let connection = try await Connection.open(to: address, on: loop)
      try await connection.write(text + "\n")
      connection.end()
      print(try await connection.line() ?? "nothing came")
    } catch {
      print(error)
    }
  })
}

func main() throws {
  let models: [(String, ServerModel)] = [
    ("a process", .processPerConnection), ("an event", .events), ("a thread", .threadPerConnection),
    ("a thread of a pool", .threadPool(threads: 4)),
  ]
  for (name, model) in models {
    let server = try TCPServer(port: 0, model: model, handler: Echo())
    try server.start()
    try ask(server.address, "echoed by \(name)")
    server.stop()
    server.join()
  }
}

try main()
