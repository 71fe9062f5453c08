import Configuration
import Limiting
import MartletLoop
import MartletTelemetry

/// A place that an exchange or a connection has taken in a limit, until its end.
struct HeldPlace {
  let table: UseTable
  let place: UseTable.Place
}

/// Limits, which a request meets when its route is known.
extension HTTP1Connection {
  /// Lets an exchange pass the limits of its route, one after the other.
  ///
  /// - Throws: ``EndReason/limited`` at the first that refuses it.
  @inline(never)
  func passLimits(
    of route: Route,
    _ exchange: Exchange,
    _ head: Span<UInt8>
  ) throws(ExchangeError) {
    exchange.isLimited = true
    for limit in route.limits {
      let key = limit.key.word(of: exchange, head, of: self)
      switch limit.state {
      case .requests(let table):
        switch table.admit(key, at: UInt64(loop.now)) {
        case .admitted: worker.counters.add(to: limit.metrics.admitted)
        case .refused(let wait): try refuse(by: limit, wait: wait)
        }
      case .concurrency(let table, let most):
        try exchange.held.append(enter(table, key, most, by: limit))
      case .connections(let table, let most):
        guard !places.contains(where: { $0.table === table }) else { continue }
        do throws(ExchangeError) {
          try places.append(enter(table, key, most, by: limit))
        } catch {
          // What is too much is the connection.
          exchange.closesClient = true
          throw error
        }
      case .bandwidth(let table, let rate, let freeBytes):
        let pace = exchange.pace ?? Pace()
        pace.add(table, rate, key: key, freeBytes: freeBytes)
        exchange.pace = pace
        worker.counters.add(to: limit.metrics.admitted)
      }
    }
  }

  private func enter(
    _ table: UseTable,
    _ key: UInt64,
    _ most: Int,
    by limit: LimitPlan
  ) throws(ExchangeError) -> HeldPlace {
    if let place = table.enter(key, limit: most) {
      worker.counters.add(to: limit.metrics.admitted)
      return HeldPlace(table: table, place: place)
    }
    try refuse(by: limit, wait: 0)
    // A dry run counts what is under way all the same.
    guard let place = table.enter(key, limit: .max) else { throw ExchangeError(.internalError) }
    return HeldPlace(table: table, place: place)
  }

  /// Refuses an exchange that may not pass for `wait` nanoseconds, unless the limit is only tried.
  private func refuse(by limit: LimitPlan, wait: UInt64) throws(ExchangeError) {
    limit.noteRefusal(at: loop.now, in: worker.board.log)
    guard !limit.settings.isDryRun else {
      worker.counters.add(to: limit.metrics.wouldRefuse)
      return
    }
    worker.counters.add(to: limit.metrics.refused)
    var error = ExchangeError(
      .limited,
      status: UInt16(limit.settings.status),
      detail: limit.label
    )
    // Whole seconds, rounded up: who waits that long finds a token.
    error.retryAfterSeconds = UInt32(clamping: max(1, (wait + 999_999_999) / 1_000_000_000))
    throw error
  }

  /// Refuses an exchange that is less important than the overload allows.
  ///
  /// - Throws: ``EndReason/overloaded``.
  @inline(never)
  func shed(
    _ exchange: Exchange,
    _ route: Route,
    _ head: Span<UInt8>
  ) throws(ExchangeError) {
    let priority = route.priority.value(for: exchange, head, of: self)
    guard priority < worker.priorityFloor else { return }
    let now = worker.board.overload.present
    worker.counters.add(to: worker.generation.metrics.shed[priority])
    if now.level >= OverloadState.closing { exchange.closesClient = true }
    var error = ExchangeError(
      .overloaded,
      detail: "\(now.cause.rawValue);level=\(now.level)"
    )
    error.retryAfterSeconds = now.retryAfterSeconds
    throw error
  }

  /// Gives back what the connection has taken.
  func leaveLimits() {
    for held in places { held.table.leave(held.place) }
    places = []
  }
}

extension Exchange {
  /// Gives back what the exchange has taken.
  func leaveLimits() {
    for place in held { place.table.leave(place.place) }
    held.removeAll(keepingCapacity: true)
    pace = nil
    isLimited = false
  }
}
