// A server that runs the commands that it knows, and sends what they write, behind its length.
import MartletBytes
import MartletLoop
import MartletNet
import MartletProcess
import MartletServers
import MartletSystem

/// What may be run: nothing that comes over the wire is given to a shell.
let known = ["numbers": ["/usr/bin/seq", "20000"], "system": ["/bin/uname", "-s"]]

/// What a command writes within ten seconds, at most a megabyte.
nonisolated(nonsending) func output(
  of command: [String],
  _ connection: Connection
) async throws -> [UInt8] {
  let (nothing, file) = (
    OpenFile(try .open("/dev/null", .read)), OpenFile(try .memoryFile("output"))
  )
  let number = try Program(command[0], arguments: Array(command.dropFirst())).spawn(
    in: "/",
    input: nothing.descriptor,
    output: file.descriptor,
    error: file.descriptor
  )
  let child = try ChildProcess(adopting: number, on: connection.loop)
  do {
    _ = try await child.ended(by: connection.loop.deadline(after: Timeout(.seconds(10))))
  } catch {
    child.sendToGroup(.kill)
    _ = try await child.ended()
  }
  try file.descriptor.rewind()
  return try file.descriptor.readAll(limit: 1 << 20)
}

let form = FrameForm.counted(LengthField(byteCount: 4))

func ask(_ address: SocketAddress, _ names: [String]) throws {
  let loop = try EventLoop()
  loop.run(until: {
    do {
      let connection = try await Connection.open(to: address, on: loop)
      guard let stream = connection.stream else { return }
      let answers = FramedStream(stream, form, limit: 1 << 20)
      for name in names {
        try await connection.write(name + "\n")
        let answer = try await answers.next(by: .never) ?? []
        let lines = String(decoding: answer, as: UTF8.self).split(separator: "\n")
        print("\(name): \(answer.count) bytes, the last line is \(lines.last ?? "")")
      }
    } catch {
      print(error)
    }
  })
}

func main() throws {
  let server = try TCPServer(port: 0, telling: { print($1) }) { connection in
    guard let stream = connection.stream else { return }
    let answers = FramedStream(stream, form, limit: 1 << 20)
    while let name = try await connection.line(limit: 100) {
      let answer =
        if let command = known[name] { try await output(of: command, connection) } else {
          Array("there is no \(name)".utf8)
        }
      try await answers.send(answer, by: .never)
    }
  }
  try server.start()
  try ask(server.address, ["system", "numbers", "rm -rf"])
  server.stop()
  server.join()
}

try main()
