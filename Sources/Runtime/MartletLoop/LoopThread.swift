import CLinux
public import MartletSystem

extension EventLoop {
  /// Runs the loop on a thread of its own until ``stop()``.
  ///
  /// - Throws: ``SystemError`` when no thread is to be had.
  public func startThread() throws(SystemError) {
    try Thread.start { self.run() }
  }
}

/// Threads of the operating system.
public enum Thread {
  private final class Body {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  /// Runs `body` on a new thread.
  ///
  /// - Throws: ``SystemError`` when no thread is to be had. Library call: `pthread_create(3)`.
  public static func start(_ body: @escaping @Sendable () -> Void) throws(SystemError) {
    let context = unsafe Unmanaged.passRetained(Body(body))
    // Safe: the new thread takes the one reference that was retained for it.
    let result = unsafe martlet_start_thread(
      { context in
        guard let context = unsafe context else { return }
        unsafe Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run()
      },
      context.toOpaque(),
      0
    )
    if result < 0 { unsafe context.release() }
    try check(result, .pthreadCreate)
  }
}
