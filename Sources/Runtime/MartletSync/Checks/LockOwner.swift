import MartletSystem

/// Who holds a lock or waits for one: a task, or a thread outside of tasks.
public struct LockOwner: Hashable, Sendable, CustomStringConvertible {
  private enum Kind { case task, thread }

  private let kind: Kind
  private let number: UInt64

  /// The task that runs, or else the thread.
  public static var current: LockOwner {
    // Safe: the task is that of the caller, lives as long as the call, and only its hash is taken.
    let task = unsafe withUnsafeCurrentTask { unsafe $0?.hashValue }
    guard let task else { return LockOwner(kind: .thread, number: Thread.ownNumber) }
    return LockOwner(kind: .task, number: UInt64(bitPattern: Int64(task)))
  }

  /// The kind and a number that tells it from others.
  public var description: String { "\(kind) \(String(number & 0xFFFF_FFFF, radix: 16))" }
}
