import HTTP1
import HTTP2
import HTTPMessage
import Invariants

/// What came of the bytes, in the order in which it came.
private struct Story: Hashable {
  var events: [String] = []
  var bodies: [String: [UInt8]] = [:]
  var fault: ConnectionFault?
}

/// Reads the bytes as a server, cut at these places; each request is answered when it has ended.
private func read(_ bytes: [UInt8], cuts: [Int]) -> Story {
  var story = Story()
  var machine = ConnectionMachine(.server, limits: ConnectionLimits())
  var rest: [UInt8] = []
  var start = 0
  for end in cuts + [bytes.count] {
    rest += bytes[start..<end]
    start = end
    var offset = 0
    do throws(ConnectionFault) {
      while let event = try machine.next(in: rest.span, at: &offset, now: 1) {
        take(event, &machine, rest, &story)
      }
    } catch {
      story.fault = error
      return story
    }
    rest.removeFirst(offset)
    require(rest.count < 9 + FrameHeader.payloadBytes, "at most one frame is kept")
  }
  return story
}

private func take(
  _ event: ConnectionMachine.Event,
  _ machine: inout ConnectionMachine,
  _ bytes: [UInt8],
  _ story: inout Story
) {
  switch event {
  case .head(let stream, let isLast):
    let head = machine.fields.head
    story.events.append("head \(machine.number(of: stream)) \(head)")
    check(head, isLast: isLast)
    if isLast { answer(stream, &machine) }
  case .data(let stream, let range, let isLast):
    story.bodies["\(machine.number(of: stream))", default: []] += bytes[range]
    machine.consumed(range.count, of: stream)
    if isLast { answer(stream, &machine) }
  case .trailers(let stream):
    story.events.append("trailers \(machine.number(of: stream)) \(machine.fields.head)")
    answer(stream, &machine)
  case .headTooLarge(let stream, _), .reset(let stream, _, _):
    story.events.append("end \(machine.number(of: stream))")
    machine.release(stream)
  case .malformed(let reason): story.events.append(reason)
  case .window, .settings, .goAway: break
  }
}

private func answer(_ stream: Int, _ machine: inout ConnectionMachine) {
  machine.sendHead(
    Array("HTTP/1.1 200 OK\r\nServer: fuzz\r\n\r\n".utf8).span,
    on: stream,
    isLast: true
  )
  machine.release(stream)
}

/// A head of HTTP/2 is one of HTTP/1.1 that says no more than it did: the parser may refuse it, and
/// never reads two of them.
private func check(_ head: [UInt8], isLast: Bool) {
  let naive = NaiveHead(head, skippingEmptyLines: false)
  require(naive.byteCount == head.count, "the head ends with its only empty line")
  let framing =
    naive.values(of: "content-length").count + naive.values(of: "transfer-encoding").count
  require(framing <= 1, "one line at most frames the body")
  var parser = RequestParser(limits: HeadLimits())
  var request = RequestHead()
  do throws(MessageError) {
    guard try parser.parse(head.span, into: &request) else { return }
  } catch {
    return
  }
  require(request.byteCount == head.count, "the parser sees the same end")
  if isLast {
    require(request.bodyLength == .none || request.bodyLength == .fixed(0), "nothing follows")
  }
}

/// Called by libFuzzer with each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzHTTP2(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  // Every input begins as a connection does, so that the fuzzer need not find that out.
  let bytes =
    ConnectionMachine.preface + [0, 0, 0, 4, 0, 0, 0, 0, 0] + (unsafe input(start, count))
  let whole = read(bytes, cuts: [])
  for cuts in cuts(of: bytes) {
    require(read(bytes, cuts: cuts) == whole, "every split gives the same")
  }
  return 0
}
