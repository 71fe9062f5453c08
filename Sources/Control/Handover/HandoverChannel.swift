public import MartletLoop
public import MartletSystem

/// A message that came, with its descriptors.
public struct HandoverDelivery: Sendable {
  /// The message.
  public var message: HandoverMessage
  /// Its descriptors, in the order the message says.
  public var files: [OpenFile]
}

/// One end of the socket between the supervisor and an edge process, on a loop.
///
/// One coroutine receives; any coroutine of the loop may post.
public final class HandoverChannel {
  private struct Letter {
    var bytes: [UInt8]
    var files: [OpenFile]
    var sent = 0
    var sentFiles = 0
  }

  private let loop: EventLoop
  private let socket: OpenFile
  private var decoder = HandoverDecoder()
  private var files: [OpenFile] = []
  private var letters: [Letter] = []
  private var isSending = false
  private var isBroken = false

  /// Takes over a connected Unix stream socket.
  ///
  /// - Throws: ``SystemError`` when the loop cannot watch it.
  public init(adopting socket: OpenFile, on loop: EventLoop) throws(SystemError) {
    try socket.descriptor.setNonblocking()
    try loop.watch(socket.number, assumesReady: true)
    self.socket = socket
    self.loop = loop
  }

  deinit { loop.forget(socket.number, staysOpen: true) }

  /// The kernel's number for the socket.
  public var number: Int32 { socket.number }

  /// Whether everything that was posted has been sent.
  public var isIdle: Bool { letters.isEmpty }

  /// Sends a message as soon as the socket takes it; the descriptors are kept until then.
  ///
  /// - Throws: ``HandoverError`` when it is too long, too many wait, or the other side is gone.
  public func post(_ message: HandoverMessage, files: [OpenFile] = []) throws(HandoverError) {
    precondition(files.count == message.descriptorCount, "a message with the wrong descriptors")
    guard !isBroken else { throw .broken }
    guard letters.count < HandoverLimits.waitingCount else { throw .congested }
    letters.append(Letter(bytes: try message.encoded(), files: files))
    guard !isSending else { return }
    isSending = true
    // Not `[self] in`: such a closure loses its caller's executor and would run elsewhere.
    let channel = self
    loop.spawn(named: "send to the other process") { await channel.send() }
  }

  private func send() async {
    while !letters.isEmpty, !isBroken {
      do throws(SystemError) {
        try sendPart()
      } catch {
        if error.wouldBlock {
          do throws(WaitError) {
            try await loop.writable(socket.number, by: .never)
          } catch {
            isBroken = true
          }
        } else {
          isBroken = true
        }
      }
    }
    letters = []
    isSending = false
  }

  /// One `sendmsg(2)`: as many descriptors as one call takes go with one byte of the head, until the
  /// last of them are sent together with the rest.
  private func sendPart() throws(SystemError) {
    let letter = letters[0]
    let numbers = letter.files[letter.sentFiles...].prefix(Descriptor.descriptorsAtOnce)
    let isLast = letter.sentFiles + numbers.count == letter.files.count
    let end = isLast ? letter.bytes.count : letter.sent + 1
    let count = try socket.descriptor.send(
      letter.bytes[letter.sent..<end].span,
      descriptors: numbers.map(\.number)
    )
    letters[0].sent += count
    if count > 0 { letters[0].sentFiles += numbers.count }
    if letters[0].sent == letter.bytes.count { letters.removeFirst() }
  }

  /// Waits for a message; nil is the end of the connection.
  ///
  /// - Throws: ``HandoverError``.
  public func receive(
    by deadline: Deadline = .never
  ) async throws(HandoverError) -> HandoverDelivery? {
    while true {
      if let message = try decoder.next() {
        let count = message.descriptorCount
        guard files.count >= count else { throw .wrongDescriptors }
        defer { files.removeFirst(count) }
        return HandoverDelivery(message: message, files: Array(files.prefix(count)))
      }
      guard files.count <= HandoverLimits.descriptorCount else { throw .tooManyDescriptors }
      guard let received = try await part(by: deadline) else {
        if decoder.isWithinMessage { throw .broken }
        return nil
      }
      decoder.receive(received.bytes)
      // Keys may be among them.
      Secret.forget(received.bytes)
      files += received.descriptors.map { OpenFile(adopting: $0) }
    }
  }

  private func part(
    by deadline: Deadline
  ) async throws(HandoverError) -> (bytes: [UInt8], descriptors: [Int32])? {
    while true {
      do throws(SystemError) {
        let received = try socket.descriptor.receive(upTo: 64 << 10)
        return received.bytes.isEmpty ? nil : received
      } catch {
        guard error.wouldBlock else {
          isBroken = true
          // The other process was killed while bytes for it were on their way.
          if error.code == 104 { return nil }
          throw .broken
        }
      }
      loop.clearReadiness(socket.number)
      do throws(WaitError) {
        try await loop.readable(socket.number, by: deadline)
      } catch {
        throw error == .timedOut ? .timedOut : .cancelled
      }
    }
  }
}
