import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// What browsers ask and are told about pages of other origins.
  @Suite("Pages of other origins", .timeLimit(.minutes(1 * slowness)))
  struct CrossOriginTests {
    private func start(_ rig: Rig) throws -> Peer {
      let member = try rig.member { wire in
        while try wire.receiveRequestHead() != nil {
          try wire.send(
            text: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nAccess-Control-Allow-Origin: *\r\n"
              + "X-Own: 1\r\n\r\nok"
          )
        }
      }
      let nobody = try rig.freePort()
      return try rig.martlet(
        configuration: """
          upstream calls {
            member \(nobody)
            http2 on
          }
          server {
            listen LISTEN
            route /api/ {
              cors { origins https://app.example https://*.dev.example
                credentials on
                max_age 10m }
              proxy \(member.endpoint)
            }
            route /open/ {
              method GET
              cors { origins *
                methods GET
                headers x-one x-two
                expose x-total }
              respond 200 "open"
            }
            route /t.T/ {
              cors { origins https://app.example }
              proxy calls
            }
          }
          """
      )
    }

    /// The status and the fields of an answer, in lower case.
    private func ask(
      _ rig: Rig,
      _ martlet: Peer,
      _ path: String,
      method: String = "GET",
      _ fields: String...
    ) throws -> (status: String, fields: [String]) {
      let lines = try rig.outcome(
        of: ["curl", "--silent", "--include", "--noproxy", "*", "--request", method]
          + fields.flatMap { ["--header", $0] } + [martlet.endpoint.url(path)]
      ).lines.map { $0.trimmingCharacters(in: .whitespacesAndNewlines) }
      let status = lines.first?.split(separator: " ").dropFirst().first.map(String.init) ?? ""
      return (status, lines.dropFirst().prefix { !$0.isEmpty }.map { $0.lowercased() })
    }

    private static let asks = "Access-Control-Request-Method: PUT"

    @Test(
      "are let in where they are named, and told what they may do",
      arguments: ["https://app.example", "https://a.dev.example"]
    )
    func given(origin: String) async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        let asked = try ask(
          rig,
          martlet,
          "/api/x",
          method: "OPTIONS",
          "Origin: \(origin)",
          Self.asks,
          "Access-Control-Request-Headers: x-grpc-web,content-type"
        )
        #expect(asked.status == "204")
        for field in [
          "access-control-allow-origin: \(origin)", "access-control-max-age: 600",
          "access-control-allow-methods: get, head, post, put, patch, delete",
          "access-control-allow-headers: x-grpc-web,content-type",
          "access-control-allow-credentials: true", "vary: origin",
        ] { #expect(asked.fields.contains(field), "\(field)") }
        let answer = try ask(rig, martlet, "/api/x", "Origin: \(origin)")
        #expect(answer.status == "200")
        let told = answer.fields.filter { $0.hasPrefix("access-control-allow-origin") }
        #expect(told == ["access-control-allow-origin: \(origin)"])
        #expect(answer.fields.contains("x-own: 1"))
        #expect(
          answer.fields.contains(
            "access-control-expose-headers: grpc-status, grpc-message, grpc-status-details-bin"
          )
        )
      }
    }

    @Test(
      "are not let in where they are not named",
      arguments: ["https://evil.example", "http://app.example", "https://dev.example", "null"]
    )
    func refused(origin: String) async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        let asked = try ask(
          rig,
          martlet,
          "/api/x",
          method: "OPTIONS",
          "Origin: \(origin)",
          Self.asks
        )
        #expect(asked.status == "403")
        let answer = try ask(rig, martlet, "/api/x", "Origin: \(origin)")
        #expect(answer.status == "200")
        for fields in [asked.fields, answer.fields] {
          #expect(!fields.contains { $0.hasPrefix("access-control-") })
          #expect(fields.contains("vary: origin"))
        }
      }
    }

    @Test("may all be let in, to what is named; a route for other methods is asked beforehand too")
    func open() async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        let asked = try ask(
          rig,
          martlet,
          "/open/x",
          method: "OPTIONS",
          "Origin: https://any.example",
          "Access-Control-Request-Method: GET"
        )
        #expect(asked.status == "204")
        for field in [
          "access-control-allow-origin: *", "access-control-allow-methods: get",
          "access-control-allow-headers: x-one, x-two",
        ] { #expect(asked.fields.contains(field), "\(field)") }
        #expect(!asked.fields.contains("vary: origin"))
        let answer = try ask(rig, martlet, "/open/x", "Origin: https://any.example")
        #expect(answer.fields.contains("access-control-expose-headers: x-total"))
        let plain = try ask(rig, martlet, "/open/x", method: "OPTIONS")
        #expect(plain.status == "405")
        #expect(try ask(rig, martlet, "/api/x", method: "OPTIONS").status == "200")
      }
    }

    @Test("see Martlet's own failures too, of calls of gRPC as well")
    func failures() async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        let call = try ask(
          rig,
          martlet,
          "/t.T/One",
          method: "POST",
          "Origin: https://app.example",
          "Content-Type: application/grpc-web+proto"
        )
        #expect(call.status == "200")
        #expect(call.fields.contains("grpc-status: 14"))
        #expect(call.fields.contains("access-control-allow-origin: https://app.example"))
        let other = try ask(rig, martlet, "/t.T/One", "Origin: https://app.example")
        #expect(other.status == "502")
        #expect(other.fields.contains("access-control-allow-origin: https://app.example"))
      }
    }
  }
}
