import Balancing
import Configuration
import Limiting
import MartletLoop
import MartletNet
import MartletTelemetry

/// Waiting for a place at a member, where the upstream has a queue.
extension ReverseProxy {
  /// Chooses the member for the next try, and waits for a place at one if all that may be used are full.
  ///
  /// - Throws: ``ExchangeError``: that of the last try, or that there is no place.
  func beginOrWait(
    excluding tried: MemberSet,
    _ head: borrowing Lent
  ) async throws(ExchangeError) {
    guard let queue = upstream.plan.queue else {
      try begin(excluding: tried)
      return
    }
    if try beginNow(excluding: tried) != nil { return }
    guard upstream.isFull(excluding: tried) else {
      throw exchange.error ?? ExchangeError(.noMember, detail: upstream.plan.name)
    }
    let pool = try await place(queue, excluding: tried, head)
    if upstream.watchesTries { setLimit() }
    enter(pool)
  }

  /// Begins a try if there is a place for which nobody waits.
  ///
  /// - Throws: ``EndReason/breakerOpen`` when the upstream as a whole is left alone, or the
  /// client's member is out.
  func beginNow(
    excluding tried: MemberSet = MemberSet()
  ) throws(ExchangeError) -> MemberPool? {
    guard upstream.plan.state.queue.count == 0, let pool = try claim(excluding: tried) else {
      return nil
    }
    enter(pool)
    return pool
  }

  /// Tries the member again that was tried last, over a connection that is opened for it.
  func beginAgain(
    _ pool: MemberPool,
    excluding tried: MemberSet,
    _ head: borrowing Lent
  ) async throws(ExchangeError) {
    if upstream.watchesTries { setLimit() }
    if upstream.plan.queue == nil {
      pool.beginUnlimited()
      enter(pool)
    } else if pool.begin() {
      enter(pool)
    } else {
      // Its place was handed to another meanwhile.
      try await beginOrWait(excluding: tried, head)
    }
  }

  /// Waits until a place is handed over.
  private func place(
    _ plan: QueuePlan,
    excluding tried: MemberSet,
    _ head: borrowing Lent
  ) async throws(ExchangeError) -> MemberPool {
    let queue = upstream.plan.state.queue
    let settings = plan.settings
    guard let signal = Signal(on: loop) else { throw ExchangeError(.overloaded) }
    let only = upstream.affinity?.onlyMember(for: exchange)
    let waiter = MemberQueue.Waiter(signal, on: loop) { member in
      only.map { $0 == member.number } ?? !tried.contains(member.number)
    }
    let metrics = plan.metrics
    let counters = client.worker.counters
    let start = loop.now
    guard
      let ticket = queue.enter(
        waiter,
        settings,
        class: route.priority.value(for: exchange, head.bytes, of: client),
        source: plan.key.word(of: exchange, head.bytes, of: client),
        at: UInt64(start)
      )
    else {
      counters.add(to: metrics.full)
      throw ExchangeError(.queueFull, detail: upstream.plan.name)
    }
    upstream.serveWaiting(at: start)
    let limit = loop.deadline(after: Timeout(settings.timeout))
    var reason = EndReason.queueTimeout
    if client.stream.isClosed {
      reason = .clientClosed
    } else {
      loop.linkClose(of: client.stream.descriptor, to: signal)
      while waiter.outcome == nil {
        do throws(WaitError) {
          try await signal.wait(by: limit.earlier(exchange.hand.total))
        } catch {
          if error == .cancelled { reason = .clientClosed }
          break
        }
      }
      loop.linkClose(of: client.stream.descriptor, to: nil)
    }
    queue.leave(ticket)
    exchange.queuedNanoseconds &+= UInt64(max(0, loop.now - start))
    switch waiter.outcome {
    case .place(let member):
      guard let pool = upstream.pool(of: member) else {
        // It is no member any more of what this exchange began with.
        queue.giveBack(member, within: .max, at: loop.now)
        throw ExchangeError(.noMember, detail: upstream.plan.name)
      }
      pool.noteHandedOver()
      if reason == .clientClosed {
        pool.end()
        break
      }
      counters.add(to: metrics.served)
      counters.record(nanoseconds: UInt64(max(0, loop.now - start)), in: metrics.wait)
      return pool
    case .displaced:
      counters.add(to: metrics.full)
      throw ExchangeError(.queueFull, detail: upstream.plan.name)
    case nil: break
    }
    if reason == .queueTimeout, loop.hasPassed(exchange.hand.total) { reason = .totalTimeout }
    counters.add(to: reason == .clientClosed ? metrics.left : metrics.timedOut)
    throw ExchangeError(reason, detail: upstream.plan.name)
  }
}
