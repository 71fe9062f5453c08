import Glibc
import MartletSync
import Synchronization

/// Nanoseconds of one uncontended lock and release, of ours and of others.
enum LockFigures {
  private static let rounds = 2_000_000

  static func all() throws -> [Figure] {
    let lock = Lock()
    let readWrite = ReadWriteLock()
    let spin = SpinLock()
    let mutex = Mutex(0)
    let count = Box(0)
    let posix = PosixLocks()
    return try inTurn(
      9,
      [
        ("lock", { time { lock.withLock { count.value += 1 } } }),
        ("spin lock", { time { spin.withLock { count.value += 1 } } }),
        ("lock, Synchronization.Mutex", { time { mutex.withLock { $0 += 1 } } }),
        (
          "lock, pthread",
          {
            time {
              posix.lock()
              count.value += 1
              posix.unlock()
            }
          }
        ),
        ("read lock", { time { readWrite.withReadLock { count.value += 1 } } }),
        ("write lock", { time { readWrite.withWriteLock { count.value += 1 } } }),
        (
          "read lock, pthread",
          {
            time {
              posix.lockToRead()
              count.value += 1
              posix.unlockToRead()
            }
          }
        ),
      ],
      of: { $0[0] }
    )
  }

  @inline(__always)
  private static func time(_ body: () -> Void) -> Double {
    let start = nanoseconds()
    for _ in 0..<rounds { body() }
    return Double(nanoseconds() - start) / Double(rounds)
  }
}

/// The locks of the C library.
final class PosixLocks: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let readWrite = UnsafeMutablePointer<pthread_rwlock_t>.allocate(capacity: 1)
  private let filled = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private let emptied = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  init() {
    pthread_mutex_init(mutex, nil)
    pthread_rwlock_init(readWrite, nil)
    pthread_cond_init(filled, nil)
    pthread_cond_init(emptied, nil)
  }

  func lock() { pthread_mutex_lock(mutex) }
  func unlock() { pthread_mutex_unlock(mutex) }
  func lockToRead() { pthread_rwlock_rdlock(readWrite) }
  func unlockToRead() { pthread_rwlock_unlock(readWrite) }
  func waitFilled() { pthread_cond_wait(filled, mutex) }
  func waitEmptied() { pthread_cond_wait(emptied, mutex) }
  func signalFilled() { pthread_cond_signal(filled) }
  func signalEmptied() { pthread_cond_signal(emptied) }
}
