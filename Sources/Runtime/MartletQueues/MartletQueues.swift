/// Queues between threads and coroutines: bounded, in several orders, closed and waited for.
///
/// Its one difficulty is that the fast way has no lock and the slow way sleeps: who finds nothing says
/// first that it waits, looks once more, and only then sleeps; who puts something in looks afterwards
/// whether somebody waits. So one of both always sees the other.
///
/// ```swift
/// let jobs = Queue<Job>(capacity: 100)
/// try await jobs.put(job, within: .seconds(1))          // suspends while it is full
/// for await job in jobs { await work(at: job); jobs.taskDone() }   // until it is closed and empty
/// jobs.close()
/// try await jobs.join()                                 // until all that was put in is done
/// ```
import MartletSync
