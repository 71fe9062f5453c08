import MartletSystem

// The form of a message:
//
//   0        2         3      4              6          8        12
//   | "MH"   | version | kind | descriptors  | 0        | length  | body …
//
// Numbers are big-endian. A text or a byte string is its length in four bytes and its bytes; a list
// is its count in two bytes and its elements.

private let magic: (UInt8, UInt8) = (0x4D, 0x48)
private let version: UInt8 = 1
private let headBytes = 12

private enum Kind: UInt8 {
  case generation = 1
  case logs, drain, stop, ask, changes, call
  case worker, retireWorker, workerEnded
  case ready = 65
  case refused, drained, report, alive, answer
  case workerHangs, workersWanted
}

extension HandoverMessage {
  private var kind: Kind {
    switch self {
    case .generation: .generation
    case .logs: .logs
    case .drain: .drain
    case .stop: .stop
    case .ask: .ask
    case .changes: .changes
    case .call: .call
    case .worker: .worker
    case .retireWorker: .retireWorker
    case .workerEnded: .workerEnded
    case .workerHangs: .workerHangs
    case .workersWanted: .workersWanted
    case .ready: .ready
    case .refused: .refused
    case .drained: .drained
    case .report: .report
    case .alive: .alive
    case .answer: .answer
    }
  }

  /// The message as bytes.
  ///
  /// - Throws: ``HandoverError/tooLong`` or ``HandoverError/tooManyDescriptors``.
  public func encoded() throws(HandoverError) -> [UInt8] {
    guard descriptorCount <= HandoverLimits.descriptorCount else { throw .tooManyDescriptors }
    var body: [UInt8] = []
    switch self {
    case .generation(let offer):
      body.append(big: offer.number)
      body.append(counted: offer.source)
      try body.append(keys: offer.listeners)
      try body.append(keys: offer.logs)
    case .logs(let keys): try body.append(keys: keys)
    case .drain(let limit, let closesIdle):
      body.append(big: limit.wholeMilliseconds)
      body.append(closesIdle ? 1 : 0)
    case .stop, .ask, .drained, .alive: break
    case .ready(let generation): body.append(big: generation)
    case .refused(let generation, let reason):
      body.append(big: generation)
      body.append(counted: Array(reason.utf8))
    case .changes(let state): body.append(state)
    case .call(let number, let method, let arguments):
      body.append(big: number)
      body.append(counted: Array(method.utf8))
      body.append(counted: arguments)
    case .worker(let application, let process, let count):
      body.append(counted: Array(application.utf8))
      body.append(big: process)
      body.append(big: UInt16(truncatingIfNeeded: count))
    case .retireWorker(let application, let process), .workerEnded(let application, let process),
      .workerHangs(let application, let process):
      body.append(counted: Array(application.utf8))
      body.append(big: process)
    case .workersWanted(let application, let count):
      body.append(counted: Array(application.utf8))
      body.append(big: UInt16(truncatingIfNeeded: count))
    case .answer(let number, let outcome, let changes):
      body.append(big: number)
      body.append(counted: outcome)
      body.append(changes == nil ? 0 : 1)
      if let changes { body.append(changes) }
    case .report(let json, let text):
      body.append(counted: Array(json.utf8))
      body.append(counted: Array(text.utf8))
    }
    guard body.count <= HandoverLimits.messageBytes else { throw .tooLong }
    var bytes: [UInt8] = [magic.0, magic.1, version, kind.rawValue]
    bytes.append(big: UInt16(descriptorCount))
    bytes.append(big: UInt16(0))
    bytes.append(big: UInt32(body.count))
    return bytes + body
  }
}

/// Takes messages out of a stream of bytes; no I/O.
public struct HandoverDecoder: Sendable {
  private var bytes: [UInt8] = []
  private var start = 0

  /// Creates a decoder that stands before a message.
  public init() {}

  /// Whether a part of a message has come.
  public var isWithinMessage: Bool { start < bytes.count }

  /// Takes in bytes that came.
  public mutating func receive(_ more: some Sequence<UInt8>) {
    if start > 0, start == bytes.count || start > 64 << 10 {
      bytes.removeFirst(start)
      start = 0
    }
    bytes += more
  }

  /// The next message, or nil when its end has not come yet.
  ///
  /// - Throws: ``HandoverError``; nothing behind it can be understood any more.
  public mutating func next() throws(HandoverError) -> HandoverMessage? {
    let held = bytes[start...]
    // What is wrong with a head is told as soon as it can be known.
    if let first = held.first, first != magic.0 { throw .notAMessage }
    if held.count > 1, held[start + 1] != magic.1 { throw .notAMessage }
    if held.count > 2, held[start + 2] != version { throw .otherVersion(held[start + 2]) }
    guard held.count >= headBytes else { return nil }
    guard let kind = Kind(rawValue: held[start + 3]) else {
      throw .unknownMessage(held[start + 3])
    }
    var head = BodyReader(held[(start + 4)..<(start + headBytes)])
    let descriptorCount = Int(try head.number(UInt16.self))
    guard try head.number(UInt16.self) == 0 else { throw .malformed }
    let length = Int(try head.number(UInt32.self))
    guard length <= HandoverLimits.messageBytes else { throw .tooLong }
    guard descriptorCount <= HandoverLimits.descriptorCount else { throw .tooManyDescriptors }
    guard held.count >= headBytes + length else {
      makeRoom(for: start + headBytes + length)
      return nil
    }
    var reader = BodyReader(held[(start + headBytes)..<(start + headBytes + length)])
    let message = try Self.message(kind, from: &reader)
    guard reader.isAtEnd else { throw .malformed }
    guard message.descriptorCount == descriptorCount else { throw .wrongDescriptors }
    if kind == .generation {
      // It has the keys of certificates in it, which the message alone is to have.
      for index in start..<(start + headBytes + length) { bytes[index] = 0 }
    }
    start += headBytes + length
    return message
  }

  /// Makes room for all of a message at once: each time that an array grows, what it had stays behind.
  private mutating func makeRoom(for count: Int) {
    guard bytes.capacity < count else { return }
    var roomy: [UInt8] = []
    roomy.reserveCapacity(count)
    roomy += bytes
    Secret.forget(bytes)
    bytes = roomy
  }

  private static func message(
    _ kind: Kind,
    from reader: inout BodyReader
  ) throws(HandoverError) -> HandoverMessage {
    switch kind {
    case .generation:
      .generation(
        GenerationOffer(
          number: try reader.number(UInt64.self),
          source: Array(try reader.counted()),
          listeners: try reader.keys(),
          logs: try reader.keys()
        )
      )
    case .logs: .logs(try reader.keys())
    case .drain: .drain(limit: try reader.duration(), closesIdle: try reader.flag())
    case .stop: .stop
    case .ask: .ask
    case .changes: .changes(try reader.state())
    case .call:
      .call(
        number: try reader.number(UInt32.self),
        method: try reader.text(),
        arguments: Array(try reader.counted())
      )
    case .worker:
      .worker(
        application: try reader.text(),
        process: try reader.number(Int32.self),
        socketCount: Int(try reader.number(UInt16.self))
      )
    case .retireWorker:
      .retireWorker(application: try reader.text(), process: try reader.number(Int32.self))
    case .workerEnded:
      .workerEnded(application: try reader.text(), process: try reader.number(Int32.self))
    case .workerHangs:
      .workerHangs(application: try reader.text(), process: try reader.number(Int32.self))
    case .workersWanted:
      .workersWanted(
        application: try reader.text(),
        count: Int(try reader.number(UInt16.self))
      )
    case .ready: .ready(generation: try reader.number(UInt64.self))
    case .refused:
      .refused(generation: try reader.number(UInt64.self), reason: try reader.text())
    case .drained: .drained
    case .report: .report(json: try reader.text(), text: try reader.text())
    case .alive: .alive
    case .answer:
      .answer(
        number: try reader.number(UInt32.self),
        outcome: Array(try reader.counted()),
        changes: try reader.flag() ? try reader.state() : nil
      )
    }
  }
}

/// Reads the parts of a body, each within what is left of it.
private struct BodyReader {
  private var rest: ArraySlice<UInt8>

  init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

  var isAtEnd: Bool { rest.isEmpty }

  mutating func number<Number: FixedWidthInteger>(
    _: Number.Type
  ) throws(HandoverError) -> Number {
    let count = Number.bitWidth / 8
    guard rest.count >= count else { throw .malformed }
    let number = rest.prefix(count).reduce(Number(0)) { $0 << 8 | Number($1) }
    rest = rest.dropFirst(count)
    return number
  }

  mutating func counted() throws(HandoverError) -> ArraySlice<UInt8> {
    let count = Int(try number(UInt32.self))
    guard rest.count >= count else { throw .malformed }
    defer { rest = rest.dropFirst(count) }
    return rest.prefix(count)
  }

  mutating func text() throws(HandoverError) -> String {
    guard let text = String(validating: try counted(), as: UTF8.self) else { throw .malformed }
    return text
  }

  mutating func keys() throws(HandoverError) -> [String] {
    let count = Int(try number(UInt16.self))
    guard count <= HandoverLimits.descriptorCount else { throw .tooManyDescriptors }
    var keys: [String] = []
    for _ in 0..<count {
      let key = try text()
      guard key.utf8.count <= HandoverLimits.keyBytes else { throw .tooLong }
      keys.append(key)
    }
    return keys
  }

  mutating func state() throws(HandoverError) -> RuntimeState {
    RuntimeState(kept: Array(try counted()), untilReload: Array(try counted()))
  }

  mutating func flag() throws(HandoverError) -> Bool {
    let byte = try number(UInt8.self)
    guard byte < 2 else { throw .malformed }
    return byte == 1
  }

  mutating func duration() throws(HandoverError) -> Duration {
    let milliseconds = try number(UInt64.self)
    guard milliseconds <= UInt64(Duration.longest.components.seconds) * 1000 else {
      throw .malformed
    }
    return .milliseconds(Int64(milliseconds))
  }
}

extension Duration {
  /// A year: whoever asks for longer means for ever.
  fileprivate static let longest = Duration.seconds(31_536_000)

  fileprivate var wholeMilliseconds: UInt64 {
    let (seconds, attoseconds) = min(max(self, .zero), Self.longest).components
    return UInt64(seconds) * 1000 + UInt64(attoseconds / 1_000_000_000_000_000)
  }
}

extension [UInt8] {
  fileprivate mutating func append<Number: FixedWidthInteger>(big number: Number) {
    for shift in stride(from: Number.bitWidth - 8, through: 0, by: -8) {
      append(UInt8(truncatingIfNeeded: number >> shift))
    }
  }

  fileprivate mutating func append(counted bytes: [UInt8]) {
    append(big: UInt32(truncatingIfNeeded: bytes.count))
    self += bytes
  }

  fileprivate mutating func append(_ state: RuntimeState) {
    append(counted: state.kept)
    append(counted: state.untilReload)
  }

  fileprivate mutating func append(keys: [String]) throws(HandoverError) {
    guard keys.count <= HandoverLimits.descriptorCount else { throw .tooManyDescriptors }
    append(big: UInt16(keys.count))
    for key in keys {
      guard key.utf8.count <= HandoverLimits.keyBytes else { throw .tooLong }
      append(counted: Array(key.utf8))
    }
  }
}
