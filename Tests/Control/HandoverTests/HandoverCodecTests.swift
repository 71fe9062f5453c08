import Handover
import Testing

private let messages: [HandoverMessage] = [
  .generation(
    GenerationOffer(
      number: 0x0102_0304_0506_0708,
      source: Array("server { listen :80 }".utf8),
      listeners: [":80", "[::1]:443", "unix:/run/ä.sock"],
      logs: ["/var/log/access.log"]
    )
  ),
  .generation(GenerationOffer(number: 0, source: [], listeners: [], logs: [])),
  .logs(["a", ""]), .drain(limit: .milliseconds(1500), closesIdle: true),
  .drain(limit: .zero, closesIdle: false), .stop, .ask, .ready(generation: 7),
  .refused(generation: .max, reason: "no such user"), .drained,
  .report(json: "{}", text: "fine\n"), .alive,
  .changes(RuntimeState()), .changes(RuntimeState(kept: [1, 2], untilReload: [3])),
  .call(number: .max, method: "member.add", arguments: Array("{}".utf8)),
  .answer(number: 1, outcome: Array("{\"result\":1}".utf8), changes: nil),
  .answer(number: 2, outcome: [], changes: RuntimeState(kept: [7])),
  .worker(application: "shop", process: 7, socketCount: 4),
  .retireWorker(application: "shop", process: 7), .workerEnded(application: "ä", process: .max),
  .workerHangs(application: "shop", process: 1), .workersWanted(application: "shop", count: 256),
]

/// The messages that the decoder takes out of these parts.
private func decode(_ parts: [[UInt8]]) throws(HandoverError) -> [HandoverMessage] {
  var decoder = HandoverDecoder()
  var found: [HandoverMessage] = []
  for part in parts {
    decoder.receive(part)
    while let message = try decoder.next() { found.append(message) }
  }
  return found
}

/// The head of a message with these fields.
private func head(
  magic: String = "MH",
  version: UInt8 = 1,
  kind: UInt8,
  descriptors: UInt16 = 0,
  reserved: UInt8 = 0,
  length: UInt32
) -> [UInt8] {
  Array(magic.utf8) + [
    version, kind, UInt8(descriptors >> 8), UInt8(truncatingIfNeeded: descriptors), 0, reserved,
    UInt8(length >> 24), UInt8(length >> 16 & 255), UInt8(length >> 8 & 255), UInt8(length & 255),
  ]
}

private let malformed: [([UInt8], HandoverError)] = [
  (Array("GET / HTTP/1.1".utf8), HandoverError.notAMessage),
  (Array("MX".utf8), .notAMessage),
  (head(version: 2, kind: 5, length: 0), .otherVersion(2)),
  (head(kind: 0, length: 0), .unknownMessage(0)),
  (head(kind: 200, length: 0), .unknownMessage(200)),
  (head(kind: 5, reserved: 1, length: 0), .malformed),
  (head(kind: 5, length: 16 << 20 | 1), .tooLong),
  (head(kind: 1, descriptors: 513, length: 30), .tooManyDescriptors),
  (head(kind: 5, length: 1) + [0], .malformed),
  (head(kind: 65, length: 4) + [0, 0, 0, 1], .malformed),
  (head(kind: 5, descriptors: 1, length: 0), .wrongDescriptors),
  (head(kind: 2, descriptors: 2, length: 7) + [0, 1, 0, 0, 0, 1, 0x61], .wrongDescriptors),
  (head(kind: 2, length: 2) + [0xFF, 0xFF], .tooManyDescriptors),
  (head(kind: 2, descriptors: 1, length: 6) + [0, 1, 0xFF, 0xFF, 0xFF, 0xFF], .malformed),
  (head(kind: 2, descriptors: 1, length: 7) + [0, 1, 0, 0, 0, 1, 0xFF], .malformed),
  (head(kind: 3, length: 9) + [UInt8](repeating: 0xFF, count: 8) + [0], .malformed),
  (head(kind: 3, length: 9) + [UInt8](repeating: 0, count: 8) + [2], .malformed),
]

@Suite("Handover messages")
struct HandoverCodecTests {
  @Test("are read as they were written", arguments: messages)
  func roundTrip(message: HandoverMessage) throws {
    #expect(try decode([message.encoded()]) == [message])
  }

  @Test("are the same however their bytes are split", arguments: messages)
  func splits(message: HandoverMessage) throws {
    let bytes = try message.encoded() + HandoverMessage.ask.encoded()
    for cut in 0...bytes.count {
      let parts = [Array(bytes[..<cut]), Array(bytes[cut...])]
      #expect(try decode(parts) == [message, .ask], "cut at \(cut)")
    }
    #expect(try decode(bytes.map { [$0] }) == [message, .ask])
  }

  @Test("follow each other for as long as the connection lasts")
  func many() throws {
    let bytes = try messages.flatMap { try $0.encoded() }
    #expect(try decode([[UInt8]](repeating: bytes, count: 500)).count == 500 * messages.count)
  }

  @Test(
    "are refused when they are not in form",
    arguments: malformed
  )
  func refusals(bytes: [UInt8], reason: HandoverError) {
    #expect(throws: reason) { try decode([bytes]) }
    #expect(throws: reason) { try decode(bytes.map { [$0] }) }
  }

  @Test("of any wrong byte are refused or read, never waited for beyond their limit")
  func everyByte() throws {
    let bytes = try messages[0].encoded()
    for place in bytes.indices {
      for value: UInt8 in [0, 1, 0x7F, 0x80, 0xFF] where bytes[place] != value {
        var changed = bytes
        changed[place] = value
        var decoder = HandoverDecoder()
        decoder.receive(changed)
        do { _ = try decoder.next() } catch { #expect(error != .broken) }
      }
    }
  }

  @Test("hold names up to their limit, and no longer ones")
  func keyLimit() throws {
    let longest = HandoverMessage.logs([String(repeating: "a", count: HandoverLimits.keyBytes)])
    #expect(try decode([longest.encoded()]) == [longest])
    let tooLong = HandoverMessage.logs([String(repeating: "a", count: HandoverLimits.keyBytes + 1)])
    #expect(throws: HandoverError.tooLong) { try tooLong.encoded() }
  }

  @Test("hold descriptors up to their limit, and no more")
  func descriptorLimit() throws {
    let names = [String](repeating: "a", count: HandoverLimits.descriptorCount)
    #expect(try decode([HandoverMessage.logs(names).encoded()]) == [.logs(names)])
    #expect(throws: HandoverError.tooManyDescriptors) {
      try HandoverMessage.logs(names + ["b"]).encoded()
    }
  }

  @Test("of a limit that is not a time are cut to a year at most, and to nothing at least")
  func durations() throws {
    let none = HandoverMessage.drain(limit: .seconds(-1), closesIdle: false)
    #expect(try decode([none.encoded()]) == [.drain(limit: .zero, closesIdle: false)])
    let long = HandoverMessage.drain(limit: .seconds(1_000_000_000), closesIdle: true)
    let year = HandoverMessage.drain(limit: .seconds(31_536_000), closesIdle: true)
    #expect(try decode([long.encoded()]) == [year])
  }
}
