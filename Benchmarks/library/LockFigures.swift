import Glibc
import MartletSync
import Synchronization

/// Nanoseconds of one uncontended lock and release, of ours and of others.
enum LockFigures {
  private static let rounds = 5_000_000

  static func all() -> [Figure] {
    let lock = Lock()
    let readWrite = ReadWriteLock()
    let spin = SpinLock()
    let mutex = Mutex(0)
    let count = Box(0)
    let posix = PosixLocks()
    return [
      Figure("lock", time { lock.withLock { count.value += 1 } }),
      Figure("spin lock", time { spin.withLock { count.value += 1 } }),
      Figure("lock, Synchronization.Mutex", time { mutex.withLock { $0 += 1 } }),
      Figure(
        "lock, pthread",
        time {
          posix.lock()
          count.value += 1
          posix.unlock()
        }
      ),
      Figure("read lock", time { readWrite.withReadLock { count.value += 1 } }),
      Figure("write lock", time { readWrite.withWriteLock { count.value += 1 } }),
      Figure(
        "read lock, pthread",
        time {
          posix.lockToRead()
          count.value += 1
          posix.unlockToRead()
        }
      ),
    ]
  }

  @inline(never)
  private static func time(_ body: () -> Void) -> Double {
    (0..<5).map { _ in
      let start = nanoseconds()
      for _ in 0..<rounds { body() }
      return Double(nanoseconds() - start) / Double(rounds)
    }.min() ?? 0
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
