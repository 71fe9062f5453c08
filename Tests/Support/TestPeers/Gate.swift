import Foundation

/// What one thread waits for and another says.
public final class Gate: Sendable {
  private let semaphore = DispatchSemaphore(value: 0)

  /// Creates a closed gate.
  public init() {}

  /// Lets one more thread through.
  public func open() { semaphore.signal() }

  /// Waits until it is opened.
  ///
  /// - Throws: ``PeerError`` when it is not opened in time.
  public func pass() throws {
    guard semaphore.wait(timeout: .now() + .milliseconds(Int(patience.milliseconds))) == .success
    else { throw PeerError("a gate was not opened") }
  }
}
