import Handover
import MartletLoop
import MartletSystem
import Testing

/// Both ends of a channel on one loop.
actor Ends {
  nonisolated let loop: EventLoop
  nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }
  private var deliveries: [HandoverDelivery] = []
  private var failure: HandoverError?

  init() throws {
    loop = try EventLoop(descriptorLimit: 65_536, mode: .parking)
    try loop.startThread()
  }

  deinit { loop.stop() }

  private var soon: Deadline { loop.deadline(after: Timeout(.seconds(30))) }

  private func receiveAll(from channel: HandoverChannel) async {
    do throws(HandoverError) {
      while let delivery = try await channel.receive(by: soon) { deliveries.append(delivery) }
    } catch {
      failure = error
    }
  }

  /// What arrives of these messages, and how the connection ends.
  func delivered(
    _ messages: [(HandoverMessage, [OpenFile])]
  ) async throws -> (deliveries: [HandoverDelivery], failure: HandoverError?) {
    var ends: (OpenFile?, OpenFile) = try OpenFile.socketPair()
    let receiver = try HandoverChannel(adopting: ends.1, on: loop)
    if let end = ends.0 {
      let sender = try HandoverChannel(adopting: end, on: loop)
      ends.0 = nil
      for (message, files) in messages { try sender.post(message, files: files) }
    }
    // The sender's coroutine keeps its end open until all is sent.
    await receiveAll(from: receiver)
    return (deliveries, failure)
  }

  /// What a channel makes of bytes that are no messages.
  func received(_ bytes: [UInt8]) async throws -> HandoverError? {
    var ends: (OpenFile?, OpenFile) = try OpenFile.socketPair()
    let receiver = try HandoverChannel(adopting: ends.1, on: loop)
    try ends.0?.descriptor.writeAll(bytes)
    ends.0 = nil
    await receiveAll(from: receiver)
    return failure
  }
}

@Suite("Handover channel", .timeLimit(.minutes(5)))
struct HandoverChannelTests {
  @Test("carries messages in order, with their own descriptors", arguments: [0, 1, 64, 65, 200])
  func descriptors(count: Int) async throws {
    let files = try (0..<count).map { index -> OpenFile in
      let file = OpenFile(try Descriptor.memoryFile("test"))
      try file.descriptor.replaceContent(by: Array("\(index)".utf8))
      return file
    }
    let extra = OpenFile(try Descriptor.memoryFile("extra"))
    try extra.descriptor.replaceContent(by: Array("extra".utf8))
    let names = (0..<count).map { "name \($0)" }
    let outcome = try await Ends().delivered([
      (.ask, []), (.logs(names), files), (.logs(["extra"]), [extra]), (.stop, []),
    ])
    #expect(outcome.failure == nil)
    #expect(outcome.deliveries.map(\.message) == [.ask, .logs(names), .logs(["extra"]), .stop])
    let texts = try outcome.deliveries.flatMap(\.files).map {
      String(decoding: try $0.descriptor.readAll(limit: 100), as: UTF8.self)
    }
    #expect(texts == (0..<count).map { "\($0)" } + ["extra"])
  }

  @Test("carries messages that are larger than the socket's buffer")
  func large() async throws {
    let source = (0..<5_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    let offer = GenerationOffer(number: 1, source: source, listeners: [], logs: [])
    let outcome = try await Ends().delivered([(.generation(offer), []), (.stop, [])])
    #expect(outcome.deliveries.map(\.message) == [.generation(offer), .stop])
  }

  @Test("takes a message for broken when the other end goes away within it, or lacks descriptors")
  func broken() async throws {
    let bytes = try HandoverMessage.ready(generation: 1).encoded()
    #expect(try await Ends().received(bytes.dropLast()) == .broken)
    #expect(try await Ends().received(HandoverMessage.logs(["a"]).encoded()) == .wrongDescriptors)
    #expect(try await Ends().received(Array("nonsense".utf8)) == .notAMessage)
    #expect(try await Ends().received([]) == nil)
  }
}

extension Ends {
  /// As above, from a slice.
  func received(_ bytes: ArraySlice<UInt8>) async throws -> HandoverError? {
    try await received(Array(bytes))
  }
}
