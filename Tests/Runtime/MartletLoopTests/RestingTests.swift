import MartletLoop
import MartletSystem
import Testing
import TestLoop

@Suite("A descriptor that rests")
struct RestingTests {
  private final class Keeper: RestingKeeper {
    var told: [String] = []
    var owners: [Int32] = []

    func descriptorWoke(_ descriptor: Int32, hasInput: Bool) {
      owners.append(descriptor)
      told.append(hasInput ? "input" : "no input")
    }
  }

  static let modes = [EventLoop.WaitMode.parking, .continuation]

  private func resting(
    _ mode: EventLoop.WaitMode,
    for limit: Duration? = nil
  ) throws -> (DrivenLoop, Keeper, Int32) {
    let driven = try DrivenLoop(mode)
    let keeper = Keeper()
    let socket = driven.kernel.descriptor()
    driven.loop.keeper = keeper
    try driven.loop.watch(socket)
    let deadline = limit.map { driven.loop.deadline(after: Timeout($0)) } ?? .never
    driven.loop.rest(socket, until: deadline)
    return (driven, keeper, socket)
  }

  @Test("is told to its keeper once when it can be read", arguments: modes)
  func input(mode: EventLoop.WaitMode) throws {
    let (driven, keeper, socket) = try resting(mode)
    #expect(keeper.told == [])
    driven.happen([.readable], on: socket)
    driven.happen([.readable], on: socket)
    #expect(keeper.told == ["input"])
    driven.loop.forget(socket)
  }

  @Test("is told to its keeper when the other side closes", arguments: modes)
  func closed(mode: EventLoop.WaitMode) throws {
    let (driven, keeper, socket) = try resting(mode)
    driven.happen([.halfClosed], on: socket)
    #expect(keeper.told == ["input"])
    #expect(driven.loop.isClosed(socket))
    driven.loop.forget(socket)
  }

  @Test("is told to its keeper when its rest is cancelled", arguments: modes)
  func cancelled(mode: EventLoop.WaitMode) throws {
    let (driven, keeper, socket) = try resting(mode)
    driven.loop.cancelWaits(of: socket)
    #expect(keeper.told == ["no input"])
    driven.loop.forget(socket)
  }

  @Test("is told to its keeper at its deadline, and not before", arguments: modes)
  func deadline(mode: EventLoop.WaitMode) throws {
    let (driven, keeper, socket) = try resting(mode, for: .seconds(1))
    driven.advance(by: .milliseconds(900))
    #expect(keeper.told == [])
    driven.advance(by: .milliseconds(300))
    #expect(keeper.told == ["no input"])
    driven.loop.forget(socket)
  }

  @Test("is told by the number of the one that it rests for", arguments: modes)
  func owner(mode: EventLoop.WaitMode) throws {
    let (driven, keeper, client) = try resting(mode)
    let member = driven.kernel.descriptor()
    try driven.loop.watch(member)
    driven.loop.rest(member, for: client, until: .never)
    driven.happen([.readable, .halfClosed], on: member)
    #expect(keeper.owners == [client])
    driven.happen([.readable], on: client)
    #expect(keeper.owners == [client, client])
    driven.loop.forget(member)
    driven.loop.forget(client)
  }

  @Test("ends the next wait with what ended its rest", arguments: modes)
  func waitBehind(mode: EventLoop.WaitMode) throws {
    let (driven, keeper, socket) = try resting(mode, for: .seconds(1))
    driven.advance(by: .seconds(2))
    #expect(keeper.told == ["no input"])
    var ends: [WaitError] = []
    driven.start {
      do throws(WaitError) { try await driven.loop.readable(socket, by: .never) } catch {
        ends.append(error)
      }
    }
    #expect(ends == [.timedOut])
    driven.loop.forget(socket)
  }

  @Test("can be waited for again when input comes behind its deadline", arguments: modes)
  func late(mode: EventLoop.WaitMode) throws {
    let (driven, keeper, socket) = try resting(mode, for: .seconds(1))
    driven.advance(by: .seconds(2))
    #expect(keeper.told == ["no input"])
    driven.happen([.readable], on: socket)
    driven.loop.clearReadable(socket)
    var ends = 0
    driven.start {
      do throws(WaitError) { try await driven.loop.readable(socket, by: .never) } catch {
        ends = -1
      }
      ends += 1
    }
    #expect(ends == 0)
    driven.happen([.readable], on: socket)
    #expect(ends == 1)
    driven.loop.forget(socket)
  }

  @Test("is told when the one that it rests for closes", arguments: modes)
  func ownerCloses(mode: EventLoop.WaitMode) throws {
    let driven = try DrivenLoop(mode)
    let keeper = Keeper()
    driven.loop.keeper = keeper
    let client = driven.kernel.descriptor()
    let member = driven.kernel.descriptor()
    try driven.loop.watch(client)
    try driven.loop.watch(member)
    driven.loop.linkClose(of: client, to: member)
    driven.loop.rest(member, for: client, until: .never)
    driven.happen([.halfClosed], on: client)
    #expect(keeper.told == ["no input"])
    #expect(keeper.owners == [client])
    driven.loop.forget(member)
    driven.loop.forget(client)
  }

  @Test("is told when it can be written, also while it rests for input", arguments: modes)
  func room(mode: EventLoop.WaitMode) throws {
    let (driven, keeper, socket) = try resting(mode)
    driven.loop.restForWriting(socket, for: 7, until: .never)
    #expect(driven.loop.isResting(socket) && driven.loop.isRestingForWriting(socket))
    driven.happen([.writable], on: socket)
    #expect(keeper.owners == [7] && keeper.told == ["input"])
    #expect(driven.loop.isResting(socket) && !driven.loop.isRestingForWriting(socket))
    driven.happen([.readable, .writable], on: socket)
    #expect(keeper.owners == [7, socket])
    driven.loop.forget(socket)
  }

  @Test("is told at its deadline that it cannot be written", arguments: modes)
  func noRoom(mode: EventLoop.WaitMode) throws {
    let (driven, keeper, socket) = try resting(mode)
    let deadline = driven.loop.deadline(after: Timeout(.seconds(1)))
    driven.loop.restForWriting(socket, until: deadline)
    driven.advance(by: .seconds(2))
    #expect(keeper.told == ["no input"])
    driven.loop.forget(socket)
  }

  @Test("for this turn only is told in the next one, once", arguments: modes)
  func brief(mode: EventLoop.WaitMode) throws {
    let driven = try DrivenLoop(mode)
    let keeper = Keeper()
    driven.loop.keeper = keeper
    let socket = driven.kernel.descriptor()
    try driven.loop.watch(socket, assumesReady: true)
    driven.loop.restBriefly(socket)
    #expect(keeper.told == [])
    driven.settle()
    #expect(keeper.told == ["input"])
    driven.settle()
    #expect(keeper.told == ["input"])
    driven.loop.restBriefly(socket)
    driven.loop.forget(socket)
    driven.settle()
    #expect(keeper.told == ["input"])
  }

  @Test("knows a connection that broke from one that was closed", arguments: modes)
  func broken(mode: EventLoop.WaitMode) throws {
    let (driven, keeper, socket) = try resting(mode)
    driven.happen([.readable, .halfClosed], on: socket)
    #expect(driven.loop.isClosed(socket) && !driven.loop.isBroken(socket))
    driven.happen([.readable, .broken], on: socket)
    #expect(driven.loop.isBroken(socket))
    #expect(keeper.told == ["input"])
    driven.loop.forget(socket)
  }

  @Test("says nothing more when it is forgotten", arguments: modes)
  func forgotten(mode: EventLoop.WaitMode) throws {
    let (driven, keeper, socket) = try resting(mode, for: .seconds(1))
    driven.loop.forget(socket)
    driven.advance(by: .seconds(3))
    #expect(keeper.told == [])
  }
}
