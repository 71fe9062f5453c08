import MartletBytes

/// An application's answer, given out as HTTP/1.1 would have sent it.
///
/// What the member has sent is given to ``receive(_:)`` as it comes, and read by ``read(upTo:_:)``, best before more
/// is given. A length that the application has told is held it to. Where it has told none, and the whole answer came
/// at once, its length is written; else the content is put into chunks, or, where the connection's end is the
/// answer's, sent as it is.
///
/// An answer that names another place of this host is given out as a redirection like others, and
/// ``localTarget`` says that it is one.
///
/// One value serves one connection: ``begin(isHead:)`` goes before each request.
///
/// - Source: RFC 3875, section 6; FastCGI 1.0, sections 5.3 and 5.5; RFC 9112, section 7.1.
public struct GatewayAnswer: Sendable {
  private enum State: Sendable {
    case head
    case content
    case over
  }

  /// How the content is framed.
  private enum Framing: Sendable {
    /// By its length, or by the end of the connection.
    case plain
    case chunks
    /// There is none, whatever comes.
    case nothing
  }

  private let form: GatewayProtocol
  private let keepsConnection: Bool
  private let headByteLimit: Int
  private var decoder = FastCGIDecoder()
  private var state = State.over
  private var framing = Framing.nothing
  private var isHead = false
  /// What has come of the head, and where the search for its end goes on.
  private var head: [UInt8] = []
  private var searched = 0
  /// The head that is whole, until it is known how its content ends.
  private var whole: GatewayHead?
  /// How much content is to come, where the application has told it.
  private var contentLeft: UInt64?
  /// Content that has not been framed yet.
  private var content: [UInt8] = []
  /// What is to be read.
  private var text: [UInt8] = []
  private var textTaken = 0
  /// What the application says besides, until it is taken.
  private var said: [UInt8] = []
  /// Whether content has come.
  private var hasContent = false
  /// The place of this host that is to answer instead; known as soon as there is something to be read.
  ///
  /// - Source: RFC 3875, section 6.2.2.
  public private(set) var localTarget: [UInt8]?
  /// Whether something of the present answer has come.
  public private(set) var hasBegun = false
  /// Whether the application has said that the answer is over; at once where nothing was asked for.
  public private(set) var hasEnded = true

  /// The most bytes of what an application says besides its answer that are kept.
  public static let errorByteLimit = 16 << 10

  /// Creates the answers of a connection to a member that speaks `form`, and perhaps keeps it for another
  /// request.
  public init(
    _ form: GatewayProtocol,
    keepsConnection: Bool = true,
    headByteLimit: Int = 64 << 10
  ) {
    self.form = form
    // Without an end of their own answers end with the connection.
    self.keepsConnection = keepsConnection && form == .fastCGI
    self.headByteLimit = headByteLimit
  }

  /// Begins the next answer; `isHead`: to a request whose answer has no content.
  public mutating func begin(isHead: Bool) {
    self.isHead = isHead
    state = .head
    head.removeAll(keepingCapacity: true)
    searched = 0
    whole = nil
    contentLeft = nil
    content = []
    text = []
    textTaken = 0
    hasContent = false
    localTarget = nil
    hasBegun = false
    hasEnded = false
  }

  // MARK: From the member

  /// Takes what has come.
  ///
  /// - Throws: ``GatewayFault``; nothing that comes behind it is of use.
  public mutating func receive(_ bytes: Span<UInt8>) throws(GatewayFault) {
    do throws(GatewayFault) {
      try receiveAll(bytes)
    } catch {
      // A part of an answer that is none must not begin it.
      discard()
      throw error
    }
  }

  private mutating func receiveAll(_ bytes: Span<UInt8>) throws(GatewayFault) {
    guard form == .fastCGI else {
      try take(bytes)
      frame()
      return
    }
    var offset = 0
    while true {
      let event = try decoder.next(in: bytes, at: &offset)
      switch event {
      case .needsBytes:
        frame()
        return
      case .output(_, let request), .errorOutput(_, let request), .end(let request, _):
        guard request == GatewayRequest.requestNumber else { throw .recordRequest }
        try takePart(event, of: bytes)
      case .values, .unknownKind: break
      }
    }
  }

  /// Takes what the caller has found in `bytes` for this answer, where several come on one connection; ``settle()``
  /// is to be called when all of what has come was looked at.
  ///
  /// - Throws: ``GatewayFault``; nothing that comes behind it is of use.
  public mutating func receive(
    _ event: FastCGIDecoder.Event,
    of bytes: Span<UInt8>
  ) throws(GatewayFault) {
    do throws(GatewayFault) {
      try takePart(event, of: bytes)
    } catch {
      discard()
      throw error
    }
  }

  /// Has what was taken ready to be read.
  public mutating func settle() { frame() }

  private mutating func takePart(
    _ event: FastCGIDecoder.Event,
    of bytes: Span<UInt8>
  ) throws(GatewayFault) {
    guard !hasEnded else { throw .recordAfterEnd }
    switch event {
    case .output(let range, _): try take(bytes.extracting(range))
    case .errorOutput(let range, _):
      let room = Self.errorByteLimit - said.count
      said.append(copying: bytes.extracting(range.prefix(max(0, room))))
    case .end(_, let end): try take(end)
    case .needsBytes, .values, .unknownKind: break
    }
  }

  private mutating func take(_ end: FastCGIEnd) throws(GatewayFault) {
    switch end.outcome {
    case .complete: break
    case .overloaded, .cannotMultiplex: throw .refused
    case .unknownRole, .other: throw .roleUnknown
    }
    guard case .content = state else { throw .noField }
    guard contentLeft ?? 0 == 0 else { throw .contentTooShort }
    hasEnded = true
  }

  /// Takes the end of the connection: of the answer as well, where nothing else is its end.
  public mutating func receiveEnd() {
    guard form != .fastCGI else { return }
    hasEnded = true
    // Only now is it known that no content comes.
    if whole != nil { frame() }
  }

  /// Takes a part of head and content.
  private mutating func take(_ bytes: Span<UInt8>) throws(GatewayFault) {
    hasBegun = true
    switch state {
    case .head:
      let start = head.count
      // Most heads come whole, and need no copy.
      var line = searched
      if start == 0, let end = GatewayHead.end(in: bytes, from: &line) {
        return try take(bytes.extracting(0..<end), content: bytes.extracting(end..<bytes.count))
      }
      head.append(copying: bytes)
      guard let end = GatewayHead.end(in: head.span, from: &line) else {
        searched = line
        guard head.count <= headByteLimit else { throw .headTooLong }
        return
      }
      var all: [UInt8] = []
      swap(&all, &head)
      searched = 0
      try take(
        all.span.extracting(0..<end),
        content: bytes.extracting(end - start..<bytes.count)
      )
    case .content: try take(content: bytes)
    // Nothing was asked for.
    case .over: throw .recordAfterEnd
    }
  }

  private mutating func take(
    _ head: Span<UInt8>,
    content rest: Span<UInt8>
  ) throws(GatewayFault) {
    guard head.count <= headByteLimit else { throw .headTooLong }
    let found = try GatewayHead(head, allowsStatusLine: form != .fastCGI)
    // What is left out may be as long as it likes.
    contentLeft = isHead || found.hasNoContent ? nil : found.contentLength
    whole = found
    state = .content
    try take(content: rest)
  }

  private mutating func take(content bytes: Span<UInt8>) throws(GatewayFault) {
    guard !bytes.isEmpty else { return }
    if let left = contentLeft {
      guard UInt64(bytes.count) <= left else { throw .contentTooLong }
      contentLeft = left - UInt64(bytes.count)
    }
    hasContent = true
    content.append(copying: bytes)
  }

  // MARK: As HTTP/1.1

  /// Writes what is known by now.
  private mutating func frame() {
    guard case .content = state else { return }
    if let head = whole {
      if !hasContent, let target = head.localTarget {
        guard hasEnded else { return }
        localTarget = target
      }
      let hasNone = isHead || head.hasNoContent
      // Its content is left out; the connection is good for another request when that has come.
      if hasNone, form == .fastCGI, !hasEnded {
        content.removeAll(keepingCapacity: true)
        return
      }
      whole = nil
      write(head, hasNone: hasNone)
    }
    frameContent()
    if hasEnded { finish() }
  }

  private mutating func write(_ head: GatewayHead, hasNone: Bool) {
    if textTaken == text.count {
      text.removeAll(keepingCapacity: true)
      textTaken = 0
    }
    text.reserveCapacity(head.lines.count + content.count + 128)
    head.append(to: &text)
    var length = head.contentLength
    if hasNone {
      framing = .nothing
    } else if length == nil, form == .fastCGI, hasEnded {
      length = UInt64(content.count)
      framing = .plain
    } else {
      framing = length == nil && form == .fastCGI ? .chunks : .plain
    }
    if let length, !head.hasNoContent {
      text.append(copying: "Content-Length: ".utf8.span)
      text.append(contentsOf: String(length).utf8)
      text.append(copying: "\r\n".utf8.span)
    }
    if case .chunks = framing { text.append(copying: "Transfer-Encoding: chunked\r\n".utf8.span) }
    if !keepsConnection { text.append(copying: "Connection: close\r\n".utf8.span) }
    text.append(copying: "\r\n".utf8.span)
  }

  private mutating func frameContent() {
    guard !content.isEmpty else { return }
    defer { content.removeAll(keepingCapacity: content.count <= 64 << 10) }
    switch framing {
    case .nothing: break
    case .plain: putText()
    case .chunks:
      text.append(contentsOf: String(content.count, radix: 16).utf8)
      text.append(copying: "\r\n".utf8.span)
      text += content
      text.append(copying: "\r\n".utf8.span)
    }
  }

  private mutating func putText() {
    guard text.isEmpty else {
      text += content
      return
    }
    // All of it is read before more comes: nothing has to be copied.
    swap(&text, &content)
  }

  private mutating func finish() {
    if case .chunks = framing { text.append(copying: "0\r\n\r\n".utf8.span) }
    state = .over
  }

  // MARK: What is read

  /// Whether there is something to be read.
  public var hasOutput: Bool { textTaken < text.count }

  /// How much there is to be read.
  public var outputCount: Int { text.count - textTaken }

  /// Gives what there is, at most `limit` bytes.
  ///
  /// - Returns: How many bytes that were.
  public mutating func read(upTo limit: Int, _ take: (Span<UInt8>) -> Void) -> Int {
    let count = min(limit, text.count - textTaken)
    guard count > 0 else { return 0 }
    take(text.span.extracting(textTaken..<textTaken + count))
    textTaken += count
    if textTaken == text.count {
      text.removeAll(keepingCapacity: !hasEnded && text.count <= 64 << 10)
      textTaken = 0
    } else if textTaken > 1 << 20, textTaken > text.count / 2 {
      // Where more comes before all was read, what was is not kept for long.
      text.removeFirst(textTaken)
      textTaken = 0
    }
    return count
  }

  /// Throws away what there is to be read: nobody reads it any more.
  public mutating func discard() {
    text = []
    textTaken = 0
    content = []
  }

  /// Takes what the application has said besides, if there is anything.
  public mutating func takeSaid() -> [UInt8]? {
    guard !said.isEmpty else { return nil }
    defer { said = [] }
    return said
  }
}
