public import CLinux
public import MartletSystem

// @unchecked: lives on the one thread of the test and its loop.

/// A kernel whose clock and answers a test writes down.
///
/// Only descriptors from ``descriptor()`` are scripted; calls for others reach the true kernel, but
/// for their events: a driven loop hears only of what ``happen(_:on:)`` tells.
@safe
public final class ScriptedKernel: Kernel, @unchecked Sendable {
  /// What a receive gives.
  public enum Input: Sendable {
    /// These bytes, of which a receive takes as many as it has room for.
    case bytes([UInt8])
    /// The end of the stream.
    case end
    /// An error, by its positive number.
    case fails(Int32)
  }

  /// What a send takes.
  public enum Intake: Sendable {
    /// At most so many bytes.
    case takes(Int)
    /// An error, by its positive number.
    case fails(Int32)
  }

  /// What an accept gives.
  public enum Arrival: Sendable {
    /// A connection with this descriptor.
    case connection(Int32)
    /// An error, by its positive number.
    case fails(Int32)
  }

  /// What a descriptor's events say.
  public struct Happening: OptionSet, Sendable {
    /// The kernel's bits.
    public let rawValue: UInt32

    /// Creates a set from the kernel's bits.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Something can be read.
    public static let readable = Happening(rawValue: martlet_event_readable)
    /// Something can be written.
    public static let writable = Happening(rawValue: martlet_event_writable)
    /// The other side closed its sending half.
    public static let halfClosed = Happening(rawValue: martlet_event_half_closed)
    /// The connection broke.
    public static let broken = Happening(rawValue: martlet_event_closed)
  }

  /// A call that the loop or a stream made.
  public enum Call: Hashable, Sendable {
    /// `recv(2)`.
    case receive(Int32)
    /// `send(2)` or `sendmsg(2)` of so many bytes.
    case send(Int32, Int)
    /// `sendfile(2)` of so many bytes.
    case sendFile(Int32, Int)
    /// `pipe2(2)`.
    case openPipe
    /// `splice(2)` from one descriptor to another of at most so many bytes.
    case splice(Int32, Int32, Int)
    /// `accept4(2)`.
    case accept(Int32)
    /// `close(2)`.
    case close(Int32)
  }

  /// Nanoseconds of the virtual clock.
  public var now: Int64
  /// The calls in their order.
  public private(set) var calls: [Call] = []
  /// The bytes that each descriptor took.
  public private(set) var sent: [Int32: [UInt8]] = [:]
  /// How long the loop was ready to wait each time, in milliseconds; −1: for ever.
  public private(set) var waits: [Int32] = []

  /// The descriptors that are watched for other events than at first, each time.
  public private(set) var rewatched: [Int32] = []

  private var nextDescriptor: Int32
  private let firstDescriptor: Int32
  private var inputs: [Int32: [Input]] = [:]
  private var intakes: [Int32: [Intake]] = [:]
  private var files: [Int32: [Intake]] = [:]
  private var arrivals: [Int32: [Arrival]] = [:]
  private var pipeFailures: [Int32] = []
  /// The reading end of each pipe by its writing end, and what is in it.
  private var pipes: [Int32: Int32] = [:]
  private var held: [Int32: [UInt8]] = [:]
  private var watched: [Int32: UInt64] = [:]
  private var events: [(data: UInt64, happening: Happening)] = []

  /// Creates a kernel whose clock shows `now`, and whose descriptors are numbered from
  /// `firstDescriptor` on.
  public init(now: Int64, firstDescriptor: Int32) {
    self.now = now
    self.firstDescriptor = firstDescriptor
    nextDescriptor = firstDescriptor
  }

  /// A descriptor whose calls are scripted.
  public func descriptor() -> Int32 {
    defer { nextDescriptor += 1 }
    return nextDescriptor
  }

  /// Whether events wait to be delivered.
  public var hasEvents: Bool { !events.isEmpty }

  /// Says what receives give, one after the other; then they would block.
  public func willReceive(_ script: Input..., on descriptor: Int32) {
    inputs[descriptor, default: []] += script
  }

  /// Says what sends take, one after the other; then they take everything.
  public func willSend(_ script: Intake..., on descriptor: Int32) {
    intakes[descriptor, default: []] += script
  }

  /// Says what sends of a file take, one after the other; then the file is at its end.
  public func willSendFile(_ script: Intake..., on descriptor: Int32) {
    files[descriptor, default: []] += script
  }

  /// Says which errors the next pipes fail with, by their positive numbers; then they open.
  public func willOpenPipe(fails codes: Int32...) { pipeFailures += codes }

  /// Says what accepts give, one after the other; then they would block.
  public func willAccept(_ script: Arrival..., on descriptor: Int32) {
    arrivals[descriptor, default: []] += script
  }

  /// Lets the next wait of the loop end with this event, if `descriptor` is watched.
  public func happen(_ happening: Happening, on descriptor: Int32) {
    guard let data = watched[descriptor] else { return }
    events.append((data, happening))
  }

  /// Forgets the calls that were made.
  public func forgetCalls() { calls = [] }

  private func isScripted(_ fd: Int32) -> Bool { fd >= firstDescriptor }

  private func intake(
    _ fd: Int32,
    _ count: Int,
    from script: inout [Int32: [Intake]],
    otherwise rest: Int
  ) -> Int {
    guard var steps = script[fd], !steps.isEmpty else { return rest }
    let step = steps.removeFirst()
    script[fd] = steps
    return switch step {
    case .takes(let limit): min(limit, count)
    case .fails(let code): -Int(code)
    }
  }

  // MARK: The calls

  /// `recv(2)` by the script.
  public override func receive(_ fd: Int32, into bytes: UnsafeMutableRawBufferPointer) -> Int {
    guard isScripted(fd) else { return unsafe super.receive(fd, into: bytes) }
    calls.append(.receive(fd))
    let (result, part) = input(fd, upTo: bytes.count)
    unsafe bytes.copyBytes(from: part)
    return result
  }

  private func input(_ fd: Int32, upTo count: Int) -> (result: Int, bytes: ArraySlice<UInt8>) {
    guard var steps = inputs[fd], !steps.isEmpty else { return (-Int(EAGAIN), []) }
    defer { inputs[fd] = steps }
    switch steps.removeFirst() {
    case .end: return (0, [])
    case .fails(let code): return (-Int(code), [])
    case .bytes(let all):
      let part = all.prefix(count)
      if part.count < all.count { steps.insert(.bytes(Array(all.dropFirst(part.count))), at: 0) }
      return (part.count, part)
    }
  }

  /// Whether the script has something to be received.
  public override func hasInput(_ fd: Int32) -> Bool {
    isScripted(fd) ? !(inputs[fd] ?? []).isEmpty : super.hasInput(fd)
  }

  /// `send(2)` by the script.
  public override func send(_ fd: Int32, _ bytes: UnsafeRawBufferPointer, more: Bool) -> Int {
    guard isScripted(fd) else { return unsafe super.send(fd, bytes, more: more) }
    return unsafe take(fd, Array(bytes))
  }

  /// `sendmsg(2)` by the script.
  public override func send(
    _ fd: Int32,
    _ first: UnsafeRawBufferPointer,
    _ second: UnsafeRawBufferPointer,
    _ third: UnsafeRawBufferPointer
  ) -> Int {
    guard isScripted(fd) else { return unsafe super.send(fd, first, second, third) }
    return unsafe take(fd, Array(first) + Array(second) + Array(third))
  }

  private func take(_ fd: Int32, _ bytes: [UInt8]) -> Int {
    calls.append(.send(fd, bytes.count))
    let count = intake(fd, bytes.count, from: &intakes, otherwise: bytes.count)
    if count > 0 { sent[fd, default: []] += bytes.prefix(count) }
    return count
  }

  /// `sendfile(2)` by the script.
  public override func sendFile(
    _ fd: Int32,
    from file: Int32,
    at offset: Int64,
    count: Int
  ) -> Int {
    guard isScripted(fd) else { return super.sendFile(fd, from: file, at: offset, count: count) }
    calls.append(.sendFile(fd, count))
    return intake(fd, count, from: &files, otherwise: 0)
  }

  /// `pipe2(2)`: a pipe of the script, unless it is to fail.
  public override func openPipe(_ ends: inout (Int32, Int32), capacity: Int) -> Int {
    calls.append(.openPipe)
    if !pipeFailures.isEmpty { return -Int(pipeFailures.removeFirst()) }
    ends = (descriptor(), descriptor())
    pipes[ends.1] = ends.0
    held[ends.0] = []
    return 0
  }

  /// `splice(2)` by the script: into a pipe as a receive, out of it as a send.
  public override func splice(from source: Int32, to target: Int32, count: Int) -> Int {
    calls.append(.splice(source, target, count))
    if let pipe = pipes[target] {
      let (result, part) = input(source, upTo: count)
      held[pipe, default: []] += part
      return result
    }
    let bytes = (held[source] ?? []).prefix(count)
    let taken = intake(target, bytes.count, from: &intakes, otherwise: bytes.count)
    if taken > 0 {
      sent[target, default: []] += bytes.prefix(taken)
      held[source]?.removeFirst(taken)
    }
    return taken
  }

  /// `accept4(2)` by the script, for a listener with one.
  public override func accept(_ fd: Int32, _ peer: inout martlet_address) -> Int {
    calls.append(.accept(fd))
    guard var steps = arrivals[fd], !steps.isEmpty else { return -Int(EAGAIN) }
    defer { arrivals[fd] = steps }
    return switch steps.removeFirst() {
    case .connection(let number): Int(number)
    case .fails(let code): -Int(code)
    }
  }

  /// `close(2)`; of a scripted descriptor only the record.
  public override func close(_ fd: Int32) {
    calls.append(.close(fd))
    watched[fd] = nil
    if !isScripted(fd) { super.close(fd) }
  }

  /// Remembers what the loop wants to hear of the descriptor.
  public override func watch(_ queue: Int32, _ fd: Int32, events: UInt32, data: UInt64) -> Int {
    watched[fd] = data
    return 0
  }

  /// Forgets the descriptor.
  public override func rewatch(_ queue: Int32, _ fd: Int32, events: UInt32, data: UInt64) -> Int {
    guard isScripted(fd) else { return super.rewatch(queue, fd, events: events, data: data) }
    watched[fd] = data
    rewatched.append(fd)
    return 0
  }

  public override func unwatch(_ queue: Int32, _ fd: Int32) -> Int {
    watched[fd] = nil
    return 0
  }

  /// Gives the events that happened; never waits.
  public override func wait(
    _ queue: Int32,
    into events: UnsafeMutableBufferPointer<martlet_event>,
    milliseconds: Int32
  ) -> Int {
    waits.append(milliseconds)
    let count = min(events.count, self.events.count)
    for index in 0..<count {
      let event = self.events[index]
      // Safe: within the buffer, which the loop owns.
      unsafe martlet_event_set(&events[index], event.happening.rawValue, event.data)
    }
    self.events.removeFirst(count)
    return count
  }

  /// The virtual clock.
  public override func monotonicNanoseconds() -> Int64 { now }
}
