import MartletLoop
import MartletSystem
import Testing
import TestLoop

/// What coroutines of a test did, in the order in which they did it.
final class Notes {
  var lines: [String] = []

  func read(_ descriptor: Int32, on loop: EventLoop, by deadline: Deadline = .never) async {
    do throws(WaitError) {
      try await loop.readable(descriptor, by: deadline)
      lines.append("readable")
    } catch {
      lines.append("\(error)")
    }
  }

  func write(_ descriptor: Int32, on loop: EventLoop, by deadline: Deadline = .never) async {
    do throws(WaitError) {
      try await loop.writable(descriptor, by: deadline)
      lines.append("writable")
    } catch {
      lines.append("\(error)")
    }
  }
}

@Suite("Waiting for a descriptor")
struct WaitingTests {
  static let modes = [EventLoop.WaitMode.parking, .continuation]

  /// A loop that a test drives, with a descriptor that it watches.
  private static func watched(
    _ mode: EventLoop.WaitMode
  ) throws -> (driven: DrivenLoop, loop: EventLoop, notes: Notes, socket: Int32) {
    let driven = try DrivenLoop(mode)
    let socket = driven.kernel.descriptor()
    try driven.loop.watch(socket)
    return (driven, driven.loop, Notes(), socket)
  }

  /// The same with two of them, whose first cancels waits for the second with its close.
  private static func linked(
    _ mode: EventLoop.WaitMode
  ) throws -> (driven: DrivenLoop, notes: Notes, client: Int32, upstream: Int32) {
    let (driven, loop, notes, client) = try watched(mode)
    let upstream = driven.kernel.descriptor()
    try loop.watch(upstream)
    loop.linkClose(of: client, to: upstream)
    return (driven, notes, client, upstream)
  }

  @Test("ends with the event, and one event ends both a read and a write", arguments: modes)
  func events(mode: EventLoop.WaitMode) throws {
    let (driven, loop, notes, socket) = try Self.watched(mode)
    driven.start { await notes.read(socket, on: loop) }
    driven.start { await notes.write(socket, on: loop) }
    #expect(notes.lines == [])
    driven.happen([.writable], on: socket)
    #expect(notes.lines == ["writable"])
    driven.start { await notes.write(socket, on: loop) }
    driven.happen([.readable, .writable], on: socket)
    #expect(notes.lines == ["writable", "readable", "writable"])
    loop.forget(socket)
  }

  @Test("remembers an event until a read finds nothing more", arguments: modes)
  func readiness(mode: EventLoop.WaitMode) throws {
    let (driven, loop, notes, socket) = try Self.watched(mode)
    #expect(!loop.isReadable(socket))
    driven.happen([.readable], on: socket)
    #expect(loop.isReadable(socket) && !loop.isClosed(socket))
    driven.start { await notes.read(socket, on: loop) }
    #expect(notes.lines == ["readable"])
    loop.clearReadable(socket)
    driven.start { await notes.read(socket, on: loop) }
    #expect(notes.lines == ["readable"])
    driven.happen([.readable], on: socket)
    #expect(notes.lines == ["readable", "readable"])
    loop.forget(socket)
  }

  @Test(
    "does not forget that the other side closed",
    arguments: modes,
    [ScriptedKernel.Happening.halfClosed, .broken]
  )
  func closed(mode: EventLoop.WaitMode, end: ScriptedKernel.Happening) throws {
    let driven = try DrivenLoop(mode)
    let (loop, socket) = (driven.loop, driven.kernel.descriptor())
    try loop.watch(socket)
    driven.happen(end, on: socket)
    loop.clearReadable(socket)
    #expect(loop.isReadable(socket) && loop.isClosed(socket))
    loop.forget(socket)
  }

  @Test("wakes a writer when the connection breaks", arguments: modes)
  func brokenWrite(mode: EventLoop.WaitMode) throws {
    let (driven, loop, notes, socket) = try Self.watched(mode)
    driven.start { await notes.write(socket, on: loop) }
    driven.happen([.broken], on: socket)
    #expect(notes.lines == ["writable"])
    loop.forget(socket)
  }

  @Test("ends at its deadline to the tick, whether it reads or writes", arguments: modes)
  func deadlines(mode: EventLoop.WaitMode) throws {
    let (driven, loop, notes, socket) = try Self.watched(mode)
    // Three whole ticks, one for what is left, one for the tick that is under way.
    let timeout = Timeout(.nanoseconds(3 * DrivenLoop.tick + 1))
    driven.start { await notes.read(socket, on: loop, by: loop.deadline(after: timeout)) }
    driven.start { await notes.write(socket, on: loop, by: loop.deadline(after: timeout)) }
    driven.advance(by: .nanoseconds(5 * DrivenLoop.tick - 1))
    #expect(notes.lines == [])
    driven.advance(by: .nanoseconds(1))
    #expect(notes.lines == ["timedOut", "timedOut"])
    loop.forget(socket)
  }

  @Test("leaves no deadline behind", arguments: modes)
  func noLeftovers(mode: EventLoop.WaitMode) throws {
    let (driven, loop, notes, socket) = try Self.watched(mode)
    let soon = loop.deadline(after: Timeout(.seconds(1)))
    driven.start { await notes.read(socket, on: loop, by: soon) }
    driven.happen([.readable], on: socket)
    loop.clearReadable(socket)
    driven.start { await notes.read(socket, on: loop) }
    driven.advance(by: .seconds(10))
    #expect(notes.lines == ["readable"])
    driven.happen([.readable], on: socket)
    #expect(notes.lines == ["readable", "readable"])
    loop.forget(socket)
  }

  @Test("is cancelled now if somebody waits, and otherwise the next time", arguments: modes)
  func cancellation(mode: EventLoop.WaitMode) throws {
    let (driven, loop, notes, socket) = try Self.watched(mode)
    driven.start { await notes.read(socket, on: loop) }
    driven.start { loop.cancelWaits(of: socket) }
    #expect(notes.lines == ["cancelled"])
    driven.start { await notes.write(socket, on: loop) }
    #expect(notes.lines == ["cancelled", "cancelled"])
    driven.start { await notes.write(socket, on: loop) }
    #expect(notes.lines == ["cancelled", "cancelled"])
    driven.start { loop.cancelPresentWrite(of: socket) }
    driven.start { loop.cancelPresentWrite(of: socket) }
    driven.start { await notes.write(socket, on: loop) }
    driven.happen([.writable], on: socket)
    #expect(notes.lines == ["cancelled", "cancelled", "cancelled", "writable"])
    loop.forget(socket)
  }

  @Test("is not ended by an event of the descriptor that had the number before", arguments: modes)
  func generations(mode: EventLoop.WaitMode) throws {
    let (driven, loop, notes, socket) = try Self.watched(mode)
    driven.kernel.happen([.readable, .writable], on: socket)
    loop.forget(socket)
    try loop.watch(socket)
    driven.start { await notes.read(socket, on: loop) }
    #expect(notes.lines == [] && !loop.isReadable(socket))
    driven.start { loop.cancelPresentRead(of: socket) }
    loop.forget(socket)
  }

  @Test("drops what else an event says once its reader has closed the descriptor", arguments: modes)
  func closedByReader(mode: EventLoop.WaitMode) throws {
    let (driven, loop, notes, socket) = try Self.watched(mode)
    driven.start {
      await notes.read(socket, on: loop)
      loop.forget(socket)
      do { try loop.watch(socket) } catch { notes.lines.append("\(error)") }
      loop.spawn { await notes.write(socket, on: loop) }
    }
    driven.happen([.readable, .writable], on: socket)
    #expect(notes.lines == ["readable"])
    driven.happen([.writable], on: socket)
    #expect(notes.lines == ["readable", "writable"])
    loop.forget(socket)
  }

  @Test("is ended by the close of a linked descriptor", arguments: modes)
  func links(mode: EventLoop.WaitMode) throws {
    let (driven, notes, client, upstream) = try Self.linked(mode)
    let loop = driven.loop
    driven.start { await notes.read(upstream, on: loop) }
    driven.happen([.readable], on: client)
    #expect(notes.lines == [])
    driven.happen([.halfClosed], on: client)
    #expect(notes.lines == ["cancelled"])
    loop.forget(client)
    loop.forget(upstream)
  }

  @Test(
    "goes on when the link was taken away, its reader sees the close itself, or the number is reused",
    arguments: modes,
    ["unlinked", "read", "reused"]
  )
  func noLink(mode: EventLoop.WaitMode, how: String) throws {
    let (driven, notes, client, upstream) = try Self.linked(mode)
    let loop = driven.loop
    switch how {
    case "unlinked": loop.linkClose(of: client, to: nil)
    case "read": driven.start { try? await loop.readable(client, by: .never) }
    default:
      loop.forget(upstream)
      try loop.watch(upstream)
    }
    driven.start { await notes.read(upstream, on: loop) }
    driven.happen([.halfClosed], on: client)
    #expect(notes.lines == [])
    driven.happen([.readable], on: upstream)
    #expect(notes.lines == ["readable"])
    loop.forget(client)
    loop.forget(upstream)
  }

  @Test("is refused for a number beyond the table")
  func beyondTable() throws {
    let driven = try DrivenLoop(.parking)
    let most = Int32(driven.loop.descriptorLimit)
    #expect(throws: SystemError(.epollControl, 24)) { try driven.loop.watch(most) }
    try driven.loop.watch(most - 1)
    driven.loop.forget(most - 1)
  }
}
