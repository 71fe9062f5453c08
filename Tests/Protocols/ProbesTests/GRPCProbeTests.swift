import HTTP2
import Probes
import Testing

@Suite("The probe of gRPC servers")
struct GRPCProbeTests {
  /// What a server says to the question of a probe.
  private struct Answer {
    var status = "200 OK"
    var head = ""
    var message: [UInt8]?
    var trailers = ""

    /// The bytes of its connection.
    func bytes(service: String = "") throws -> [UInt8] {
      var machine = ConnectionMachine(.server, limits: ConnectionLimits())
      let question = GRPCProbe.opening(service: service, host: "a")
      var offset = 0
      while let event = try machine.next(in: question.span, at: &offset, now: 1) {
        guard case .head(let stream, _) = event else { continue }
        let text = Array("HTTP/1.1 \(status)\r\nContent-Type: application/grpc\r\n\(head)\r\n".utf8)
        machine.sendHead(text.span, on: stream, isLast: false)
        guard let message else {
          machine.finish(stream)
          continue
        }
        _ = machine.send(message.span, on: stream, isLast: false)
        let lines = Array(trailers.utf8)
        machine.sendTrailers(lines.span, on: stream)
      }
      var output: [UInt8] = []
      machine.takeOutput(into: &output)
      return output
    }
  }

  private static let serving: [UInt8] = [0, 0, 0, 0, 2, 8, 1]
  private static let ok = "grpc-status: 0\r\n"

  private func verdict(_ bytes: [UInt8], cut: Int? = nil) -> ProbeVerdict? {
    var probe = GRPCProbe(service: "")
    let middle = cut ?? 0
    if middle > 0, let early = probe.receive(Array(bytes[..<middle]).span) { return early }
    return probe.receive(Array(bytes[middle...]).span)
  }

  @Test("the question is a call that a server understands, with the service's name")
  func question() throws {
    var machine = ConnectionMachine(.server, limits: ConnectionLimits())
    let bytes = GRPCProbe.opening(service: "a.B", host: "h:1")
    var offset = 0
    var head = ""
    var body: [UInt8] = []
    var hasEnded = false
    while let event = try machine.next(in: bytes.span, at: &offset, now: 1) {
      switch event {
      case .head: head = String(decoding: machine.fields.head, as: UTF8.self)
      case .data(_, let range, let isLast):
        body += bytes[range]
        hasEnded = isLast
      default: break
      }
    }
    #expect(head.hasPrefix("POST /grpc.health.v1.Health/Check HTTP/1.1\r\nHost: h:1\r\n"))
    #expect(head.contains("content-type: application/grpc\r\n"))
    #expect(head.contains("te: trailers\r\n"))
    #expect(body == [0, 0, 0, 0, 5, 0x0A, 3, 0x61, 0x2E, 0x42])
    #expect(hasEnded)
  }

  @Test("a server that serves passes, however its bytes are split")
  func passes() throws {
    let bytes = try Answer(message: Self.serving, trailers: Self.ok).bytes()
    for cut in 0..<bytes.count { #expect(verdict(bytes, cut: cut) == .passed("SERVING")) }
  }

  @Test("a server that does not serve fails, and says why")
  func fails() throws {
    let answers: [(Answer, ProbeVerdict)] = [
      (
        Answer(message: [0, 0, 0, 0, 2, 8, 2], trailers: Self.ok), .failed(.refused, "NOT_SERVING")
      ),
      (Answer(head: "grpc-status: 12\r\n"), .failed(.refused, "grpc-status 12")),
      (Answer(message: [], trailers: "grpc-status: 5\r\n"), .failed(.refused, "grpc-status 5")),
      (Answer(status: "503 X"), .failed(.status, "503")),
      (
        Answer(message: [1, 2, 3], trailers: Self.ok),
        .failed(.malformed, "not an answer about health")
      ),
      (
        Answer(message: Self.serving, trailers: "x: y\r\n"),
        .failed(.malformed, "an answer without a status")
      ),
    ]
    for (answer, expected) in answers { #expect(verdict(try answer.bytes()) == expected) }
  }

  @Test("who speaks another protocol fails")
  func other() {
    let verdict = verdict(Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8))
    guard case .failed(let failure) = verdict else {
      Issue.record("\(String(describing: verdict))")
      return
    }
    #expect(failure.reason == .malformed)
  }

  @Test("an answer without an end is bounded")
  func endless() throws {
    let answer = Answer(message: [UInt8](repeating: 0, count: 5000), trailers: Self.ok)
    guard case .failed(let failure) = verdict(try answer.bytes()) else { throw Unexpected() }
    #expect(failure.reason == .tooLong)
  }

  private struct Unexpected: Error {}
}
