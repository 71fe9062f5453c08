import Foundation
import HTTP2
import TestPeers

/// A client of HTTP/2 that a test moves step by step.
final class HTTP2Client {
  private let wire: Wire
  private var machine: ConnectionMachine
  private var rest: [UInt8] = []
  private(set) var heads: [Int: String] = [:]
  /// The last interim head of each stream.
  private(set) var interim: [Int: String] = [:]
  private(set) var bodies: [Int: [UInt8]] = [:]
  private(set) var trailers: [Int: String] = [:]
  private(set) var ended: Set<Int> = []
  private(set) var resets: [Int: ErrorCode] = [:]
  private(set) var goAway: ErrorCode?
  /// Whether content is used as it comes, which opens windows.
  var consumes = true

  init(to endpoint: Endpoint) throws {
    wire = try Wire(to: endpoint)
    machine = ConnectionMachine(.client, limits: ConnectionLimits())
    try flush()
    try receive { machine.canOpen }
  }

  private func flush() throws {
    var output: [UInt8] = []
    machine.takeOutput(into: &output)
    if !output.isEmpty { try wire.send(output) }
  }

  /// Sends a head, written as HTTP/1.1 does; returns its stream.
  func open(_ head: String, isLast: Bool = true) throws -> Int {
    let text = Array(head.replacingOccurrences(of: "\n", with: "\r\n").utf8) + [13, 10, 13, 10]
    guard let stream = machine.open(text.span, isSecure: false, isLast: isLast) else {
      throw PeerError("the server takes no further stream")
    }
    try flush()
    return stream
  }

  func send(_ text: String, on stream: Int, isLast: Bool = false) throws {
    var bytes = Array(text.utf8)
    while true {
      let taken = machine.send(bytes.span, on: stream, isLast: isLast)
      try flush()
      bytes.removeFirst(taken)
      if bytes.isEmpty { return }
      // Where something was taken, what was lacking was room for what waits, and that has left: the other end need
      // not have anything to say.
      if taken == 0 { try receiveSome() }
    }
  }

  func sendTrailers(_ lines: String, on stream: Int) throws {
    let text = Array((lines + "\r\n").utf8)
    machine.sendTrailers(text.span, on: stream)
    try flush()
  }

  func reset(_ stream: Int) throws {
    machine.reset(stream, .cancel)
    try flush()
  }

  /// Sends bytes as they are.
  func send(raw bytes: [UInt8]) throws { try wire.send(bytes) }

  /// Receives until a stream has ended, in order or by a reset.
  func finish(_ stream: Int) throws {
    try receive { ended.contains(stream) || resets[stream] != nil }
  }

  /// Receives until `isDone`.
  func receive(until isDone: () -> Bool) throws {
    while !isDone() { try receiveSome() }
  }

  /// Receives until the connection ends.
  func receiveEnd() throws {
    do { while true { try receiveSome() } } catch is Wire.Failure {} catch is ConnectionEnd {}
  }

  struct ConnectionEnd: Error {}

  private func receiveSome() throws {
    let bytes = try wire.receive()
    if bytes.isEmpty { throw ConnectionEnd() }
    let all = rest + bytes
    var offset = 0
    while let event = try machine.next(in: all.span, at: &offset, now: 1) { take(event, all) }
    rest = Array(all[offset...])
    try flush()
  }

  private func take(_ event: ConnectionMachine.Event, _ bytes: [UInt8]) {
    switch event {
    case .head(let stream, let isLast):
      let head = String(decoding: machine.fields.head, as: UTF8.self)
      if head.hasPrefix("HTTP/1.1 1") { interim[stream] = head } else { heads[stream] = head }
      if isLast { ended.insert(stream) }
    case .data(let stream, let range, let isLast):
      bodies[stream, default: []] += bytes[range]
      if consumes { machine.consumed(range.count, of: stream) }
      if isLast { ended.insert(stream) }
    case .trailers(let stream):
      trailers[stream] = String(decoding: machine.fields.head, as: UTF8.self)
      ended.insert(stream)
    case .reset(let stream, let code, _): resets[stream] = code
    case .goAway(_, let code): goAway = code
    case .headTooLarge, .malformed, .window, .settings: break
    }
  }
}
