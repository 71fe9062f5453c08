public import MartletLoop
import MartletSystem

/// Why a lock could not be asked for.
public struct LockFault: Error, Hashable, Sendable, CustomStringConvertible {
  /// What is wrong, with the place.
  public var description: String

  /// Creates a fault.
  public init(_ description: String) { self.description = description }
}

/// Who keeps locks: a folder, a Redis or an etcd.
///
/// It belongs to one loop. A lock that is not renewed within its lease may be another's from then on.
public protocol LockService: AnyObject {
  /// Takes a lock if nobody has it.
  ///
  /// - Returns: Its token, larger than all before of this name; nil: another one has it.
  /// - Throws: ``LockFault``.
  func tryTake(_ name: String, lease: Duration) async throws(LockFault) -> UInt64?

  /// Says that it is still wanted.
  ///
  /// - Returns: false when it is another's, or nobody's, by now.
  /// - Throws: ``LockFault``.
  func renew(_ name: String, token: UInt64, lease: Duration) async throws(LockFault) -> Bool

  /// Gives it back; one that is another's by now is left alone.
  ///
  /// - Throws: ``LockFault``.
  func release(_ name: String, token: UInt64) async throws(LockFault)
}

/// A lock that was taken, and is renewed until it is released.
public final class DistributedLock {
  /// What it is called.
  public let name: String
  /// Larger than those of all who had it before.
  public let token: UInt64
  private let service: any LockService
  private let loop: EventLoop
  private let lease: Duration
  /// Until when it is certainly ours.
  private var until: Int64
  private var isReleased = false
  private let lost: Signal

  private init(
    _ name: String,
    _ token: UInt64,
    _ service: any LockService,
    _ lease: Duration,
    _ loop: EventLoop,
    askedAt: Int64
  ) throws(LockFault) {
    guard let lost = Signal(on: loop) else { throw LockFault("no timer is left") }
    self.name = name
    self.token = token
    self.service = service
    self.lease = lease
    self.loop = loop
    self.lost = lost
    until = askedAt + Self.nanoseconds(lease)
  }

  /// Takes a lock, for which the calling coroutine is suspended, at most for `limit`, and renews it from then on.
  ///
  /// - Returns: nil when the limit came first.
  /// - Throws: ``LockFault``.
  public static func take(
    _ name: String,
    from service: any LockService,
    lease: Duration,
    within limit: Duration? = nil,
    on loop: EventLoop
  ) async throws(LockFault) -> DistributedLock? {
    precondition(lease >= .seconds(1), "a lease is a second or longer")
    let begin = SystemClock.monotonicNanoseconds()
    while true {
      let asked = SystemClock.monotonicNanoseconds()
      if let token = try await service.tryTake(name, lease: lease) {
        let lock = try DistributedLock(name, token, service, lease, loop, askedAt: asked)
        loop.spawn { await lock.keep() }
        return lock
      }
      if let limit, SystemClock.monotonicNanoseconds() - begin >= nanoseconds(limit) { return nil }
      // Those that wait do not ask together.
      do throws(WaitError) {
        try await loop.sleep(for: .milliseconds(Int.random(in: 50...150)))
      } catch {}
    }
  }

  /// Whether it is ours, as far as the clock of this machine tells; what it protects looks at ``token``.
  public var isHeld: Bool { !isReleased && SystemClock.monotonicNanoseconds() < until }

  /// Waits until it is lost, or released.
  public func untilLost() async { while isHeld { await lost.untilSet() } }

  /// Gives it back.
  ///
  /// - Throws: ``LockFault``: it ends with its lease then.
  public func release() async throws(LockFault) {
    guard !isReleased else { return }
    isReleased = true
    lost.set()
    try await service.release(name, token: token)
  }

  /// Renews it three times in a lease, and tells when it is lost.
  private func keep() async {
    while isHeld {
      do throws(WaitError) { try await loop.sleep(for: lease / 3) } catch {}
      guard !isReleased else { return }
      let asked = SystemClock.monotonicNanoseconds()
      do throws(LockFault) {
        let isOurs = try await service.renew(name, token: token, lease: lease)
        until = isOurs ? asked + Self.nanoseconds(lease) : 0
      } catch {
        // It is ours until the lease ends; until then it is tried again.
      }
    }
    lost.set()
  }

  private static func nanoseconds(_ duration: Duration) -> Int64 {
    Int64(duration / .nanoseconds(1))
  }
}
