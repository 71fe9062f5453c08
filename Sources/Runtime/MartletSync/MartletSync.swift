/// Locks, semaphores, conditions and what else threads and coroutines wait for each other with.
///
/// Its one difficulty is that both wait for the same thing: a thread sleeps, a coroutine is suspended,
/// and one line serves them in the order in which they came. So every wait has one name and two forms;
/// the compiler takes the one that blocks in plain functions and the one that suspends, with `await`, in
/// asynchronous ones. Waits that have a limit end with ``WaitFailure/timedOut``, and those of a task that
/// is cancelled with ``WaitFailure/cancelled``.
///
/// For a value that only plain functions touch, and shortly, the standard library's `Mutex` is enough. What
/// is here waits with a limit, in coroutines, for more than one holder, or is checked: see ``LockChecks``.
///
/// ```swift
/// let places = Semaphore(4)
/// try await places.withPermit(within: .seconds(1)) { try await fetch(url) }
///
/// let (first, second) = (Lock("first"), Lock("second"))
/// // With checks, which debug builds have: “second” is taken while “first” is held, and elsewhere the
/// // other way round, is told before it ever stands still.
/// ```
import MartletSystem
