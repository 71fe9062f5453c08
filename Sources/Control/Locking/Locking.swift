/// Locks among machines: one of all that name it has it at a time, for as long as it says so.
///
/// The one difficulty is that a holder may stand still, or be cut off, and think that it still has the lock when
/// another one does. So each taking has a number that is larger than all before, a fencing token: whatever the lock
/// protects refuses what comes with a smaller one than it has seen.
///
/// ```swift
/// let locks = RedisLocks(at: address, on: loop)
/// let lock = try await DistributedLock.take("reports", from: locks, lease: .seconds(10), on: loop)
/// try await store.write(report, token: lock.token)   // the store refuses smaller tokens
/// try await lock.release()
/// ```
import MartletLoop
import MartletSystem
