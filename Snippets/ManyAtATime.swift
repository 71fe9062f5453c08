// Coroutines of a loop: some at a time, with a limit of time, and a sequence that is made while it is read.
import MartletLoop
import MartletProcess
import MartletServers
import MartletSystem

/// Asks a server for something that takes so many milliseconds.
nonisolated(nonsending) func ask(
  _ address: SocketAddress,
  _ milliseconds: Int,
  on loop: EventLoop
) async throws -> String {
  let connection = try await Connection.open(to: address, on: loop)
  try await connection.write("\(milliseconds)\n")
  return try await connection.line() ?? "nothing came"
}

nonisolated(nonsending) func show(_ address: SocketAddress, on loop: EventLoop) async throws {
  let times = [600, 200, 400]
  // Two connections at a time, and no third before one of them is done.
  let all = try await loop.map(times, atMost: 2) { try await ask(address, $0, on: loop) }
  print("in order:", all.joined(separator: ", "))
  let each = loop.asCompleted(times, atMost: 3) { try await ask(address, $0, on: loop) }
  for try await one in each { print("done:", one) }
  do {
    print(try await loop.withTimeout(.seconds(1)) { try await ask(address, 60_000, on: loop) })
  } catch {
    print("too slow:", error)
  }
  do {
    // The first error cancels the others, and nothing more begins.
    try await loop.forEach([60_000, 60_000, -1, 60_000], atMost: 3) { milliseconds in
      guard milliseconds > 0 else { throw ConnectionError.tooLong(limit: 0) }
      print(try await ask(address, milliseconds, on: loop))
    }
  } catch {
    print("ended by:", error)
  }
  let squares = Generator<Int>(on: loop) { output in
    defer { print("nobody reads any more") }
    for number in 1... { try await output.yield(number * number) }
  }
  for try await square in squares {
    print("square:", square)
    if square > 8 { break }
  }
  await loop.yield()
}

func main() throws {
  let server = try TCPServer(port: 0) { connection in
    guard let line = try await connection.line(), let milliseconds = Int(line) else { return }
    try await connection.loop.sleep(for: .milliseconds(milliseconds))
    try await connection.write("\(milliseconds) ms\n")
  }
  try server.start()
  let (address, loop) = (server.address, try EventLoop())
  loop.run(until: {
    do { try await show(address, on: loop) } catch { print(error) }
  })
}

try main()
