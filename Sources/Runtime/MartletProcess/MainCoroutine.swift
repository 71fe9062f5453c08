public import MartletLoop

extension EventLoop {
  /// Runs the loop on the calling thread until `body`, which runs on the loop, has returned.
  public func run(until body: @escaping @Sendable () async -> Void) {
    _ = Task {
      await perform(body)
      stop()
    }
    run()
  }
}
