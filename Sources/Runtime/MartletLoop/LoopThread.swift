public import MartletSystem

extension EventLoop {
  /// Runs the loop on a thread of its own until ``stop()``.
  ///
  /// - Throws: ``SystemError`` when no thread is to be had.
  public func startThread() throws(SystemError) {
    try Thread.start { self.run() }
  }
}
