import Configuration
import Limiting
import MartletLoop
import MartletTelemetry

/// Limits, which a connection of layer 4 meets when its client is known.
extension StreamConnection {
  /// Lets the connection pass the limits of its block, one after the other.
  ///
  /// - Returns: Whether it may go on; if not, it has ended.
  @inline(never)
  func passLimits() -> Bool {
    for limit in plan.limits {
      let key = limit.key.word(of: peer)
      switch limit.state {
      case .requests(let table):
        if case .refused = table.admit(key, at: UInt64(loop.now)) {
          guard mayPass(limit) else { return false }
        } else {
          worker.counters.add(to: limit.metrics.admitted)
        }
      case .connections(let table, let most), .concurrency(let table, let most):
        if let place = table.enter(key, limit: most) {
          places.append(HeldPlace(table: table, place: place))
          worker.counters.add(to: limit.metrics.admitted)
          continue
        }
        guard mayPass(limit) else { return false }
        // A dry run counts what is open all the same.
        guard let place = table.enter(key, limit: .max) else { continue }
        places.append(HeldPlace(table: table, place: place))
      case .bandwidth: continue
      }
    }
    return true
  }

  /// Whether a limit that refuses is only tried; if not, the connection ends.
  private func mayPass(_ limit: LimitPlan) -> Bool {
    limit.noteRefusal(of: "connections", at: loop.now, in: worker.board.log)
    if limit.settings.isDryRun {
      worker.counters.add(to: limit.metrics.wouldRefuse)
      return true
    }
    worker.counters.add(to: limit.metrics.refused)
    end(.limited, limit.label)
    return false
  }

  /// Gives back what the connection has taken.
  func leaveLimits() {
    for held in places { held.table.leave(held.place) }
    places = []
  }
}
