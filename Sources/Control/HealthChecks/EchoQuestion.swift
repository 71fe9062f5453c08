import Configuration
import Edge
import MartletLoop
import MartletNet
import MartletSystem
import Probes

/// Asks a target by an echo request of ICMP.
final class EchoQuestion {
  private let check: MemberCheck
  private let loop: EventLoop
  private let identifier = UInt16.random(in: 0 ... .max)
  private var turn = 0

  init(_ check: MemberCheck, on loop: EventLoop) {
    self.check = check
    self.loop = loop
  }

  /// Looks whether this process may send echo requests.
  ///
  /// - Throws: ``CheckRefusal``.
  static func checkRights(_ upstream: UpstreamSettings) throws(CheckRefusal) {
    do throws(SystemError) {
      // The kernel's rule is one for both versions.
      let socket = try Descriptor.echo(for: .ipv4(0x7F00_0001, port: 0))
      _ = Descriptor(adopting: socket.descriptor)
    } catch {
      throw CheckRefusal(
        description:
          "`check icmp` of the upstream `\(upstream.name)` cannot be made (\(error)): let the group of "
          + "the edge into the sysctl net.ipv4.ping_group_range, or write `check tcp`"
      )
    }
  }

  func ask() async -> ProbeVerdict {
    let deadline = loop.deadline(after: Timeout(check.settings.timeout))
    let addresses = check.addresses
    guard !addresses.isEmpty else { return .failed(.unreachable, "the name has no address") }
    turn = (turn + 1) % addresses.count
    let address = addresses[turn]
    let isIPv4 = if case .ipv4 = address { true } else { false }
    let socket: Datagram
    let isRaw: Bool
    do throws(SystemError) {
      let opened = try Descriptor.echo(for: address)
      let descriptor = Descriptor(adopting: opened.descriptor)
      _ = try descriptor.connect(to: address)
      socket = try Datagram(adopting: descriptor, on: loop)
      isRaw = opened.isRaw
    } catch {
      return .failed(ProbeFailure(connecting: error))
    }
    let token = (0..<EchoProbe.tokenBytes).map { _ in UInt8.random(in: 0...255) }
    let probe = EchoProbe(isIPv4 ? .ipv4 : .ipv6, identifier: identifier, token: token)
    do throws(StreamError) {
      try await socket.send(probe.request, to: address, by: deadline)
      while true {
        let part = try await socket.receive(.head, by: deadline)
        let verdict = probe.receive(part.buffer.bytes, hasHeader: isRaw && isIPv4)
        if let verdict { return verdict }
      }
    } catch {
      switch error {
      case .timedOut, .cancelled: return .failed(.timeout, "no answer")
      case .failed(let error): return .failed(.unreachable, "\(error)")
      }
    }
  }
}
