import Configuration
import Limiting
import MartletLoop
import MartletSystem
import MartletTelemetry

/// Limits, which a connection of layer 4 meets when its client is known.
extension StreamConnection {
  /// Lets the connection pass the limits of its block, one after the other, and slows its bytes.
  ///
  /// - Returns: Whether it may go on; if not, it has ended.
  @inline(never)
  func passLimits() -> Bool {
    if let limit = plan.limits.pass(peer, "connections", worker, holding: &places) {
      end(.limited, limit.label)
      return false
    }
    for limit in plan.limits {
      guard case .bandwidth(let table, let rate, let freeBytes) = limit.state else { continue }
      let key = limit.key.word(of: peer)
      if case .upload = limit.settings.kind {
        up.addLimit(table, rate, key: key, freeBytes: freeBytes)
      } else {
        down.addLimit(table, rate, key: key, freeBytes: freeBytes)
      }
    }
    return true
  }
}

extension [LimitPlan] {
  /// Lets a client of layer 4 pass the limits, one after the other.
  ///
  /// - Returns: The first that refuses it; nil when it has passed all, and holds `places` until its end.
  func pass(
    _ client: SocketAddress,
    _ things: StaticString,
    _ worker: Worker,
    holding places: inout [HeldPlace]
  ) -> LimitPlan? {
    for limit in self {
      let key = limit.key.word(of: client)
      var isRefused = false
      switch limit.state {
      case .requests(let table):
        if case .refused = table.admit(key, at: UInt64(worker.loop.now)) { isRefused = true }
      case .connections(let table, let most), .concurrency(let table, let most):
        var place = table.enter(key, limit: most)
        isRefused = place == nil
        // A dry run counts what is open all the same.
        if isRefused, limit.settings.isDryRun { place = table.enter(key, limit: .max) }
        if let place { places.append(HeldPlace(table: table, place: place)) }
      case .bandwidth: break
      }
      guard isRefused else {
        worker.counters.add(to: limit.metrics.admitted)
        continue
      }
      limit.noteRefusal(of: things, at: worker.loop.now, in: worker.board.log)
      guard limit.settings.isDryRun else {
        worker.counters.add(to: limit.metrics.refused)
        return limit
      }
      worker.counters.add(to: limit.metrics.wouldRefuse)
    }
    return nil
  }
}

extension [HeldPlace] {
  /// Gives back what was taken.
  mutating func leave() {
    guard !isEmpty else { return }
    for held in self { held.table.leave(held.place) }
    self = []
  }
}
