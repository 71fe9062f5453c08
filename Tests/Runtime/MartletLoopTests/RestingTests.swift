import MartletLoop
import MartletSystem
import Testing
import TestLoop

@Suite("A descriptor that rests")
struct RestingTests {
  private final class Keeper: RestingKeeper {
    var told: [String] = []

    func descriptorWoke(_ descriptor: Int32, hasInput: Bool) {
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

  @Test("says nothing more when it is forgotten", arguments: modes)
  func forgotten(mode: EventLoop.WaitMode) throws {
    let (driven, keeper, socket) = try resting(mode, for: .seconds(1))
    driven.loop.forget(socket)
    driven.advance(by: .seconds(3))
    #expect(keeper.told == [])
  }
}
