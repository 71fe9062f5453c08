// A file is uploaded with its name and length in front, in a dictionary, and passes through without being kept.
import JSON
import MartletBytes
import MartletLoop
import MartletNet
import MartletProcess
import MartletServers
import MartletSystem

nonisolated(nonsending) func receive(_ connection: Connection) async throws {
  guard let stream = connection.stream else { return }
  let messages = HeadedStream(stream, bodyLimit: 1 << 30)
  while let message = try await messages.next(by: .never) {
    let file = try Descriptor.memoryFile("upload")
    var (count, sum) = (0, UInt64(0))
    while try await messages.part(
      by: .never,
      { bytes in
        count += bytes.count
        sum ^= XXH64.sum(of: bytes)
        do { _ = try file.write(bytes) } catch { print(error) }
      }
    ) {}
    let name = message.head["name"]?.text ?? ""
    try await messages.send(
      .object(["name": .text(name), "received": .number(count)]),
      by: .never
    )
  }
}

func upload(_ content: [UInt8], to address: SocketAddress) throws {
  let loop = try EventLoop()
  loop.run(until: {
    do {
      let file = try Descriptor.memoryFile("content")
      try file.writeAll(content)
      let connection = try await Connection.open(to: address, on: loop)
      guard let stream = connection.stream else { return }
      let messages = HeadedStream(stream, bodyLimit: 0)
      try await messages.send(
        .object(["name": .text("photo"), "mode": .number(0o644)]),
        file: file,
        from: 0,
        count: content.count,
        pause: Timeout(.seconds(10))
      )
      print(try await messages.next(by: .never)?.head.compact ?? "no answer")
    } catch {
      print(error)
    }
  })
}

func main() throws {
  let server = try TCPServer(port: 0) { connection in try await receive(connection) }
  try server.start()
  try upload([UInt8](repeating: 7, count: 5_000_000), to: server.address)
  server.stop()
  server.join()
}

try main()
