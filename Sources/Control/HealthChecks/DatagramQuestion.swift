import Configuration
import Edge
import MartletLoop
import MartletNet
import MartletSystem
import Probes

/// Asks a target by a datagram.
///
/// The kernel tells of a port that is not open as an error of the socket, since that is connected.
final class DatagramQuestion {
  private let check: MemberCheck
  private let loop: EventLoop
  private var turn = 0

  init(_ check: MemberCheck, on loop: EventLoop) {
    self.check = check
    self.loop = loop
  }

  func ask() async -> ProbeVerdict {
    let deadline = loop.deadline(after: Timeout(check.settings.timeout))
    let addresses = check.addresses
    guard !addresses.isEmpty else { return .failed(.unreachable, "the name has no address") }
    turn = (turn + 1) % addresses.count
    let address = addresses[turn]
    let socket: Datagram
    do throws(SystemError) {
      let descriptor = try Descriptor.datagram(for: address)
      _ = try descriptor.connect(to: address)
      socket = try Datagram(adopting: descriptor, on: loop)
    } catch {
      return .failed(ProbeFailure(connecting: error))
    }
    var probe = ExpectProbe(BytePattern(check.settings.expect ?? ""))
    do throws(StreamError) {
      try await socket.send(check.settings.send, to: address, by: deadline)
      while true {
        let part = try await socket.receive(.head, by: deadline)
        // An empty datagram is an answer, though nothing stands in it.
        if part.buffer.isEmpty, check.settings.expect == nil { return .passed("answered") }
        if let verdict = probe.receive(part.buffer.bytes) { return verdict }
      }
    } catch {
      switch error {
      case .timedOut, .cancelled: return silence(probe.heard)
      // A refusal: nobody has the port.
      case .failed(let error): return .failed(.unreachable, "\(error)")
      }
    }
  }

  /// What it means that nothing more comes.
  private func silence(_ heard: String) -> ProbeVerdict {
    guard check.settings.expect != nil else { return .passed("nobody objects") }
    return heard.isEmpty
      ? .failed(.timeout, "no answer") : .failed(.content, "the answer begins: \(heard)")
  }
}
