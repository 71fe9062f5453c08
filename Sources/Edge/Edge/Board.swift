import Synchronization

/// What loops tell the outside: figures, and the state of everything.
final class Board: Sendable {
  init(generation: Generation) {}
  func metrics() -> [UInt8] { [] }
  func status() -> [UInt8] { [] }
}
enum Event { case acceptFailed, memberFailed }
extension Worker {
  func note(_ event: Event, _ text: String) {}
  func record(
    _ exchange: Exchange,
    _ head: borrowing MartletLoop.Lent,
    of connection: HTTP1Connection
  ) {}
}
import MartletLoop
