import MartletLoop
import MartletSystem
import MartletTelemetry

/// Keeps the addresses of members that are named up to date.
///
/// It runs on one loop and asks on threads of its own. A name that does not resolve keeps the
/// addresses it had; one that never did leaves its member out until it does.
final class NameResolution {
  private let loop: EventLoop
  private let board: Board
  private let threads: BlockingPool?
  private var generation: Generation?
  private var turn = 0

  init(loop: EventLoop, board: Board) {
    self.loop = loop
    self.board = board
    do throws(SystemError) {
      threads = try BlockingPool(threadLimit: 4, queueLimit: 4096)
    } catch {
      threads = nil
      board.log.note(.error, "names cannot be resolved", [LogLine.Field("error", "\(error)")])
    }
  }

  /// Resolves the names of a generation, and again whenever their time has come.
  ///
  /// Returns when each name was asked for once, or `limit` has passed.
  func follow(_ generation: Generation, waitingAtMost limit: Duration) async {
    turn += 1
    let turn = turn
    let deadline = loop.deadline(after: Timeout(limit))
    guard let signal = Signal(on: loop) else { return }
    var waiting = 0
    for upstream in generation.upstreams {
      for member in upstream.members where member.hasName {
        waiting += 1
        loop.spawn(named: "resolve the name of a member") {
          await self.resolve(member, in: upstream)
          waiting -= 1
          signal.set()
          await self.keepResolving(member, in: upstream, turn)
        }
      }
    }
    while waiting > 0 {
      do throws(WaitError) { try await signal.wait(by: deadline) } catch { return }
    }
  }

  /// Resolves the name of a member that was added, and again whenever its time has come.
  func follow(_ member: Member, in upstream: UpstreamPlan) {
    guard member.hasName else { return }
    let turn = turn
    loop.spawn(named: "resolve the name of a member") {
      await self.resolve(member, in: upstream)
      await self.keepResolving(member, in: upstream, turn)
    }
  }

  /// Resolves a name at its times, until the member is gone or another generation is in force.
  private func keepResolving(_ member: Member, in upstream: UpstreamPlan, _ turn: Int) async {
    while turn == self.turn {
      do { try await loop.sleep(for: upstream.resolveInterval) } catch { await loop.yield() }
      guard turn == self.turn, upstream.members.contains(where: { $0 === member }) else { return }
      await resolve(member, in: upstream)
    }
  }

  private func resolve(_ member: Member, in upstream: UpstreamPlan) async {
    guard let threads, case .name(let name, let port) = member.location else { return }
    do {
      let found = try await threads.run(on: loop) {
        () -> Result<[SocketAddress], ResolutionError> in
        do throws(ResolutionError) {
          return .success(try SocketAddress.resolve(name, port: port))
        } catch {
          return .failure(error)
        }
      }
      let addresses = try found.get()
      guard member.update(addresses) else { return }
      board.log.note(
        .notice,
        "a member has other addresses",
        fields(member, upstream) + [
          LogLine.Field("addresses", addresses.map(\.description).joined(separator: " "))
        ]
      )
    } catch {
      board.log.note(
        .warning,
        "a member's name does not resolve",
        fields(member, upstream) + [LogLine.Field("error", "\(error)")]
      )
    }
  }

  private func fields(_ member: Member, _ upstream: UpstreamPlan) -> [LogLine.Field] {
    [LogLine.Field("upstream", upstream.name), LogLine.Field("member", member.name)]
  }
}
