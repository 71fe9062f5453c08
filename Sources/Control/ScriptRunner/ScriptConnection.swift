import GatewayProtocols
import MartletBytes
import MartletLoop
import MartletNet

/// A connection of FastCGI that asks for scripts.
final class ScriptConnection {
  let stream: Stream
  private let loop: EventLoop
  private(set) var request = FastCGIRequest()
  /// What has come, and how much of it was used.
  private var bytes: [UInt8] = []
  private var used = 0
  /// What scripts have said besides, until it is sent.
  private var said: [UInt8] = []

  init(_ stream: Stream, on loop: EventLoop) {
    self.stream = stream
    self.loop = loop
  }

  /// Waits for the next event of requests; content is given as bytes.
  ///
  /// - Throws: ``ScriptFailure`` with the status 0 when the connection has ended.
  func next(
    by deadline: Deadline
  ) async throws(ScriptFailure) -> (event: FastCGIRequest.Event, content: [UInt8]) {
    while true {
      let event: FastCGIRequest.Event
      let there = bytes
      do throws(GatewayFault) {
        event = try request.next(in: there.span, at: &used)
      } catch {
        throw ScriptFailure(0, "not FastCGI: \(error.rawValue)")
      }
      if case .content(let range) = event { return (event, Array(there[range])) }
      if event != .needsBytes { return (event, []) }
      do throws(StreamError) {
        let more = try await stream.read(.body, by: deadline)
        if more.isEmpty { throw StreamError.cancelled }
        used = 0
        bytes = Array(copying: more.bytes)
      } catch {
        throw ScriptFailure(0, error == .timedOut ? "nothing comes" : "the client has left")
      }
    }
  }

  /// Waits until the client says something, which can only be that it wants no answer, or leaves.
  func clientLeaves(by deadline: Deadline) async -> Bool {
    do throws(StreamError) {
      if !stream.hasEvent { try await stream.readable(by: deadline) }
      return true
    } catch {
      return false
    }
  }

  /// Keeps what a script says besides its answer, as far as there is room.
  func say(_ text: [UInt8]) {
    said += text.prefix(max(0, GatewayAnswer.errorByteLimit - said.count))
  }

  /// Sends a part of an answer, with what was said before it.
  func send(_ output: [UInt8], by deadline: Deadline) async throws(StreamError) {
    var records: [UInt8] = []
    put(.standardError, said, to: &records)
    said = []
    put(.standardOutput, output, to: &records)
    if !records.isEmpty { try await stream.write(records, by: deadline) }
  }

  /// Ends an answer; `code` is what the script has ended with.
  func end(code: UInt8, by deadline: Deadline) async throws(StreamError) {
    try await send([], by: deadline)
    var records: [UInt8] = []
    put(.endRequest, [0, 0, 0, code, 0, 0, 0, 0], to: &records)
    try await stream.write(records, by: deadline)
  }

  private func put(_ kind: FastCGIRecord.Kind, _ content: [UInt8], to records: inout [UInt8]) {
    guard !content.isEmpty else { return }
    FastCGIRecord(kind, request: request.number, contentCount: content.count).append(to: &records)
    records += content
  }
}
