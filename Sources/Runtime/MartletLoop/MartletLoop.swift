/// Event loops: one thread, one serial executor, and coroutines that wait on it without allocating.
///
/// Its one difficulty is how a coroutine waits. A continuation costs a lock, an allocation and a way
/// through the global pool; instead the coroutine *parks*: it hops to an executor that only stores
/// its job, and the loop runs that job when the event, the deadline or a cancellation comes. See
/// `Parking.swift` for the invariants, and ``EventLoop/WaitMode`` for the tested fall-back.
///
/// ```swift
/// actor Worker {
///   nonisolated let loop: EventLoop
///   nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }
///   func blink() async throws { try await loop.sleep(for: .seconds(1)) }
/// }
/// ```
