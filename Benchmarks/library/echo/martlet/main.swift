// Says back what comes, by Martlet's library; its argument is the port.

import MartletServers

guard let port = CommandLine.arguments.dropFirst().first.flatMap({ UInt16($0) }) else {
  fatalError("the port is missing")
}
let server = try TCPServer(port: port) { connection in
  while true {
    let bytes = try await connection.read()
    if bytes.isEmpty { return }
    try await connection.write(bytes)
  }
}
try server.run()
