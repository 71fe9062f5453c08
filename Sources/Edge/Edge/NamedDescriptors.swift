public import MartletSystem
import Synchronization

/// Open sockets or files by the names that the configuration has for them.
///
/// The edge is given them by who may open them: it has no right to bind a port below 1024 or to
/// write where logs are.
public final class NamedDescriptors: Sendable {
  private let numbers = Mutex<[String: Int32]>([:])

  /// Has none.
  public init() {}

  deinit {
    for number in numbers.withLock(\.values) { _ = Descriptor(adopting: number) }
  }

  /// The names there are descriptors for.
  public var names: [String] { numbers.withLock { Array($0.keys) } }

  /// Takes over a descriptor, in the place of one that had the name before.
  public func insert(_ descriptor: consuming Descriptor, for name: String) {
    let number = descriptor.release()
    if let old = numbers.withLock({ $0.updateValue(number, forKey: name) }) {
      _ = Descriptor(adopting: old)
    }
  }

  /// Gives a descriptor away; nil when there is none of this name.
  public func remove(_ name: String) -> Descriptor? {
    guard let number = numbers.withLock({ $0.removeValue(forKey: name) }) else { return nil }
    return Descriptor(adopting: number)
  }

  /// Another descriptor of the same socket or file, or nil when there is none of this name.
  ///
  /// - Throws: ``SystemError`` when no descriptor is left.
  public func duplicate(of name: String) throws(SystemError) -> Descriptor? {
    guard let number = numbers.withLock({ $0[name] }) else { return nil }
    let borrowed = Descriptor(adopting: number)
    do throws(SystemError) {
      let copy = try borrowed.duplicate()
      _ = borrowed.release()
      return copy
    } catch {
      _ = borrowed.release()
      throw error
    }
  }
}
