import HTTP1
public import HTTPMessage
import MartletBytes

/// What is asked of a server over HTTP, and which answers mean that it serves.
public struct HTTPQuestion: Hashable, Sendable {
  /// The request, whole.
  public var request: [UInt8]
  /// Its method, which decides whether the answer has a body.
  public var method: Method
  /// The statuses that pass.
  public var statuses: [ClosedRange<UInt16>]
  /// What the body must have in it, or nil.
  public var body: BytePattern?
  /// Whether the connection is to carry further requests, so that the answer is read to its end.
  public var keepsConnection: Bool

  /// Writes a question; name, host, path and fields were checked where they come from.
  public init(
    method: String,
    path: String,
    host: String,
    fields: [(name: String, value: String)] = [],
    statuses: [ClosedRange<UInt16>],
    body: BytePattern? = nil,
    keepsConnection: Bool = false
  ) {
    var lines = ["\(method) \(path) HTTP/1.1", "Host: \(host)"]
    let names = fields.map { $0.name.lowercased() }
    if !names.contains("user-agent") { lines.append("User-Agent: martlet-check") }
    lines += fields.map { "\($0.name): \($0.value)" }
    if ["POST", "PUT", "PATCH"].contains(method) { lines.append("Content-Length: 0") }
    if !keepsConnection { lines.append("Connection: close") }
    request = Array((lines + ["", ""]).joined(separator: "\r\n").utf8)
    let name = Array(method.utf8)
    self.method = Method(name.span)
    self.statuses = statuses
    self.body = body
    self.keepsConnection = keepsConnection
  }
}

/// Reads the answer to a question over HTTP.
///
/// - Source: RFC 9112.
public struct HTTPProbe: Sendable {
  /// The most bytes of a body that are read.
  public static let bodyBytes = 256 << 10

  private static let limits = HeadLimits()

  /// Where in the answer the next byte stands.
  private enum State: Sendable {
    case head
    case fixed(remaining: UInt64)
    case chunked(ChunkedDecoder)
    case untilClose
  }

  /// The question, which many probes have in common.
  private final class Asked: Sendable {
    let question: HTTPQuestion
    init(_ question: HTTPQuestion) { self.question = question }
  }

  private let asked: Asked
  private var question: HTTPQuestion { asked.question }
  private var state = State.head
  private var parser = ResponseParser(limits: Self.limits)
  private var head = ResponseHead()
  /// What has come of a part that is not whole yet.
  private var held: [UInt8] = []
  private var search: PatternSearch?
  private var bodyCount = 0
  private var isWhole = false

  /// Creates a probe that stands before the first byte of the answer.
  public init(_ question: HTTPQuestion) {
    asked = Asked(question)
    search = question.body.map(PatternSearch.init)
  }

  /// Whether the answer was read to its end, and the connection can carry another question.
  public var keepsConnection: Bool { question.keepsConnection && isWhole && head.keepsAlive }

  /// Takes bytes that came.
  ///
  /// - Returns: The verdict, or nil when more bytes are needed.
  public mutating func receive(_ bytes: Span<UInt8>) -> ProbeVerdict? {
    guard !held.isEmpty else { return read(bytes) }
    var all = held
    held = []
    all.append(copying: bytes)
    return read(all.span)
  }

  /// Reads bytes, and keeps those of a part that is not whole.
  private mutating func read(_ bytes: Span<UInt8>) -> ProbeVerdict? {
    var offset = 0
    while case .head = state {
      let rest = bytes.extracting(offset...)
      switch readHead(rest) {
      case .needBytes:
        held.append(copying: rest)
        return nil
      case .verdict(let verdict): return verdict
      case .goOn: offset += head.byteCount
      }
    }
    return readBody(bytes.extracting(offset...))
  }

  private enum HeadStep {
    case needBytes
    /// An interim head was read, or the body begins.
    case goOn
    case verdict(ProbeVerdict)
  }

  private mutating func readHead(_ bytes: Span<UInt8>) -> HeadStep {
    do throws(MessageError) {
      guard try parser.parse(bytes, answering: question.method, into: &head) else {
        return .needBytes
      }
    } catch {
      return .verdict(.failed(.malformed, error.reason.rawValue))
    }
    if head.isInformational { return .goOn }
    guard question.statuses.contains(where: { $0.contains(head.status) }) else {
      return .verdict(.failed(.status, "\(head.status)"))
    }
    switch head.bodyLength {
    case .none: state = .fixed(remaining: 0)
    case .fixed(let length): state = .fixed(remaining: length)
    case .chunked: state = .chunked(ChunkedDecoder(limits: Self.limits))
    case .untilClose: state = .untilClose
    }
    // Nobody waits for a body that nobody looks at.
    if search == nil, !question.keepsConnection { return .verdict(passed) }
    return .goOn
  }

  private var passed: ProbeVerdict { .passed("status \(head.status)") }

  private mutating func readBody(_ bytes: Span<UInt8>) -> ProbeVerdict? {
    var isOver = false
    switch state {
    case .head: return nil
    case .fixed(let remaining):
      let count = Int(min(remaining, UInt64(bytes.count)))
      take(bytes.extracting(..<count))
      state = .fixed(remaining: remaining - UInt64(count))
      isOver = remaining == UInt64(count)
      isWhole = isOver && count == bytes.count
    case .chunked(var decoder):
      do throws(MessageError) {
        isOver = try readChunks(bytes, &decoder)
      } catch {
        return .failed(.malformed, error.reason.rawValue)
      }
      state = .chunked(decoder)
    case .untilClose: take(bytes)
    }
    if isFound, isOver || isEnough { return passed }
    if bodyCount >= Self.bodyBytes {
      return .failed(.tooLong, "\(Self.bodyBytes) bytes without the expected text")
    }
    return isOver ? .failed(.content, "the body does not have the expected text") : nil
  }

  private var isFound: Bool { search?.isFound ?? true }

  /// Whether no further byte of the body is looked at.
  private var isEnough: Bool {
    bodyCount >= Self.bodyBytes || isFound && !question.keepsConnection
  }

  /// Reads chunks, and keeps the beginning of a trailer.
  ///
  /// - Returns: Whether the body is over.
  private mutating func readChunks(
    _ bytes: Span<UInt8>,
    _ decoder: inout ChunkedDecoder
  ) throws(MessageError) -> Bool {
    var offset = 0
    while true {
      switch try decoder.next(in: bytes, at: &offset) {
      case .needBytes:
        held.append(copying: bytes.extracting(offset...))
        return false
      case .data(let range):
        take(bytes.extracting(range))
        // What stands behind it is not read, whether it has come already or not.
        if isEnough { return false }
      case .trailer: continue
      case .end:
        isWhole = offset == bytes.count
        return true
      }
    }
  }

  /// Looks for the expected text, within the limit.
  private mutating func take(_ bytes: Span<UInt8>) {
    let part = bytes.extracting(..<min(bytes.count, Self.bodyBytes - bodyCount))
    bodyCount += part.count
    search?.take(part)
  }

  /// What it means that the server closes now.
  public func end() -> ProbeVerdict {
    switch state {
    case .head: return .failed(.closed, "closed within the head of its answer")
    case .untilClose:
      return isFound ? passed : .failed(.content, "the body does not have the expected text")
    case .fixed, .chunked: return .failed(.closed, "closed within the body of its answer")
    }
  }
}
