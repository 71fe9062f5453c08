import Certificates
import HTTP1
import HTTPMessage
import MartletBytes
import MartletLoop
import MartletNet
import Supervision

/// Posts batches, over connections that are kept.
final class BulkPoster: BulkCarrier {
  private struct BrokenOff: Error, CustomStringConvertible {
    var description: String { "the answer breaks off" }
  }

  private let loop: EventLoop
  private let url: WebPlace
  /// How long a connection may take to open.
  private let patience: Timeout
  private let connector: WebConnector
  /// What all requests begin with, and what stands before the number of the batch.
  private let head: [UInt8]
  /// Connections on which nothing is under way; the last one was used last.
  private var idle: [MartletNet.Stream] = []

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

  func carry(_ batch: BulkBatch) async -> BulkOutcome {
    let kept = idle.popLast()
    var answer = ResponseReader(answering: "POST")
    let stream: MartletNet.Stream
    do {
      if let kept {
        stream = kept
      } else {
        stream = try await connector.connect(to: url, by: loop.deadline(after: patience))
      }
      try await exchange(batch, over: stream, &answer)
    } catch {
      // A server may close a connection that it keeps at any time: that is no failure of this batch.
      if kept != nil, answer.isUntouched, !Task.isCancelled { return await carry(batch) }
      return .failed(Self.words(for: error), isReached: !answer.isUntouched)
    }
    if answer.head.keepsAlive { idle.append(stream) }
    switch answer.head.status {
    case 200..<300: return .acknowledged
    case 408, 425, 429, 500...:
      return .failed("the answer is \(answer.head.status)", isReached: true)
    default: return .refused("the answer is \(answer.head.status)")
    }
  }

  private static func words(for error: any Error) -> String {
    switch error {
    case StreamError.failed(let failure): "\(failure)"
    case StreamError.cancelled, StreamError.timedOut, WaitError.cancelled: "no answer came in time"
    case let failure as CommandFailure: failure.message
    default: "\(error)"
    }
  }

  private func exchange(
    _ batch: BulkBatch,
    over stream: MartletNet.Stream,
    _ answer: inout ResponseReader
  ) async throws {
    let rest = "\(batch.number)\"\r\nContent-Length: \(batch.body.count)\r\n\r\n"
    try await stream.write(head + rest.utf8 + batch.body, by: .never)
    while !answer.isWhole {
      let part = try await stream.read(.head, by: .never)
      if part.isEmpty {
        guard answer.end() else { throw BrokenOff() }
        return
      }
      try answer.take([UInt8](copying: part.bytes))
    }
  }
}
