import HTTP1
import HTTP2
import HTTPMessage
import Testing

@Suite("One connection of HTTP/2, RFC 9113")
struct ConnectionMachineTests {
  @Test("a request arrives as the text of HTTP/1.1")
  func request() {
    let subject = Subject.greeted()
    subject.receive(
      Frames.headers(
        1,
        Frames.post + [("content-type", "text/plain"), ("cookie", "a=1"), ("cookie", "b=2")],
        isLast: false
      ) + Frames.data(1, "hello") + Frames.data(1, ", world", isLast: true)
    )
    #expect(
      subject.heads[1]
        == "POST / HTTP/1.1\r\nHost: example.com\r\ncontent-type: text/plain\r\n"
        + "cookie: a=1; b=2\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    #expect(subject.bodies[1] == "hello, world")
    #expect(subject.story == ["head 1", "end 1"])
  }

  @Test("every head that it lets through is one that the parser of HTTP/1.1 reads")
  func parses() throws {
    let subject = Subject.greeted()
    subject.receive(Frames.headers(1, Frames.post + [("content-length", "3")], isLast: false))
    var parser = RequestParser(limits: HeadLimits())
    var head = RequestHead()
    let text = Array((subject.heads[1] ?? "").utf8)
    #expect(try parser.parse(text.span, into: &head))
    #expect(head.bodyLength == .fixed(3))
    #expect(head.method == .post)
  }

  @Test("any split of the bytes gives the same story")
  func splits() {
    let bytes =
      Frames.hello
      + Frames.headers(1, Frames.post + [("te", "trailers")], isLast: false, isWhole: false)
      + Frames.frame(FrameKind.continuation, 4, 1, Frames.block([("x", "y")]))
      + Frames.frame(FrameKind.data, 8, 1, [3] + Array("body".utf8) + [0, 0, 0])
      + Frames.ping() + Frames.data(1, "more") + Frames.headers(1, [("x-sum", "7")])
      + Frames.headers(3) + Frames.windowUpdate(0, 5) + Frames.reset(3)
    let whole = Subject()
    whole.receive(bytes)
    #expect(whole.story.last == "reset 3 8 by peer")
    #expect(whole.bodies[1] == "bodymore")
    for cut in 1..<bytes.count {
      let split = Subject()
      split.receive(Array(bytes[..<cut]))
      split.receive(Array(bytes[cut...]))
      #expect(split.story == whole.story, "cut at \(cut)")
      #expect(split.bodies == whole.bodies, "cut at \(cut)")
    }
    let single = Subject()
    for byte in bytes { single.receive([byte]) }
    #expect(single.story == whole.story)
    #expect(single.frames.count == whole.frames.count)
  }

  @Test("an answer is compressed, and its end is told by the last frame that has not left")
  func answer() {
    let subject = Subject.greeted()
    subject.receive(Frames.headers(1))
    subject.with { machine in
      machine.sendHead(
        Array("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\n".utf8).span,
        on: 0,
        isLast: false
      )
      let taken = machine.send(Array("hello".utf8).span, on: 0, isLast: false)
      #expect(taken == 5)
      machine.finish(0)
      machine.release(0)
    }
    #expect(subject.frames.map(\.kind) == [FrameKind.headers, FrameKind.data])
    #expect(subject.frames.map(\.flags) == [4, 1])
    #expect(subject.frames[0].payload.first == 0x88)
    #expect(subject.with { $0.streamCount } == 0)
  }

  @Test("two machines understand each other, heads, contents and trailers")
  func both() {
    let client = Subject(.client)
    let server = Subject()
    func exchange() {
      for _ in 0..<4 {
        server.receive(client.written())
        client.receive(server.written())
      }
    }
    exchange()
    for round in 1...40 {
      let head =
        "POST /a?b=\(round) HTTP/1.1\r\nHost: x\r\nAccept: */*\r\nX-Round: \(round)\r\n\r\n"
      let stream = client.with { $0.open(Array(head.utf8).span, isSecure: false, isLast: false) }
      guard let stream else {
        Issue.record("no stream")
        return
      }
      let id = Int(client.machine.number(of: stream))
      client.with { _ = $0.send(Array("question".utf8).span, on: stream, isLast: true) }
      exchange()
      #expect(
        server.heads[id]
          == "POST /a?b=\(round) HTTP/1.1\r\nHost: x\r\naccept: */*\r\nx-round: \(round)\r\n"
          + "Transfer-Encoding: chunked\r\n\r\n"
      )
      #expect(server.bodies[id] == "question")
      let place = server.places[UInt32(id)] ?? -1
      let answer = "HTTP/1.1 200 OK\r\nServer: martlet\r\nContent-Length: 6\r\n\r\n"
      server.with {
        $0.sendHead(Array(answer.utf8).span, on: place, isLast: false)
        _ = $0.send(Array("answer".utf8).span, on: place, isLast: false)
        $0.sendTrailers(Array("X-Sum: 1\r\n".utf8).span, on: place)
        $0.release(place)
      }
      exchange()
      #expect(client.heads[id] == "HTTP/1.1 200 \r\nserver: martlet\r\ncontent-length: 6\r\n\r\n")
      #expect(client.bodies[id] == "answer")
      #expect(client.story.last == #"trailers \#(id) "x-sum: 1\r\n""#)
      client.with { $0.release(stream) }
    }
    #expect(client.fault == nil)
    #expect(server.fault == nil)
  }

  @Test("a head that needs several frames comes out whole")
  func longHead() {
    let client = Subject(.client)
    let server = Subject(limits: largeLimits)
    server.receive(client.written())
    client.receive(server.written())
    let fields = (0..<50).map { "X-Field-\($0): \(String(repeating: "~", count: 900))\r\n" }
    let head = "GET / HTTP/1.1\r\nHost: x\r\n" + fields.joined() + "\r\n"
    _ = client.with { $0.open(Array(head.utf8).span, isSecure: true, isLast: true) }
    server.receive(client.written())
    #expect(server.heads[1]?.count == head.count)
    #expect(server.fault == nil)
  }

  private var largeLimits: ConnectionLimits {
    var limits = ConnectionLimits()
    limits.fieldBytes = 100_000
    return limits
  }

  // MARK: Windows

  @Test("no more is sent than the windows allow, and the rest once they open")
  func windows() {
    let subject = Subject.greeted()
    subject.receive(Frames.settings([(4, 10)]) + Frames.headers(1))
    let body = Array("0123456789abcdef".utf8)
    subject.with { $0.sendHead(Array("HTTP/1.1 200 OK\r\n\r\n".utf8).span, on: 0, isLast: false) }
    #expect(subject.with { $0.send(body.span, on: 0, isLast: true) } == 10)
    #expect(subject.with { $0.isStalled(0) })
    subject.receive(Frames.windowUpdate(1, 4))
    #expect(subject.story.last == "window 1")
    #expect(subject.with { $0.send(Array(body[10...]).span, on: 0, isLast: true) } == 4)
    // A smaller window for all streams leaves this one below zero.
    subject.receive(Frames.settings([(4, 0)]) + Frames.windowUpdate(1, 5))
    #expect(subject.with { $0.isStalled(0) })
    subject.receive(Frames.windowUpdate(1, 100))
    #expect(subject.with { $0.send(Array(body[14...]).span, on: 0, isLast: true) } == 2)
    #expect(subject.frames.last?.flags == FrameFlag.endStream)
  }

  @Test("content that nobody uses closes its stream's window, and no other")
  func backPressure() {
    var limits = ConnectionLimits()
    limits.connectionWindowBytes = 1 << 20
    let subject = Subject.greeted(limits: limits)
    subject.consumes = false
    subject.receive(Frames.headers(1, Frames.post, isLast: false))
    subject.receive(Frames.headers(3, Frames.post, isLast: false))
    let piece = String(repeating: "x", count: 16_384)
    for _ in 0..<3 { subject.receive(Frames.data(1, piece)) }
    #expect(subject.frames.filter { $0.kind == FrameKind.windowUpdate }.isEmpty)
    subject.receive(Frames.data(3, piece))
    #expect(subject.fault == nil)
    subject.with { $0.consumed(16_384 * 3, of: 0) }
    #expect(subject.frames.last?.kind == FrameKind.windowUpdate)
    #expect(subject.frames.last?.stream == 1)
    subject.receive(Frames.data(3, piece) + Frames.data(3, piece) + Frames.data(3, piece))
    #expect(subject.fault?.code == .flowControlError)
  }

  @Test("a window grows while its content is used as fast as it comes")
  func growth() {
    let subject = Subject.greeted()
    subject.receive(Frames.headers(1, Frames.post, isLast: false))
    let piece = String(repeating: "x", count: 16_384)
    var granted = 65_535
    var sent = 0
    for _ in 0..<200 {
      subject.receive(Frames.data(1, piece))
      sent += piece.count
      granted += subject.frames.filter { $0.kind == 8 && $0.stream == 1 }
        .reduce(0) { $0 + Int($1.number(at: 0)) }
      subject.forget()
    }
    #expect(subject.fault == nil)
    #expect(granted - sent > 500_000)
    #expect(granted - sent <= 1 << 20)
  }

  // MARK: The end

  @Test("a graceful end refuses nothing that the client has sent before it knew")
  func gracefulEnd() {
    let subject = Subject.greeted()
    subject.receive(Frames.headers(1))
    subject.with { $0.shutDown() }
    #expect(subject.frames[0].kind == FrameKind.goAway)
    #expect(subject.frames[0].number(at: 0) == 0x7FFF_FFFF)
    subject.receive(Frames.headers(3))
    #expect(subject.story.last == "head 3 last")
    subject.receive(Frames.ping("shutdown", flags: 1))
    #expect(subject.frames.last?.kind == FrameKind.goAway)
    #expect(subject.frames.last?.number(at: 0) == 3)
    subject.receive(Frames.headers(5))
    #expect(subject.story.last == "head 3 last")
    #expect(!subject.with { $0.isOver })
    subject.with {
      $0.release(0)
      $0.release(1)
    }
    #expect(subject.with { $0.isOver })
  }

  @Test("an answer that is complete before its request ends it without harm")
  func earlyAnswer() {
    let subject = Subject.greeted()
    subject.receive(Frames.headers(1, Frames.post, isLast: false))
    subject.with {
      $0.sendHead(Array("HTTP/1.1 413 X\r\n\r\n".utf8).span, on: 0, isLast: true)
      $0.release(0)
    }
    #expect(subject.frames.last?.kind == FrameKind.resetStream)
    #expect(subject.frames.last?.code == .noError)
    // What was on its way is dropped, and the connection goes on.
    subject.receive(Frames.data(1, "late", isLast: true) + Frames.headers(3))
    #expect(subject.fault == nil)
    #expect(subject.story.last == "head 3 last")
  }

  @Test(
    "priorities are read",
    arguments: [
      ("u=0", 0, false), ("u=7, i", 7, true), ("i", 3, true), ("u=9", 3, false),
      ("i=?0,u=1", 1, false), ("", 3, false), ("u=5;x, i=?1", 5, true),
    ]
  )
  func priorities(text: String, urgency: UInt8, isIncremental: Bool) {
    let priority = Priority(Array(text.utf8).span)
    #expect(priority.urgency == urgency)
    #expect(priority.isIncremental == isIncremental)
    let subject = Subject.greeted()
    subject.receive(Frames.headers(1, Frames.get + [("priority", text)], isLast: false))
    #expect(subject.with { $0.priority(of: 0) } == priority)
    subject.receive(
      Frames.frame(FrameKind.priorityUpdate, 0, 0, Frames.number(1) + Array("u=6".utf8))
    )
    #expect(subject.with { $0.priority(of: 0) }.urgency == 6)
  }
}
