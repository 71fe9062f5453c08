import Configuration
import Edge
import MartletLoop
import MartletProcess
import MartletSystem
import Probes

/// How many programs run at once; others wait for a place.
final class ScriptPlaces {
  /// The most programs at once.
  static let count = 16

  private let loop: EventLoop
  private var freeCount = ScriptPlaces.count
  private var waiting: [Signal] = []

  init(on loop: EventLoop) { self.loop = loop }

  /// Waits for a place, and takes it.
  func take() async {
    guard freeCount == 0 else {
      freeCount -= 1
      return
    }
    guard let signal = Signal(on: loop) else { return await loop.yield() }
    waiting.append(signal)
    await signal.untilSet()
  }

  /// Gives a place to whoever has waited longest.
  func give() {
    if waiting.isEmpty {
      freeCount += 1
    } else {
      waiting.removeFirst().set()
    }
  }
}

/// Asks a program of this machine whether a target serves.
///
/// The program finds the target in its environment; its code 0 means that it serves.
final class ScriptQuestion {
  private let check: MemberCheck
  private let places: ScriptPlaces
  private let loop: EventLoop
  private var turn = 0

  init(_ check: MemberCheck, _ places: ScriptPlaces, on loop: EventLoop) {
    self.check = check
    self.places = places
    self.loop = loop
  }

  func ask() async -> ProbeVerdict {
    guard let path = check.settings.command.first else { return .failed(.local, "no program") }
    let addresses = check.addresses
    guard !addresses.isEmpty else { return .failed(.unreachable, "the name has no address") }
    turn = (turn + 1) % addresses.count
    let address = addresses[turn]
    var program = Program(path, arguments: Array(check.settings.command.dropFirst()))
    program.discardsOutput = true
    program.hasOwnGroup = true
    program.set("MARTLET_MEMBER", to: check.memberName)
    program.set("MARTLET_UPSTREAM", to: check.subjects.first?.upstream)
    program.set("MARTLET_ADDRESS", to: "\(address)")
    program.set("MARTLET_HOST", to: address.hostText)
    program.set("MARTLET_PORT", to: address.port.map { "\($0)" } ?? "")
    await places.take()
    defer { places.give() }
    let child: ChildProcess
    do throws(SystemError) {
      child = try ChildProcess.start(program, on: loop)
    } catch {
      return .failed(.local, "\(path): \(error)")
    }
    do throws(WaitError) {
      let end = try await child.ended(by: loop.deadline(after: Timeout(check.settings.timeout)))
      return end == .code(0) ? .passed("code 0") : .failed(.command, "the program \(end)")
    } catch {
      child.sendToGroup(.kill)
      do throws(WaitError) { _ = try await child.ended() } catch {}
      return .failed(.timeout, "the program was ended")
    }
  }
}
