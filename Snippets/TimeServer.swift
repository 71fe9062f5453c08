// A server that tells the time to whoever connects, and closes: over a Unix socket, a thread for each.
import MartletLoop
import MartletProcess
import MartletServers
import MartletSystem

func main() throws {
  let server = try UnixServer(path: "@time-\(Processes.own)", model: .threadPerConnection) {
    let seconds = SystemClock.wallMicroseconds() / 1_000_000
    try await $0.write("\(seconds) seconds since 1970\n")
  }
  try server.start()
  let loop = try EventLoop()
  loop.run(until: {
    do {
      let connection = try await Connection.open(to: server.address, on: loop)
      print(String(decoding: try await connection.readAll(), as: UTF8.self), terminator: "")
    } catch {
      print(error)
    }
  })
  server.stop()
  server.join()
}

try main()
