/// Applications in Python: what is said to the processes that run them, and who of them is next.
///
/// A worker is the user's own interpreter running one small program, ``WorkerProgram``, which speaks in
/// messages over socket pairs: no second parser of HTTP stands between the edge and the application. The
/// one difficulty is that all loops give work to the same workers: ``Application`` chooses under a lock,
/// and whoever takes an answer sends the next request that waits, on behalf of whichever loop it is of.
/// What a loop has for a worker in one turn goes in one message, from its ``WorkerOutbox``.
///
/// ```swift
/// let application = Application()
/// application.add(process)
/// switch application.submit(request, at: now, into: &outbox) {
/// case .given, .waits: break
/// case .isFull: refuse(request)
/// }
/// outbox.send(for: application)
/// ```
import MartletSystem
