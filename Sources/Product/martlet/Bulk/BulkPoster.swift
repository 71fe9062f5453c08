import Certificates
import HTTP1
import HTTPMessage
import MartletBytes
import MartletLoop
import MartletNet
import Supervision

/// Posts batches, over connections that are kept.
///
/// Several requests are under way on one connection only once it has answered one and stays open, and whatever was
/// not answered when it ends is sent again alone: its key tells a server that has had it.
///
/// - Source: RFC 9112, section 9.3.2.
final class BulkPoster: BulkCarrier {
  private struct BrokenOff: Error, CustomStringConvertible {
    var description: String { "the answer breaks off" }
  }

  /// A connection, and the reader of its answers.
  private final class Line {
    let stream: MartletNet.Stream
    var answer = ResponseReader(answering: "POST")

    init(_ stream: MartletNet.Stream) { self.stream = stream }

    /// Whether another request may follow: what came behind the answers would be taken for the next one.
    var isKept: Bool { answer.isWhole && answer.head.keepsAlive && !answer.hasMore }
  }

  private let loop: EventLoop
  private let url: WebPlace
  /// How long a connection may take to open, and each answer to come.
  private let patience: Timeout
  private let connector: WebConnector
  /// What all requests begin with, and what stands before the number of the batch.
  private let head: [UInt8]
  /// Connections on which nothing is under way; the last one was used last.
  private var idle: [Line] = []

  init(
    on loop: EventLoop,
    to url: WebPlace,
    fields: [String],
    key: String,
    within patience: Duration
  ) throws(CommandFailure) {
    self.loop = loop
    self.url = url
    self.patience = Timeout(patience)
    connector = try WebConnector(on: loop, place: nil)
    let lines =
      [
        "POST \(url.target) HTTP/1.1", "Host: \(url.authority)", "Content-Type: application/json",
      ] + fields + ["Idempotency-Key: \"\(key)-"]
    head = Array(lines.joined(separator: "\r\n").utf8)
  }

  func carry(_ batches: ArraySlice<BulkBatch>, _ tell: ([BulkOutcome]) -> Void) async {
    var rest = batches
    var isAlone = false
    while !rest.isEmpty {
      let kept = keptLine()
      let line: Line
      do {
        if let kept { line = kept } else { line = try await opened() }
      } catch {
        return tell([.failed(Self.words(for: error), isReached: false)])
      }
      let part = isAlone || kept == nil ? rest.prefix(1) : rest
      let before = rest.count
      do {
        try await exchange(part, over: line) { outcomes in
          rest = rest.dropFirst(outcomes.count)
          tell(outcomes)
        }
      } catch {
        // A server may close a connection that it keeps at any time, also within a pipeline: that is no failure of
        // the batch that it did not come to.
        let isHarmless = kept != nil && line.answer.isUntouched && !Self.isLate(error)
        guard isHarmless || rest.count < before else {
          return tell(
            [.failed(Self.words(for: error), isReached: !line.answer.isUntouched)]
          )
        }
        isAlone = true
        continue
      }
      if line.isKept { idle.append(line) }
    }
  }

  /// The connection that was used last, of those on which nothing came since: neither an end nor what was not
  /// asked for.
  private func keptLine() -> Line? {
    while let line = idle.popLast() {
      if !line.stream.hasEvent || !line.stream.hasEventNow() { return line }
    }
    return nil
  }

  private func opened() async throws -> Line {
    Line(try await connector.connect(to: url, by: loop.deadline(after: patience)))
  }

  private static func isLate(_ error: any Error) -> Bool {
    if case StreamError.timedOut = error { true } else { false }
  }

  private static func words(for error: any Error) -> String {
    switch error {
    case StreamError.failed(let failure): "\(failure)"
    case StreamError.cancelled, StreamError.timedOut, is WaitError: "no answer came in time"
    case let failure as CommandFailure: failure.message
    default: "\(error)"
    }
  }

  private func requests(for batches: ArraySlice<BulkBatch>) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(batches.reduce(0) { $0 + head.count + 64 + $1.body.count })
    for batch in batches {
      bytes += head
      bytes += "\(batch.number)\"\r\nContent-Length: \(batch.body.count)\r\n\r\n".utf8
      bytes += batch.body
    }
    return bytes
  }

  /// Sends requests together and reads their answers, until all have come or the server says that it closes.
  private func exchange(
    _ batches: ArraySlice<BulkBatch>,
    over line: Line,
    _ tell: ([BulkOutcome]) -> Void
  ) async throws {
    if line.answer.isWhole { try line.answer.beginNext() }
    let requests = requests(for: batches)
    let deadline = loop.deadline(after: patience)
    let sent = try line.stream.writeNow(requests, from: 0)
    guard sent < requests.count else { return try await read(batches.count, over: line, tell) }
    // What does not fit is sent while answers are read: a server may take no more before some of them were.
    let rest = Array(requests[sent...])
    let writing = loop.start(named: "send batches") { () async throws in
      try await line.stream.write(rest, by: deadline)
    }
    var failure: (any Error)?
    do { try await read(batches.count, over: line, tell) } catch { failure = error }
    if failure != nil || !line.isKept { writing.cancel() }
    do { try await writing.result() } catch { failure = failure ?? error }
    if let failure { throw failure }
  }

  private func read(
    _ count: Int,
    over line: Line,
    _ tell: ([BulkOutcome]) -> Void
  ) async throws {
    var missing = count
    while missing > 0 {
      let part = try await line.stream.read(.head, by: loop.deadline(after: patience))
      if part.isEmpty {
        guard line.answer.end() else { throw BrokenOff() }
        return tell([Self.outcome(of: line.answer)])
      }
      var outcomes: [BulkOutcome] = []
      // What was acknowledged is told before anything else, a fault behind it too.
      defer { if !outcomes.isEmpty { tell(outcomes) } }
      try line.answer.take([UInt8](copying: part.bytes))
      while line.answer.isWhole {
        outcomes.append(Self.outcome(of: line.answer))
        missing -= 1
        if !line.answer.head.keepsAlive { return }
        if missing == 0 { break }
        try line.answer.beginNext()
      }
    }
  }

  private static func outcome(of answer: ResponseReader) -> BulkOutcome {
    switch answer.head.status {
    case 200..<300: .acknowledged
    case 408, 425, 429, 500...: .failed("the answer is \(answer.head.status)", isReached: true)
    default: .refused("the answer is \(answer.head.status)")
    }
  }
}
