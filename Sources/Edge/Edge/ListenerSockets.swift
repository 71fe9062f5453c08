public import MartletSystem
import Synchronization

/// Listening sockets by the address they are named after in the configuration.
public final class ListenerSockets: Sendable {
  private let numbers = Mutex<[String: Int32]>([:])

  /// Has no socket.
  public init() {}

  deinit {
    for number in numbers.withLock(\.values) { _ = Descriptor(adopting: number) }
  }

  /// The addresses there are sockets for.
  public var keys: [String] { numbers.withLock { Array($0.keys) } }

  /// Takes over a socket that listens.
  public func insert(_ socket: consuming Descriptor, for key: String) {
    let number = socket.release()
    if let old = numbers.withLock({ $0.updateValue(number, forKey: key) }) {
      _ = Descriptor(adopting: old)
    }
  }

  /// Another descriptor of a socket, or nil when there is none of this name.
  ///
  /// - Throws: ``SystemError`` when no descriptor is left.
  func duplicate(of key: String) throws(SystemError) -> Descriptor? {
    guard let number = numbers.withLock({ $0[key] }) else { return nil }
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
