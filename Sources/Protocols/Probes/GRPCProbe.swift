import GRPC
import HTTP2
import HTTPMessage
import MartletBytes
import Synchronization

/// Asks a server of gRPC whether it, or one of its services, serves: `grpc.health.v1.Health/Check`.
///
/// - Source: the health checking protocol of the gRPC project.
public struct GRPCProbe: Sendable {
  /// The most of an answer that is read.
  static let answerBytes = 4096

  private let service: String
  /// What an answer is read with, once it has begun.
  private var talk: Talk?

  /// Creates a probe that stands before the first byte of the answer.
  ///
  /// - Parameter service: The name of the service; empty: the server as a whole.
  public init(service: String) { self.service = service }

  /// What is sent: a connection of HTTP/2 with one request.
  public static func opening(service: String, host: String) -> [UInt8] {
    Talk(service: service, host: host).opening
  }

  /// Takes bytes that came; at least one.
  ///
  /// - Returns: The verdict, or nil when more bytes are needed.
  public mutating func receive(_ bytes: Span<UInt8>) -> ProbeVerdict? {
    let talk = talk ?? Talk(service: service, host: "")
    self.talk = talk
    return talk.receive(bytes)
  }

  /// What it means that the server closes now.
  public func end() -> ProbeVerdict { .failed(.closed, "closed within its answer") }
}

/// One question and its answer.
private final class Talk: Sendable {
  private let state: Mutex<State>

  private struct State: ~Copyable {
    var machine: ConnectionMachine
    /// What is not a whole frame yet.
    var rest: [UInt8] = []
    var message: [UInt8] = []
    var opening: [UInt8] = []

    init(service: String, host: String) {
      var limits = ConnectionLimits()
      limits.waitsForSettings = false
      machine = ConnectionMachine(.client, limits: limits)
      let text =
        "POST \(HealthCall.path) HTTP/1.1\r\nHost: \(host)\r\nContent-Type: application/grpc\r\n"
        + "TE: trailers\r\n\r\n"
      let head = Array(text.utf8)
      if let stream = machine.open(head.span, isSecure: false, isLast: false) {
        let request = HealthCall.request(service: service)
        _ = machine.send(request.span, on: stream, isLast: true)
      }
      machine.takeOutput(into: &opening)
    }

    mutating func receive(_ bytes: Span<UInt8>) -> ProbeVerdict? {
      rest.append(copying: bytes)
      let all = rest
      var offset = 0
      do throws(ConnectionFault) {
        while let event = try machine.next(in: all.span, at: &offset, now: 1) {
          if let verdict = take(event, all) { return verdict }
        }
      } catch {
        return .failed(.malformed, "no HTTP/2: \(error.reason)")
      }
      rest = Array(all[offset...])
      return nil
    }

    private mutating func take(
      _ event: ConnectionMachine.Event,
      _ bytes: [UInt8]
    ) -> ProbeVerdict? {
      switch event {
      case .head(_, let isLast):
        let status = machine.fields.status
        if status < 200 { return nil }
        guard status == 200 else { return .failed(.status, "\(status)") }
        return isLast ? outcome(machine.fields.head) : nil
      case .data(let stream, let range, let isLast):
        guard message.count + range.count <= GRPCProbe.answerBytes else {
          return .failed(.tooLong, "an answer of more than \(GRPCProbe.answerBytes) bytes")
        }
        message += bytes[range]
        machine.consumed(range.count, of: stream)
        return isLast ? .failed(.malformed, "an answer without a status") : nil
      case .trailers: return outcome(machine.fields.head)
      case .reset(_, let code, _): return .failed(.reset, "the call was reset: \(code.rawValue)")
      case .goAway(let last, let code):
        return last == 0 ? .failed(.refused, "the server goes: \(code.rawValue)") : nil
      case .headTooLarge, .malformed, .window, .settings: return nil
      }
    }

    /// What it means that the call has ended with these fields.
    private func outcome(_ lines: [UInt8]) -> ProbeVerdict {
      guard let status = Self.status(in: lines) else {
        return .failed(.malformed, "an answer without a status")
      }
      guard status == .ok else { return .failed(.refused, "grpc-status \(status.rawValue)") }
      switch HealthCall.answer(message.span) {
      case .serving: return .passed("SERVING")
      case .notServing: return .failed(.refused, "NOT_SERVING")
      case .serviceUnknown: return .failed(.refused, "SERVICE_UNKNOWN")
      case .unknown: return .failed(.refused, "UNKNOWN")
      case nil: return .failed(.malformed, "not an answer about health")
      }
    }

    /// The value of `grpc-status` among lines of fields.
    private static func status(in lines: [UInt8]) -> CallStatus? {
      let name = Array("grpc-status: ".utf8)
      for line in lines.split(separator: 0x0A) where line.starts(with: name) {
        let value = Array(line.dropFirst(name.count).prefix { $0 != 0x0D })
        return CallStatus(value.span)
      }
      return nil
    }
  }

  init(service: String, host: String) { state = Mutex(State(service: service, host: host)) }

  var opening: [UInt8] { state.withLock { $0.opening } }

  func receive(_ bytes: Span<UInt8>) -> ProbeVerdict? {
    let bytes = Array(copying: bytes)
    return state.withLock { $0.receive(bytes.span) }
  }
}
