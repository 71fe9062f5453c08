import Foundation
import HTTP2
import TestPeers

/// A server of HTTP/2 on one connection, which a test moves step by step.
final class HTTP2Server {
  private let wire: Wire
  private var machine: ConnectionMachine
  private var rest: [UInt8] = []
  /// The streams in the order in which their requests came.
  private(set) var streams: [Int] = []
  private(set) var heads: [Int: String] = [:]
  private(set) var bodies: [Int: [UInt8]] = [:]
  private(set) var trailers: [Int: String] = [:]
  private(set) var ended: Set<Int> = []
  private(set) var resets: [Int: ErrorCode] = [:]
  private(set) var isOver = false
  /// Whether the other end has said that it opens no further streams.
  private(set) var wasTold = false
  private var taken = 0

  init(_ wire: Wire, streams count: Int = 128, allowsExtendedConnect: Bool = false) throws {
    self.wire = wire
    var limits = ConnectionLimits()
    limits.streamCount = count
    limits.allowsExtendedConnect = allowsExtendedConnect
    machine = ConnectionMachine(.server, limits: limits)
    try flush()
  }

  private func flush() throws {
    var output: [UInt8] = []
    machine.takeOutput(into: &output)
    if !output.isEmpty { try wire.send(output) }
  }

  /// The stream of the next request, whose head has come; nil when the connection has ended.
  func next() throws -> Int? {
    try receive { taken < streams.count }
    guard taken < streams.count else { return nil }
    taken += 1
    return streams[taken - 1]
  }

  /// Receives until a stream's request has ended.
  func finish(_ stream: Int) throws {
    try receive { ended.contains(stream) || resets[stream] != nil }
  }

  /// Receives until `isDone`, or until the connection ends.
  func receive(until isDone: () -> Bool) throws {
    while !isDone(), !isOver { try receiveSome() }
  }

  private func receiveSome() throws {
    let bytes = try wire.receive()
    if bytes.isEmpty {
      isOver = true
      return
    }
    let all = rest + bytes
    var offset = 0
    while let event = try machine.next(in: all.span, at: &offset, now: 1) { take(event, all) }
    rest = Array(all[offset...])
    try flush()
  }

  private func take(_ event: ConnectionMachine.Event, _ bytes: [UInt8]) {
    switch event {
    case .head(let stream, let isLast):
      streams.append(stream)
      // A place is used again when its stream is over.
      bodies[stream] = nil
      trailers[stream] = nil
      ended.remove(stream)
      resets[stream] = nil
      heads[stream] = String(decoding: machine.fields.head, as: UTF8.self)
      if isLast { ended.insert(stream) }
    case .data(let stream, let range, let isLast):
      bodies[stream, default: []] += bytes[range]
      machine.consumed(range.count, of: stream)
      if isLast { ended.insert(stream) }
    case .trailers(let stream):
      trailers[stream] = String(decoding: machine.fields.head, as: UTF8.self)
      ended.insert(stream)
    case .reset(let stream, let code, _): resets[stream] = code
    case .goAway: wasTold = true
    case .headTooLarge, .malformed, .window, .settings: break
    }
  }

  /// Sends a head, as HTTP/1.1 writes it but for the ends of its lines.
  func send(head: String, on stream: Int, isLast: Bool = false) throws {
    let text = Array(head.replacingOccurrences(of: "\n", with: "\r\n").utf8) + [13, 10, 13, 10]
    machine.sendHead(text.span, on: stream, isLast: isLast)
    if isLast { machine.finish(stream) }
    try flush()
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

  /// Answers with a text, and lets go of the stream.
  func answer(_ stream: Int, _ body: String = "ok", status: String = "200 OK") throws {
    try send(head: "HTTP/1.1 \(status)\nContent-Length: \(body.utf8.count)", on: stream)
    try send(body, on: stream, isLast: true)
    machine.release(stream)
    try flush()
  }

  func reset(_ stream: Int, _ code: ErrorCode) throws {
    machine.reset(stream, code)
    machine.release(stream)
    try flush()
  }

  /// The number of a stream on the wire.
  func number(of stream: Int) -> UInt32 { machine.number(of: stream) }

  /// Says which stream was the last that was looked at.
  func goAway(behind last: UInt32) throws {
    let frame: [UInt8] = [0, 0, 8, FrameKind.goAway, 0, 0, 0, 0, 0]
    let number = (0..<4).map { UInt8(truncatingIfNeeded: last >> UInt32(24 - $0 * 8)) }
    try wire.send(frame + number + [0, 0, 0, 0])
  }

  /// Ends the connection, so that what was sent before is still read.
  func end() throws {
    wire.finishSending()
    try wire.receiveEnd()
  }
}
