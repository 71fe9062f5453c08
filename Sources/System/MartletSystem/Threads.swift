public import CLinux

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

  /// The number of the calling thread, which no other thread that lives has.
  ///
  /// Library call: `pthread_self(3)`.
  public static var ownNumber: UInt64 { martlet_thread() }

  /// Tells the processor that the calling thread turns until another one has done something.
  @inlinable public static func pause() { martlet_pause() }
}
