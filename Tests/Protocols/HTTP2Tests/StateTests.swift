import HTTP2
import Testing

/// What RFC 9113, section 5.1, says of each kind of frame in each state of a stream.
@Suite("States of streams times kinds of frames, RFC 9113 section 5.1")
struct StateTests {
  enum State: String, CaseIterable, Sendable {
    case idle
    case open
    case halfClosedRemote = "half-closed (remote)"
    case halfClosedLocal = "half-closed (local)"
    case closedByEnd = "closed by its end"
    case closedByPeer = "closed by a reset of the peer"
    case closedByUs = "closed by a reset of ours"
  }

  enum Outcome: Equatable, Sendable {
    /// It is taken, or ignored: nothing ends.
    case fine
    /// The stream ends with this code.
    case stream(ErrorCode)
    /// The connection ends with this code.
    case connection(ErrorCode)
  }

  struct Row: Sendable, CustomTestStringConvertible {
    var kind: UInt8
    var name: String
    var outcomes: [Outcome]
    var testDescription: String { name }
  }

  private static let lost = Outcome.connection(.protocolError)
  private static let gone = Outcome.connection(.streamClosed)

  // The columns are those of `State.allCases`. Where the RFC asks for an error of the stream the whole
  // connection may be ended instead (section 5.4.1), which is done for what no honest peer sends.
  static let table: [Row] = [
    Row(
      kind: FrameKind.data,
      name: "DATA",
      outcomes: [lost, .fine, gone, .fine, gone, gone, .fine]
    ),
    Row(
      kind: FrameKind.headers,
      name: "HEADERS",
      outcomes: [.fine, .fine, gone, .fine, gone, gone, .fine]
    ),
    Row(
      kind: FrameKind.priority,
      name: "PRIORITY",
      outcomes: Array(repeating: .fine, count: 7)
    ),
    Row(
      kind: FrameKind.resetStream,
      name: "RST_STREAM",
      outcomes: [lost, .fine, .fine, .fine, .fine, .fine, .fine]
    ),
    Row(kind: FrameKind.settings, name: "SETTINGS", outcomes: Array(repeating: lost, count: 7)),
    Row(
      kind: FrameKind.pushPromise,
      name: "PUSH_PROMISE",
      outcomes: Array(repeating: lost, count: 7)
    ),
    Row(kind: FrameKind.ping, name: "PING", outcomes: Array(repeating: lost, count: 7)),
    Row(kind: FrameKind.goAway, name: "GOAWAY", outcomes: Array(repeating: lost, count: 7)),
    Row(
      kind: FrameKind.windowUpdate,
      name: "WINDOW_UPDATE",
      outcomes: [lost, .fine, .fine, .fine, .fine, .fine, .fine]
    ),
    Row(
      kind: FrameKind.continuation,
      name: "CONTINUATION",
      outcomes: Array(repeating: lost, count: 7)
    ),
    Row(kind: 0x42, name: "unknown", outcomes: Array(repeating: .fine, count: 7)),
  ]

  @Test("as the table says", arguments: table, State.allCases)
  func frame(row: Row, state: State) throws {
    let subject = Self.subject(in: state)
    subject.receive(Self.frame(row.kind, in: state))
    let index = try #require(State.allCases.firstIndex(of: state))
    #expect(Self.outcome(of: subject) == row.outcomes[index], "\(subject.story)")
  }

  private static func frame(_ kind: UInt8, in state: State) -> [UInt8] {
    switch kind {
    case FrameKind.data: Frames.data(1, "x", isLast: true)
    case FrameKind.headers:
      // A head opens a stream; a second one has trailers.
      Frames.headers(1, state == .idle ? Frames.get : [("x", "y")])
    case FrameKind.priority: Frames.frame(kind, 0, 1, [0, 0, 0, 0, 1])
    case FrameKind.resetStream: Frames.reset(1)
    case FrameKind.windowUpdate: Frames.windowUpdate(1, 1)
    case FrameKind.ping: Frames.frame(kind, 0, 1, Array(repeating: 0, count: 8))
    case FrameKind.goAway: Frames.frame(kind, 0, 1, Array(repeating: 0, count: 8))
    default: Frames.frame(kind, kind == FrameKind.continuation ? 4 : 0, 1, [])
    }
  }

  private static func subject(in state: State) -> Subject {
    let subject = Subject.greeted()
    let answer = Array("HTTP/1.1 200 OK\r\n\r\n".utf8)
    switch state {
    case .idle: break
    case .open: subject.receive(Frames.headers(1, Frames.post, isLast: false))
    case .halfClosedRemote: subject.receive(Frames.headers(1))
    case .halfClosedLocal:
      subject.receive(Frames.headers(1, Frames.post, isLast: false))
      subject.with { $0.sendHead(answer.span, on: 0, isLast: true) }
    case .closedByEnd:
      subject.receive(Frames.headers(1))
      subject.with {
        $0.sendHead(answer.span, on: 0, isLast: true)
        $0.release(0)
      }
    case .closedByPeer:
      subject.receive(Frames.headers(1) + Frames.reset(1))
      subject.with { $0.release(0) }
    case .closedByUs:
      subject.receive(Frames.headers(1, Frames.post, isLast: false))
      subject.with {
        $0.reset(0, .cancel)
        $0.release(0)
      }
    }
    subject.forget()
    return subject
  }

  private static func outcome(of subject: Subject) -> Outcome {
    if let fault = subject.fault { return .connection(fault.code) }
    if let reset = subject.frames.first(where: { $0.kind == FrameKind.resetStream }) {
      return .stream(reset.code)
    }
    return .fine
  }

  @Test(
    "frames of a wrong length or place end the connection",
    arguments: [
      (Frames.frame(FrameKind.settings, 0, 0, [1]), ErrorCode.frameSizeError),
      (Frames.frame(FrameKind.settings, 1, 0, [0, 0, 0, 0, 0, 0]), .frameSizeError),
      (Frames.frame(FrameKind.ping, 0, 0, [1]), .frameSizeError),
      (Frames.frame(FrameKind.goAway, 0, 0, [1]), .frameSizeError),
      (Frames.frame(FrameKind.windowUpdate, 0, 0, [1]), .frameSizeError),
      (Frames.windowUpdate(0, 0), .protocolError),
      (Frames.windowUpdate(0, 0x7FFF_FFFF), .flowControlError),
      (Frames.frame(FrameKind.priority, 0, 1, [1]), .frameSizeError),
      (Frames.headers(1) + Frames.frame(FrameKind.resetStream, 0, 1, [1]), .frameSizeError),
      (Frames.frame(FrameKind.headers, 5, 0, []), .protocolError),
      (Frames.frame(FrameKind.headers, 5, 2, []), .protocolError),
      (Frames.frame(FrameKind.headers, 0xD, 1, [9, 0]), .protocolError),
      (Frames.frame(FrameKind.headers, 0x25, 1, [9, 0]), .frameSizeError),
      (Frames.headers(5) + Frames.headers(3), .protocolError),
      (Frames.data(0, "x"), .protocolError),
      (
        Frames.headers(1, Frames.post, isLast: false) + Frames.frame(0, 8, 1, [4, 0, 0, 0]),
        .protocolError
      ),
      (Frames.headers(1, isWhole: false) + Frames.ping(), .protocolError),
      (
        Frames.headers(1, isWhole: false) + Frames.frame(FrameKind.continuation, 4, 3, []),
        .protocolError
      ),
      (Frames.settings([(2, 2)]), .protocolError),
      (Frames.settings([(4, 0x8000_0000)]), .flowControlError),
      (Frames.settings([(5, 1)]), .protocolError),
      (Frames.settings([(5, 0x0100_0000)]), .protocolError),
      (Frames.settings([(8, 2)]), .protocolError),
      ([0, 64, 1, 0, 0, 0, 0, 0, 1], .frameSizeError),
    ]
  )
  func wrong(bytes: [UInt8], code: ErrorCode) {
    let subject = Subject.greeted()
    subject.receive(bytes)
    #expect(subject.fault?.code == code, "\(subject.story)")
    #expect(subject.frames.last?.goAwayCode == code)
  }

  @Test("the preface comes first, and settings behind it")
  func preface() {
    let subject = Subject()
    subject.receive(Array("GET / HTTP/1.1\r\n\r\n".utf8))
    #expect(subject.fault?.reason == "no_preface")
    let other = Subject()
    other.receive(ConnectionMachine.preface + Frames.ping())
    #expect(other.fault?.reason == "settings_not_first")
  }

  @Test("any bytes end in events or a fault, however they are split", arguments: 0..<400)
  func anyBytes(seed: UInt64) {
    var dice = Dice(seed + 1)
    var bytes: [UInt8] = Frames.hello
    for _ in 0..<Int.random(in: 1...40, using: &dice) {
      let stream = UInt32.random(in: 0...9, using: &dice)
      switch Int.random(in: 0..<9, using: &dice) {
      case 0: bytes += Frames.headers(stream, isLast: Bool.random(using: &dice))
      case 1: bytes += Frames.headers(stream, Frames.post, isLast: false)
      case 2: bytes += Frames.data(stream, "content", isLast: Bool.random(using: &dice))
      case 3: bytes += Frames.reset(stream)
      case 4: bytes += Frames.windowUpdate(stream, UInt32.random(in: 0...3, using: &dice))
      case 5: bytes += Frames.settings([(UInt16(stream), UInt32.random(in: 0...1, using: &dice))])
      case 6: bytes += Frames.headers(stream, isWhole: false)
      case 7: bytes += Frames.frame(FrameKind.continuation, 4, stream, [])
      default:
        let payload = (0..<Int.random(in: 0...20, using: &dice)).map { _ in
          UInt8.random(in: 0...255, using: &dice)
        }
        bytes += Frames.frame(
          UInt8.random(in: 0...17, using: &dice),
          UInt8.random(in: 0...255, using: &dice),
          stream,
          payload
        )
      }
    }
    let whole = Subject()
    whole.receive(bytes)
    let pieces = Subject()
    var offset = 0
    while offset < bytes.count, pieces.fault == nil {
      let end = min(bytes.count, offset + Int.random(in: 1...30, using: &dice))
      pieces.receive(Array(bytes[offset..<end]))
      offset = end
    }
    #expect(pieces.story == whole.story)
    #expect(pieces.bodies == whole.bodies)
    #expect(pieces.fault == whole.fault)
  }
}
