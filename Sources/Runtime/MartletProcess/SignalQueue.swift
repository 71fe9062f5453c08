public import MartletLoop
public import MartletSystem

/// Signals to this process as events of a loop.
///
/// They must have been blocked before the first thread was started, see ``ProcessSignal/block(_:)``.
public final class SignalQueue {
  private let loop: EventLoop
  private let source: Descriptor

  /// Creates a queue of these signals.
  ///
  /// - Throws: ``SystemError`` when no descriptor is to be had.
  public init(_ signals: [ProcessSignal], on loop: EventLoop) throws(SystemError) {
    source = try Descriptor.signals(signals)
    self.loop = loop
    try loop.watch(source.number, assumesReady: true)
  }

  deinit { loop.forget(source.number) }

  /// Waits for the next signal.
  ///
  /// Several of one kind that come before they are taken count as one, as `signal(7)` says.
  ///
  /// - Throws: ``WaitError`` when the deadline or a cancellation came first.
  public func next(by deadline: Deadline = .never) async throws(WaitError) -> ProcessSignal {
    while true {
      do throws(SystemError) {
        if let signal = try source.nextSignal() { return signal }
      } catch {
        preconditionFailure("a signal descriptor cannot be read: \(error)")
      }
      loop.clearReadiness(source.number)
      try await loop.readable(source.number, by: deadline)
    }
  }

  /// Ends the present or the next wait.
  public func cancel() { loop.cancelWaits(of: source.number) }
}
