// How coroutines start on a loop.
//
// Invariant: a body given to `spawn` is made on the loop's thread (checked) and runs on the loop's
// executor and nowhere else, so what it captures never meets another thread.
//
// A trap of Swift 6.3: a closure *with a capture list* (`{ [self] in … }`) does not keep its caller's
// executor, but moves to the global one before its first line, and the compiler accepts the race. The
// tidy tests refuse capture lists here.

/// The actor of a loop, for coroutines that belong to no actor of their own.
actor LoopHome {
  // @unchecked: written once, before the loop is used.
  /// Points to the loop, which does not exist yet when its home is made.
  final class Executor: @unchecked Sendable {
    // Safe: the loop owns its home and outlives it.
    unowned(unsafe) var loop: EventLoop?
  }

  nonisolated let executor = Executor()
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    guard let loop = unsafe executor.loop else { preconditionFailure("a home without its loop") }
    return unsafe loop.asUnownedSerialExecutor()
  }

  /// How many bodies came from elsewhere; it also keeps the hop below from being optimised away.
  private var visits = 0

  /// Suspends the caller until the slot is woken.
  ///
  /// Here, and not where the loop's functions run: these belong to no actor, so a task that prefers no
  /// executor would leave for the global one before its continuation is made, and the loop would go on
  /// meanwhile.
  func suspend(_ slot: Int) async {
    guard let loop = unsafe executor.loop else { preconditionFailure("a home without its loop") }
    unsafe await withUnsafeContinuation(isolation: self) { unsafe loop.keep($0, in: slot) }
  }

  fileprivate func run(_ body: @Sendable () async -> Void) async {
    // Without a use of the actor's own state the compiler drops the hop to it: `body`, which runs
    // where its caller does, would run wherever that was.
    visits &+= 1
    await body()
  }
}

extension EventLoop {
  /// Starts a coroutine on this loop, from this loop: it runs when the present one waits.
  ///
  /// The body may capture what belongs to the loop. In the continuation mode its task prefers the
  /// loop as its executor, so that a resumed continuation comes straight back.
  ///
  /// - Parameters:
  ///   - name: What ``coroutineViews()`` calls it: what it does, or the function that spawns it.
  ///   - subject: Tells what it deals with, whenever somebody looks.
  ///   - body: What it does.
  public func spawn(
    named name: StaticString = #function,
    about subject: (() -> String?)? = nil,
    _ body: @escaping () async -> Void
  ) {
    precondition(isCurrent, "a coroutine is spawned on a loop from another thread")
    _ = launch(Coroutine(name, about: subject, on: self, body))
  }

  /// Starts a coroutine, from its loop.
  func launch(_ local: Coroutine) -> Task<Void, Never> {
    home.assumeIsolated { home in
      switch mode {
      case .parking:
        Task {
          _ = home
          await local.run()
        }
      case .continuation:
        Task(executorPreference: self) {
          _ = home
          await local.run()
        }
      }
    }
  }

  /// Runs a body on this loop some time later, from any thread, without waiting for it.
  func afterwards(_ body: @escaping @Sendable () -> Void) {
    // Preferring the loop it starts there, and needs no thread of the global pool to begin with.
    _ = Task(executorPreference: self) { body() }
  }

  /// Runs a body on this loop, from any thread, and waits for its end.
  public func perform(_ body: @escaping @Sendable () async -> Void) async {
    switch mode {
    case .parking: await home.run(body)
    case .continuation:
      await Task(executorPreference: self) { await self.home.run(body) }.value
    }
  }
}
