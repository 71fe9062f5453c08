import MartletSystem

/// What a lock of checked mode tells about itself; other locks have none.
final class LockCheck: Sendable {
  let number: Int
  let name: String

  init(_ name: String) {
    self.name = name
    number = LockRegistry.shared.begin(name)
  }

  deinit { LockRegistry.shared.end(number) }

  /// The caller is about to take the lock and may have to wait for it.
  func noteWish(isShared: Bool = false) {
    tell(LockRegistry.shared.wish(number, isShared: isShared))
  }

  /// The caller has to wait.
  func noteWait() { tell(LockRegistry.shared.wait(number)) }

  /// The caller has given up.
  func noteEnd() { LockRegistry.shared.endWait() }

  /// The caller has the lock.
  func noteHeld(isShared: Bool = false) { LockRegistry.shared.hold(number, isShared: isShared) }

  /// The caller is about to release the lock.
  func noteRelease(isShared: Bool = false) {
    tell(LockRegistry.shared.release(number, isShared: isShared))
  }

  private func tell(_ reports: [LockReport]) {
    for report in reports {
      LockChecks.tell(report)
      // Going on would wait for ever, or release what another relies on.
      if case .takenTwice = report { preconditionFailure(report.description) }
      if case .releasedByStranger = report { preconditionFailure(report.description) }
    }
  }
}
