/// A set of statuses from 400 to 599.
public struct StatusSet: Hashable, Sendable, ExpressibleByArrayLiteral {
  /// The statuses that it can hold.
  public static let statuses: ClosedRange<UInt16> = 400...599

  private var words: [UInt64] = [0, 0, 0, 0]

  /// Creates a set of these; others than ``statuses`` are left out.
  public init(arrayLiteral statuses: UInt16...) {
    for status in statuses { insert(status) }
  }

  /// Adds a status; one that it cannot hold changes nothing.
  public mutating func insert(_ status: UInt16) {
    guard Self.statuses.contains(status) else { return }
    words[Int(status - 400) / 64] |= 1 << UInt64((status - 400) % 64)
  }

  /// Whether it holds a status.
  public func contains(_ status: UInt16) -> Bool {
    guard Self.statuses.contains(status) else { return false }
    return words[Int(status - 400) / 64] >> UInt64((status - 400) % 64) & 1 != 0
  }

  /// What it holds, in order.
  public var all: [UInt16] { Self.statuses.filter(contains) }
}
