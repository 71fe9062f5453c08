import ACME
import MartletBytes
import MartletLoop
import MartletNet
package import MartletSystem

/// Asks name services for the texts of a name, each in turn until one tells.
package struct TextResolver {
  /// How often each of them is asked.
  private static let tryCount = 2
  /// How long an answer may take over UDP, and how long over TCP.
  private static let patience = Timeout(.seconds(3))
  private static let streamPatience = Timeout(.seconds(5))

  /// Over TCP a message has its length in front, in two bytes.
  private static let overStream = FrameForm.counted(LengthField(byteCount: 2))
  private static let messageBytes = 65_535

  /// How many of the system are asked, as its own library does.
  private static let systemCount = 3

  /// Where they are.
  package let servers: [SocketAddress]
  let loop: EventLoop

  /// The services that the system asks: those of `/etc/resolv.conf`, or one of this machine.
  ///
  /// - Source: `resolv.conf(5)`.
  package static func systemServers(_ text: String) -> [SocketAddress] {
    let found = text.split(whereSeparator: \.isNewline).compactMap { line -> SocketAddress? in
      let words = line.split(whereSeparator: \.isWhitespace)
      guard words.count > 1, words[0] == "nameserver" else { return nil }
      return SocketAddress(host: String(words[1]), port: 53)
    }
    return found.isEmpty ? [.ipv4(0x7F00_0001, port: 53)] : Array(found.prefix(systemCount))
  }

  /// The texts in the records of a name; none: it has none, or does not exist.
  ///
  /// - Throws: ``ACME/ACMEFailure``: nobody tells.
  func texts(of name: String) async throws(ACMEFailure) -> [[UInt8]] {
    var problem = "no name service is known"
    for server in servers {
      for _ in 0..<Self.tryCount {
        guard let question = TextQuestion(name, id: .random(in: 0 ... .max)) else {
          throw ACMEFailure(.malformed, "\(name) is no name")
        }
        var answer: TextAnswer
        do throws(ACMEFailure) {
          answer = try await asked(question, server)
          if answer == .cut { answer = try await askedOverStream(question, server) }
        } catch {
          problem = "\(server): \(error)"
          continue
        }
        switch answer {
        case .texts(let texts): return texts
        case .refused(let code): problem = "\(server) answers with code \(code)"
        case .cut, .malformed, .other: problem = "\(server) answers what is not in form"
        }
        break
      }
    }
    throw ACMEFailure(.unreachable, "\(name): \(problem)")
  }

  /// Asks in a datagram; what comes from elsewhere, or answers something else, is not looked at.
  private func asked(
    _ question: TextQuestion,
    _ server: SocketAddress
  ) async throws(ACMEFailure) -> TextAnswer {
    let deadline = loop.deadline(after: Self.patience)
    do {
      let any: SocketAddress =
        if case .ipv6 = server { .ipv6(0, 0, port: 0, scope: 0) } else { .ipv4(0, port: 0) }
      let socket = try Datagram.bind(any, on: loop)
      try await socket.send(question.bytes, to: server, by: deadline)
      while true {
        let received = try await socket.receive(by: deadline)
        guard received.sender == server else { continue }
        let answer = question.read(Array(copying: received.buffer.bytes))
        if answer != .other { return answer }
      }
    } catch {
      throw ACMEFailure(.unreachable, "no answer: \(error)")
    }
  }

  /// Asks over a connection.
  ///
  /// - Source: RFC 1035, section 4.2.2; RFC 7766.
  private func askedOverStream(
    _ question: TextQuestion,
    _ server: SocketAddress
  ) async throws(ACMEFailure) -> TextAnswer {
    let deadline = loop.deadline(after: Self.streamPatience)
    do {
      let stream = try await Stream.connect(to: server, on: loop, by: deadline)
      let messages = FramedStream(stream, Self.overStream, limit: Self.messageBytes)
      try await messages.send(question.bytes, by: deadline)
      guard let answer = try await messages.next(by: deadline) else {
        throw ACMEFailure(.unreachable, "it ended early")
      }
      return question.read(answer)
    } catch let failure as ACMEFailure {
      throw failure
    } catch {
      throw ACMEFailure(.unreachable, "no answer over TCP: \(error)")
    }
  }
}
