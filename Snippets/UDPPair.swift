// A UDP server that answers in capitals, and its client.
import MartletLoop
import MartletNet
import MartletProcess
import MartletServers
import MartletSystem

func ask(_ address: SocketAddress, _ text: String) throws {
  let loop = try EventLoop()
  loop.run(until: {
    do {
      let socket = try Datagram.bind(.ipv4(0x7F00_0001, port: 0), on: loop)
      // Datagrams may be lost: who asks asks again.
      for _ in 0..<5 {
        try await socket.send(Array(text.utf8), to: address, by: .never)
        do {
          let second = loop.deadline(after: Timeout(.seconds(1)))
          let answer = try await socket.receive(by: second)
          let bytes = answer.buffer.bytes
          return print(String(decoding: bytes.indices.map { bytes[$0] }, as: UTF8.self))
        } catch StreamError.timedOut {}
      }
      print("no answer")
    } catch {
      print(error)
    }
  })
}

func main() throws {
  let server = try UDPServer(port: 0) { question in
    let text = String(decoding: try await question.read(), as: UTF8.self)
    try await question.write(text.uppercased())
  }
  try server.start()
  try ask(server.address, "is anybody there?")
  server.stop()
  server.join()
}

try main()
