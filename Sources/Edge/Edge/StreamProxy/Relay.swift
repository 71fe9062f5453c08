import MartletLoop
import MartletNet
import MartletSystem
import MartletTelemetry

/// Passes bytes both ways between a client and a member until both have ended, without a coroutine.
///
/// The usual message is one call: the loop wakes the relay, which reads into a lent buffer, sends, and
/// rests again; nothing is held meanwhile. Much at a time passes through a pipe of the kernel. Only
/// while a side takes nothing does the relay hold a buffer or a pipe for it, and reads no more.
///
/// A side that ends is told to the other as the end of its input; a side that was reset resets the
/// other. An HTTP ``Tunnel`` and a ``StreamConnection`` are relays.
class Relay {
  let worker: Worker
  let client: Stream
  /// The connection to the member, which may still be opening.
  private(set) var member: Stream?
  /// Whether bytes pass; before that a subclass is told what happens, see ``wokeEarly(hasInput:)``.
  private(set) var isPassing = false
  /// From the client to the member.
  var up = Way()
  /// From the member to the client.
  var down = Way()
  /// The number under which the worker finds the relay when the loop wakes one of its descriptors.
  private let key: Int32
  private let idleTime: Timeout
  private var idleUntil = Deadline.never
  /// When it ends, whatever happens.
  let total: Deadline
  private var isOver = false
  /// Whether ``memberSpoke()`` is to be called when the member has said something.
  var awaitsWord = false

  /// Creates a relay that its worker finds by `key`, the number of one of its descriptors.
  init(worker: Worker, client: Stream, key: Int32, idle: Timeout, total: Deadline) {
    self.worker = worker
    self.client = client
    self.key = key
    idleTime = idle
    self.total = total
    worker.attend(self, as: key)
  }

  var loop: EventLoop { worker.loop }

  // MARK: For subclasses

  /// Called while bytes do not pass yet, when what was rested for came, or its time or a cancellation.
  func wokeEarly(hasInput: Bool) {}

  /// Called once when the member has said something, where ``awaitsWord`` asks for that.
  func memberSpoke() {}

  /// Why the relay ends on which nobody has said anything for as long as may be; nil: it goes on for as long again.
  func silent() -> EndReason? { .idleTimeout }

  /// Called once, when the relay is over.
  func ended(_ reason: EndReason, _ detail: String) {}

  /// Takes another connection as the member's; nil lets go of it.
  func use(_ stream: Stream?) { member = stream }

  /// Rests until the client sends something or ends, as long as bytes do not pass yet.
  func restForClient() {
    if client.hasEvent {
      loop.restBriefly(client.descriptor, for: key)
    } else {
      loop.rest(client.descriptor, for: key, until: total)
    }
  }

  /// Rests until the member's connection stands or has failed.
  func restForMember(until deadline: Deadline) {
    member?.restForWriting(for: key, until: deadline.earlier(total))
  }

  /// Lets bytes pass from now on: first what each way holds, then what comes.
  func pass() {
    isPassing = true
    idleUntil = loop.deadline(after: idleTime)
    go()
  }

  // MARK: Waking

  /// Goes on after a rest of one of the descriptors.
  @inline(__always)
  func woke(hasInput: Bool) {
    guard isPassing else { return wokeEarly(hasInput: hasInput) }
    if hasInput {
      idleUntil = loop.deadline(after: idleTime)
    } else if let reason = reasonToEnd() {
      return end(reason)
    }
    go()
  }

  /// Why a relay ends whose descriptors have rested too long, or were woken without an event.
  private func reasonToEnd() -> EndReason? {
    if worker.isOver { return .drained }
    if loop.hasPassed(total) { return .totalTimeout }
    if loop.hasPassed(idleUntil) {
      if let reason = silent() { return reason }
      idleUntil = loop.deadline(after: idleTime)
    }
    if client.isBroken { return .clientReset }
    if member?.isBroken ?? true { return .upstreamReset }
    return nil
  }

  /// How a relay ends, and more about it.
  private struct Ending {
    var reason: EndReason
    var detail = ""
  }

  /// Does what can be done in each direction that does not rest.
  @inline(__always)
  private func go() {
    guard let member else { return }
    if !rests(up, client, member),
      let ending = step(&up, from: client, to: member, isLast: down.isOver)
    {
      return end(ending.reason, ending.detail)
    }
    if !rests(down, member, client),
      let ending = step(&down, from: member, to: client, isLast: up.isOver)
    {
      return end(ending.reason, ending.detail)
    }
    if awaitsWord, down.count > 0 {
      awaitsWord = false
      memberSpoke()
    }
    if up.isOver, down.isOver { end(.complete) }
  }

  /// Sends what was read in this turn.
  func sendRead() {
    if !isOver { go() }
  }

  /// Whether a direction has nothing to do before it is woken.
  @inline(__always)
  private func rests(_ way: borrowing Way, _ source: Stream, _ target: Stream) -> Bool {
    if way.isOver || way.isPaused { return true }
    return way.isHolding
      ? loop.isRestingForWriting(target.descriptor) : loop.isResting(source.descriptor)
  }

  /// Passes on what there is, and rests until there is more.
  ///
  /// With `isLast` the other direction is over, so that closing tells the target of the end.
  @inline(__always)
  private func step(
    _ way: inout Way,
    from source: Stream,
    to target: Stream,
    isLast: Bool
  ) -> Ending? {
    do throws(Way.Failure) {
      switch try way.pass(from: source, to: target, on: loop) {
      case .needsInput: loop.rest(source.descriptor, for: key, until: idleUntil.earlier(total))
      case .waits:
        worker.readRelays.append(self)
        loop.tellsKeeper = true
      case .needsTurn: loop.restBriefly(source.descriptor, for: key)
      case .needsTime(let moment):
        way.isPaused = true
        goOn(at: moment, upwards: source === client)
        return watch(source, beside: target)
      case .needsRoom:
        target.restForWriting(for: key, until: idleUntil.earlier(total))
        return watch(source, beside: target)
      case .over:
        if isLast { return nil }
        target.shutdownWrite()
        return watch(source, beside: target)
      }
      return nil
    } catch {
      return fail(&way, error, source, target)
    }
  }

  /// Lets a direction go on at a moment, if there is anything left to go on.
  private func goOn(at moment: UInt64, upwards: Bool) {
    let relay = self
    loop.spawn(named: "slow a connection") { await relay.pause(until: moment, upwards: upwards) }
  }

  private func pause(until moment: UInt64, upwards: Bool) async {
    while !isOver, moment > UInt64(loop.now) {
      if worker.isOver { return end(.drained) }
      // Now and then it is seen whether the relay is over, which would be held for as long.
      let rest = min(Int64(moment) - loop.now, Self.lookNanoseconds)
      do throws(WaitError) {
        try await loop.sleep(for: .nanoseconds(rest))
      } catch {
        return end(.overloaded, "no timer is left")
      }
    }
    guard !isOver else { return }
    if upwards { up.isPaused = false } else { down.isPaused = false }
    idleUntil = loop.deadline(after: idleTime)
    go()
  }

  private static let lookNanoseconds: Int64 = 1_000_000_000

  /// Lets a reset of a side that is not read now wake the relay.
  private func watch(_ source: Stream, beside target: Stream) -> Ending? {
    loop.linkClose(of: source.descriptor, to: target.descriptor)
    return source.isBroken ? Ending(reason: reset(by: source)) : nil
  }

  private func reset(by stream: Stream) -> EndReason {
    stream === client ? .clientReset : .upstreamReset
  }

  private func fail(
    _ way: inout Way,
    _ failure: Way.Failure,
    _ source: Stream,
    _ target: Stream
  ) -> Ending? {
    switch failure {
    case .source(let error): return Ending(reason: reset(by: source), detail: error.detail)
    case .target(let error):
      way.giveUp()
      // The side had ended before it was reset: what it said until then is whole, and is passed on.
      if error.isAfterEnd { return watch(source, beside: target) }
      drain(from: target, to: source)
      return Ending(reason: reset(by: target), detail: error.detail)
    }
  }

  /// Passes on what a side had sent before it was reset, as far as the other takes it.
  private func drain(from source: Stream, to target: Stream) {
    do throws(Way.Failure) {
      if source === client {
        if !up.isOver { _ = try up.pass(from: source, to: target, on: loop) }
      } else if !down.isOver {
        _ = try down.pass(from: source, to: target, on: loop)
      }
    } catch {
      // What was there has been passed on, and the relay ends in any case.
      return
    }
  }

  // MARK: The end

  /// Ends the relay; a transfer that is cut short ends with a reset, which nobody takes for its end.
  func end(_ reason: EndReason, _ detail: String = "") {
    guard !isOver else { return }
    isOver = true
    switch reason {
    case .complete: break
    case .idleTimeout where !up.isHolding && !down.isHolding: break
    default:
      client.abort()
      member?.abort()
    }
    up.giveUp()
    down.giveUp()
    worker.forgetRelay(of: key)
    ended(reason, detail)
  }
}

extension StreamError {
  /// Whether the other side of a write had ended its sending before it would take no more.
  ///
  /// See `tcp_reset` of the kernel: EPIPE in CLOSE_WAIT, else ECONNRESET.
  var isAfterEnd: Bool {
    if case .failed(let error) = self { error.code == 32 } else { false }
  }

  /// The kernel's words.
  var detail: String {
    if case .failed(let error) = self { "\(error)" } else { "" }
  }
}
