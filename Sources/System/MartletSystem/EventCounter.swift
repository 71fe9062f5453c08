import CLinux

/// A number that is added to and taken away as a whole, which a loop or a thread can wait for; other processes may
/// have it, too.
///
/// System call: `eventfd(2)`.
public final class EventCounter: Sendable {
  /// Readable while the number is above 0.
  public let descriptor: Descriptor

  /// Creates one at 0.
  ///
  /// - Throws: ``SystemError`` when no descriptor is to be had.
  public init() throws(SystemError) {
    descriptor = Descriptor(adopting: Int32(try check(martlet_eventfd(), .eventfd)))
  }

  /// Takes over one that another process has sent.
  public init(adopting descriptor: consuming Descriptor) { self.descriptor = descriptor }

  /// Adds to the number.
  ///
  /// - Returns: false when it would be above 2⁶⁴ − 2.
  @discardableResult
  public func add(_ count: UInt64 = 1) -> Bool {
    var count = count
    // Safe: eight bytes of a local number.
    return unsafe martlet_write(descriptor.number, &count, 8) == 8
  }

  /// Takes the whole number, 0 if it is that; does not wait.
  @discardableResult
  public func take() -> UInt64 {
    var count: UInt64 = 0
    // Safe: eight bytes of a local number.
    return unsafe martlet_read(descriptor.number, &count, 8) == 8 ? count : 0
  }
}
