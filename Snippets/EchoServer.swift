// An echo server: one loop, and a coroutine for each connection.
import MartletLoop
import MartletNet
import MartletProcess
import MartletSystem

actor EchoServer {
  nonisolated let loop: EventLoop
  nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

  init(on loop: EventLoop) { self.loop = loop }

  func run(on address: SocketAddress) async throws {
    let listener = try Listener(adopting: try Listener.bind(address), on: loop)
    print("listening on \(listener.address)")
    while true {
      do {
        let accepted = try await listener.accept()
        let stream = try Stream(adopting: accepted.descriptor, on: loop)
        let loop = loop
        loop.spawn { await Self.serve(stream, on: loop) }
      } catch {
        // No descriptor is free, for one: the connection waits in the kernel's queue.
        print("not accepted: \(error)")
        try await loop.sleep(for: .milliseconds(100))
      }
    }
  }

  /// Says everything back until the other side ends, or is silent for a minute.
  private nonisolated(nonsending) static func serve(_ stream: Stream, on loop: EventLoop) async {
    let patience = Timeout(.seconds(60))
    do {
      while true {
        // The buffer is the loop's: it is lent when bytes are there, and goes back by itself.
        let bytes = try await stream.read(.head, by: loop.deadline(after: patience))
        if bytes.isEmpty { return stream.shutdownWrite() }
        try await stream.write(bytes, by: loop.deadline(after: patience))
      }
    } catch {
      print("\(stream.descriptor): \(error)")
    }
  }
}

func main() throws {
  let loop = try EventLoop()
  let server = EchoServer(on: loop)
  loop.run {
    do { try await server.run(on: .ipv4(0x7F00_0001, port: 7007)) } catch { print(error) }
  }
}

try main()
