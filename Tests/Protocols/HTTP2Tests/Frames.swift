import HTTP2

/// The bytes of frames, as a peer writes them.
enum Frames {
  static func frame(_ kind: UInt8, _ flags: UInt8, _ stream: UInt32, _ payload: [UInt8]) -> [UInt8]
  {
    let length = payload.count
    return [UInt8(length >> 16 & 255), UInt8(length >> 8 & 255), UInt8(length & 255), kind, flags]
      + number(stream) + payload
  }

  static func number(_ number: UInt32) -> [UInt8] {
    [UInt8(number >> 24), UInt8(number >> 16 & 255), UInt8(number >> 8 & 255), UInt8(number & 255)]
  }

  static func settings(_ values: [(UInt16, UInt32)] = []) -> [UInt8] {
    frame(
      FrameKind.settings,
      0,
      0,
      values.flatMap { [UInt8($0.0 >> 8), UInt8($0.0 & 255)] + number($0.1) }
    )
  }

  static func data(_ stream: UInt32, _ text: String, isLast: Bool = false) -> [UInt8] {
    frame(FrameKind.data, isLast ? 1 : 0, stream, Array(text.utf8))
  }

  static func reset(_ stream: UInt32, _ code: ErrorCode = .cancel) -> [UInt8] {
    frame(FrameKind.resetStream, 0, stream, number(code.rawValue))
  }

  static func windowUpdate(_ stream: UInt32, _ increment: UInt32) -> [UInt8] {
    frame(FrameKind.windowUpdate, 0, stream, number(increment))
  }

  static func ping(_ text: String = "12345678", flags: UInt8 = 0) -> [UInt8] {
    frame(FrameKind.ping, flags, 0, Array(text.utf8))
  }

  /// Fields, each as a literal that nobody keeps.
  static func block(_ fields: [(String, String)]) -> [UInt8] {
    fields.flatMap { name, value in
      [0] + string(Array(name.utf8)) + string(Array(value.utf8))
    }
  }

  static func string(_ bytes: [UInt8]) -> [UInt8] {
    if bytes.count < 127 { return [UInt8(bytes.count)] + bytes }
    var rest = bytes.count - 127
    var result: [UInt8] = [127]
    while rest >= 128 {
      result.append(UInt8(rest & 127) | 128)
      rest >>= 7
    }
    return result + [UInt8(rest)] + bytes
  }

  static let get: [(String, String)] = [
    (":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "example.com"),
  ]
  static let post: [(String, String)] = [
    (":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "example.com"),
  ]

  static func headers(
    _ stream: UInt32,
    _ fields: [(String, String)] = get,
    isLast: Bool = true,
    isWhole: Bool = true
  ) -> [UInt8] {
    frame(FrameKind.headers, (isLast ? 1 : 0) | (isWhole ? 4 : 0), stream, block(fields))
  }

  static let hello = ConnectionMachine.preface + settings()

  /// The bytes that are written in hexadecimal, with spaces anywhere.
  static func bytes(hex: String) -> [UInt8] {
    let digits = hex.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count - 1, by: 2).map {
      UInt8(digits[$0] << 4 | digits[$0 + 1])
    }
  }
}

/// A machine with everything that came out of it.
final class Subject {
  private(set) var machine: ConnectionMachine
  /// What has come, in words, with the bytes of content joined.
  private(set) var story: [String] = []
  private(set) var heads: [Int: String] = [:]
  private(set) var bodies: [Int: String] = [:]
  private(set) var fault: ConnectionFault?
  private(set) var frames: [Frame] = []
  /// The streams, by their number on the wire.
  var places: [UInt32: Int] = [:]
  var now: Int64 = 1
  /// Whether content is used as soon as it comes.
  var consumes = true
  private var raw: [UInt8] = []
  private var rest: [UInt8] = []
  private var unread: [UInt8] = []

  struct Frame: Equatable, CustomStringConvertible {
    var kind: UInt8
    var flags: UInt8
    var stream: UInt32
    var payload: [UInt8]
    var description: String { "\(kind)/\(flags)/\(stream)/\(payload)" }
    /// The error of RST_STREAM.
    var code: ErrorCode { ErrorCode(rawValue: number(at: 0)) }
    /// The error of GOAWAY.
    var goAwayCode: ErrorCode { ErrorCode(rawValue: number(at: 4)) }
    func number(at offset: Int) -> UInt32 {
      payload[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }
  }

  init(_ role: ConnectionMachine.Role = .server, limits: ConnectionLimits = ConnectionLimits()) {
    machine = ConnectionMachine(role, limits: limits)
    collect()
  }

  /// A server to which a client has said hello.
  static func greeted(limits: ConnectionLimits = ConnectionLimits()) -> Subject {
    let subject = Subject(limits: limits)
    subject.receive(Frames.hello)
    subject.forget()
    return subject
  }

  /// Forgets what was said so far.
  func forget() {
    frames = []
    story = []
  }

  func receive(_ bytes: [UInt8]) {
    rest += bytes
    var offset = 0
    do {
      while let event = try machine.next(in: rest.span, at: &offset, now: now) { note(event) }
    } catch {
      fault = error
      story.append("fault \(error.reason)")
    }
    rest.removeFirst(offset)
    collect()
  }

  /// Takes the bytes that were written since the last call.
  func written() -> [UInt8] {
    defer { raw = [] }
    return raw
  }

  @discardableResult
  func with<Result>(_ body: (inout ConnectionMachine) -> Result) -> Result {
    let result = body(&machine)
    collect()
    return result
  }

  private func note(_ event: ConnectionMachine.Event) {
    switch event {
    case .head(let stream, let isLast):
      let id = machine.number(of: stream)
      places[id] = stream
      heads[Int(id)] = String(decoding: machine.fields.head, as: UTF8.self)
      story.append("head \(id)\(isLast ? " last" : "")")
    case .headTooLarge(let stream, _): story.append("too large \(machine.number(of: stream))")
    case .trailers(let stream):
      let text = String(decoding: machine.fields.head, as: UTF8.self)
      story.append("trailers \(machine.number(of: stream)) \(text.debugDescription)")
    case .data(let stream, let range, let isLast):
      let id = machine.number(of: stream)
      bodies[Int(id), default: ""] += String(decoding: rest[range], as: UTF8.self)
      if consumes { machine.consumed(range.count, of: stream) }
      if isLast { story.append("end \(id)") }
    case .reset(let stream, let code, let fault):
      story.append("reset \(machine.number(of: stream)) \(code.rawValue) \(fault ?? "by peer")")
    case .malformed(let reason): story.append("malformed \(reason)")
    case .window(let stream):
      story.append("window \(stream.map { "\(machine.number(of: $0))" } ?? "")")
    case .settings: story.append("settings")
    case .goAway(let last, let code): story.append("go away \(last) \(code.rawValue)")
    }
  }

  /// Takes apart what the machine has written.
  private func collect() {
    var output: [UInt8] = []
    machine.takeOutput(into: &output)
    unread += output
    raw += output
    if unread.starts(with: ConnectionMachine.preface) { unread.removeFirst(24) }
    while unread.count >= 9 {
      let header = FrameHeader(unread.span, at: 0)
      guard unread.count >= 9 + header.length else { return }
      frames.append(
        Frame(
          kind: header.kind,
          flags: header.flags,
          stream: header.stream,
          payload: Array(unread[9..<9 + header.length])
        )
      )
      unread.removeFirst(9 + header.length)
    }
  }
}

/// Numbers that are the same in every run.
struct Dice: RandomNumberGenerator {
  private var state: UInt64
  init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }
  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state
  }
}
