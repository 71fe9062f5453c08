/// Child processes and signals as events of a loop, and threads and processes that do work for results.
///
/// Its one difficulty is that a process may end at any moment, and that its number may be given to another once
/// it was reaped: a ``ChildProcess`` is reaped in one place, and is never signalled after that; work of a
/// ``ProcessPool`` belongs to one process at a time, and its result is told once.
///
/// ```swift
/// try ProcessSignal.block([.terminate])          // before the first thread
/// let signals = try SignalQueue([.terminate], on: loop)
/// let child = try ChildProcess.start(Program("/bin/sleep", arguments: ["60"]), on: loop)
/// child.send(try await signals.next())
/// let end = try await child.ended()              // .signal(.terminate)
///
/// let pool = ThreadPool(threadLimit: 4)
/// let digests = try await pool.map(files) { digest(of: $0) }
/// ```
import MartletLoop
import MartletSystem
