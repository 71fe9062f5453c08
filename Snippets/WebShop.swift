// A program with Martlet in it: routes, JSON, streaming, WebSockets and sessions. Called with a port.
import JSON
import MartletHandlers
import MartletServer

let shop = Routes {
  $0.get("/hello/:name") { request, response in
    try await response.send("Hello, \(request.parameters["name"] ?? "you")\n")
  }
  $0.post("/sum") { request, response in
    let numbers = try await request.json().list?.compactMap(\.number) ?? []
    try await response.send(json: .object(["sum": .number(numbers.reduce(0, +))]))
  }
  $0.get("/count/:to") { request, response in
    guard let end = request.parameters["to"].flatMap({ Int($0) }), (1...1_000_000).contains(end)
    else { throw Refusal(400, "count to a number up to a million") }
    for number in 1...end { try await response.write("\(number)\n") }
  }
  $0.put("/size") { request, response in
    var size = 0
    while let piece = try await request.nextPiece() { size += piece.count }
    try await response.send("\(size)\n")
  }
  $0.post("/login/:user") { request, response in
    request.session?.signIn(as: request.parameters["user"] ?? "")
    try await response.redirect(to: "/me")
  }
  $0.get("/me") { request, response in
    guard let session = request.session, !session.user.isEmpty else { throw Refusal(403) }
    session["visits"] = String((session["visits"].flatMap { Int($0) } ?? 0) + 1)
    try await response.send("\(session.user), visit \(session["visits"] ?? "")\n")
  }
  $0.get("/echo") { request, response in
    let socket = try await response.webSocket(for: request)
    while let message = try await socket.receive() {
      switch message {
      case .text(let text): try await socket.send(text)
      case .binary(let bytes): try await socket.send(bytes: bytes)
      }
    }
  }
}

func main() throws {
  let port = CommandLine.arguments.dropFirst().first ?? "8080"
  let text = """
    sessions shop
    server {
      listen 127.0.0.1:\(port)
      route / {
        handler shop
        sessions shop
      }
    }
    """
  try Server(text, handlers: ["shop": shop]).run()
}

try main()
