import Foundation
import MartletLoop
import MartletProcess
import MartletSystem
import TestCrowd
import Testing

private struct Letter: Codable, Hashable, Sendable {
  var number: Int
  var text: [String]
}

/// A coroutine that says everything back.
private actor Echo {
  nonisolated let loop: EventLoop
  nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

  init() throws {
    loop = try EventLoop()
    try loop.startThread()
  }

  deinit { loop.stop() }

  func serve(_ channel: ProcessChannel<Letter>, _ count: Int) async throws -> Int {
    let mine = try LoopChannel(channel, on: loop)
    var served = 0
    while served < count, let letter = try await mine.receive() {
      try await mine.send(letter)
      served += 1
    }
    return served
  }

  func timesOut(_ channel: ProcessChannel<Letter>) async throws {
    _ = try await LoopChannel(channel, on: loop).receive(
      by: loop.deadline(after: Timeout(.milliseconds(20)))
    )
  }
}

@Suite("Channels between processes", .timeLimit(.minutes(5)))
struct ChannelTests {
  private func temporary(_ name: String) -> String {
    "\(FileManager.default.temporaryDirectory.path)/martlet-\(name)-\(UInt64.random(in: 0 ... .max))"
  }

  /// Sends letters that a coroutine says back.
  private func exchange(
    _ mine: any MessageCarrier,
    _ other: any MessageCarrier,
    words: Int = 3
  ) async throws {
    let echo = try Echo()
    let rounds = words > 1000 ? 3 : 300
    async let served = echo.serve(ProcessChannel(over: other), rounds)
    try await Crowd.threads(1) { _ in
      do {
        let channel = ProcessChannel<Letter>(over: mine)
        for number in 0..<rounds {
          let letter = Letter(number: number, text: Array(repeating: "é\(number)", count: words))
          try channel.send(letter, within: .seconds(60))
          let back = try channel.receive(within: .seconds(60))
          #expect(back == letter)
        }
      } catch { Issue.record(error) }
    }
    #expect(try await served == rounds)
  }

  @Test("pipes carry values, also those that are longer than a pipe", arguments: [3, 20_000])
  func pipes(words: Int) async throws {
    let (there, back) = (try OpenFile.pipe(), try OpenFile.pipe())
    try await exchange(
      try PipeCarrier(reading: back.0, writing: there.1),
      try PipeCarrier(reading: there.0, writing: back.1),
      words: words
    )
  }

  @Test("named pipes and sockets carry values")
  func named() async throws {
    let paths = [temporary("there"), temporary("back")]
    for path in paths { try NamedPipe.make(path) }
    defer { for path in paths { try? Files.remove(path) } }
    #expect(throws: SystemError(.open, 6)) { try NamedPipe.openToWrite(paths[0]) }
    let there = try NamedPipe.openToRead(paths[0])
    let back = try NamedPipe.openToRead(paths[1])
    try await exchange(
      try PipeCarrier(reading: back, writing: try NamedPipe.openToWrite(paths[0])),
      try PipeCarrier(reading: there, writing: try NamedPipe.openToWrite(paths[1]))
    )
    let pair = try OpenFile.messagePair()
    try await exchange(SocketCarrier(pair.0), SocketCarrier(pair.1))
    let stream = try OpenFile.socketPair()
    try await exchange(
      try PipeCarrier(reading: stream.0, writing: stream.0),
      try PipeCarrier(reading: stream.1, writing: stream.1)
    )
  }

  @Test("message queues carry values; one that is full makes its senders wait")
  func queues() async throws {
    let names = (0..<2).map { "/martlet-test-\($0)-\(UInt64.random(in: 0 ... .max))" }
    defer { for name in names { try? MessageQueue.remove(name) } }
    let shape = MessageQueue.Shape(messageCount: 4, messageBytes: 200)
    let queues = try names.map { try MessageQueue($0, making: shape) }
    #expect(try MessageQueue(names[0]).shape == shape)
    for number in 0..<4 { #expect(try queues[0].trySend([UInt8(number)], urgency: UInt32(number))) }
    #expect(try !queues[0].trySend([9]))
    #expect(queues[0].count == 4)
    let channel = ProcessChannel<Letter>(over: QueueCarrier(queues[0]))
    let letter = Letter(number: 1, text: [])
    try await Crowd.threads(1) { _ in
      #expect(throws: ChannelFailure.timedOut) {
        try channel.send(letter, within: .milliseconds(1))
      }
    }
    #expect(throws: SystemError(.mqSend, 90)) {
      try queues[0].trySend([UInt8](repeating: 0, count: 201))
    }
    // The most urgent first.
    for number in [3, 2, 1, 0] as [UInt8] {
      #expect(try queues[0].tryReceive()?.message == [number])
    }
    #expect(try queues[0].tryReceive() == nil)
    let there = QueueCarrier(queues[0])
    let back = QueueCarrier(queues[1])
    try await exchange(Pair(sends: there, receives: back), Pair(sends: back, receives: there))
    #expect(throws: SystemError(.mqOpen, 2)) { try MessageQueue("/martlet-test-nothing") }
  }

  /// One carrier for each direction.
  private struct Pair: MessageCarrier {
    var sends: any MessageCarrier
    var receives: any MessageCarrier
    var messageLimit: Int { sends.messageLimit }

    func trySend(_ message: [UInt8]) throws(ChannelFailure) -> Bool { try sends.trySend(message) }
    func tryReceive() throws(ChannelFailure) -> [UInt8]? { try receives.tryReceive() }
    func descriptor(toSend: Bool) -> Int32? {
      toSend ? sends.descriptor(toSend: true) : receives.descriptor(toSend: false)
    }
  }

  @Test("the end is told, what is too long is refused, and waits end")
  func ends() async throws {
    let (reading, writing) = try OpenFile.pipe()
    let source = try PipeCarrier(reading: reading, writing: nil, messageLimit: 10)
    do {
      let target = try PipeCarrier(reading: nil, writing: writing, messageLimit: 20)
      #expect(try target.trySend([1, 2, 3]))
      #expect(throws: ChannelFailure.tooLong) {
        try target.trySend([UInt8](repeating: 0, count: 21))
      }
    }
    #expect(try source.tryReceive() == [1, 2, 3])
    await #expect(throws: ChannelFailure.timedOut) {
      try await Echo().timesOut(ProcessChannel(over: source))
    }
    try writing.descriptor.writeAll([11, 0, 0, 0])
    #expect(throws: ChannelFailure.tooLong) { try source.tryReceive() }
    let pair = try OpenFile.socketPair()
    let mine = try PipeCarrier(reading: pair.0, writing: pair.0)
    try pair.1.descriptor.writeAll([5, 0, 0, 0, 1])
    try pair.1.descriptor.set(.sendBuffer, to: 4096)
    #expect(try mine.tryReceive() == nil)
    let sockets = try OpenFile.messagePair()
    let socket = SocketCarrier(sockets.0)
    #expect(throws: ChannelFailure.tooLong) { try socket.trySend([]) }
    #expect(try socket.tryReceive() == nil)
  }

  @Test("a descriptor and who sends it go with a message")
  func passes() throws {
    let (mine, other) = try OpenFile.messagePair()
    try other.descriptor.tellSenders()
    let memory = try SharedMemory(byteCount: 100)
    memory.write([42], at: 7)
    try mine.descriptor.sendMessage([1], descriptor: memory.file.number, telling: true)
    var buffer = [UInt8](repeating: 0, count: 10)
    let message = try other.descriptor.takeMessage(into: &buffer, waits: false)
    #expect(message.byteCount == 1 && !message.isCut)
    #expect(message.sender?.process == Processes.own && message.sender?.user == Processes.ownUser)
    let number = try #require(message.descriptor)
    #expect(try SharedMemory(adopting: OpenFile(adopting: number)).read(7..<8) == [42])
  }

  @Test("a counter is taken as a whole")
  func counter() throws {
    let counter = try EventCounter()
    #expect(counter.take() == 0)
    #expect(counter.add() && counter.add(5))
    #expect(counter.take() == 6 && counter.take() == 0)
  }
}
