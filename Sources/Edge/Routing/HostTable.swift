public import Configuration
import MartletBytes

/// Finds what belongs to a host: the exact name, else the longest wildcard.
///
/// The case of ASCII letters does not matter. Asking costs one pass over the name from its end, and
/// one look-up for each length that a wildcard has: never more because there are more names.
public struct HostTable: Sendable {
  private var names = KeyTable()
  private var suffixes = KeyTable()
  // Whether there is a wildcard whose suffix has this many bytes.
  private var suffixLengths: [Bool] = []

  /// Compiles the table; of several entries of the same pattern the first counts.
  public init(_ entries: [(pattern: HostPattern, value: Int)]) {
    for (pattern, value) in entries {
      switch pattern {
      case .exact(let name): Self.insert(name, value, into: &names)
      case .wildcard(let suffix):
        let count = Self.insert(suffix, value, into: &suffixes)
        while suffixLengths.count <= count { suffixLengths.append(false) }
        suffixLengths[count] = true
      }
    }
  }

  @discardableResult
  private static func insert(_ name: String, _ value: Int, into table: inout KeyTable) -> Int {
    let key = name.utf8.map(lowercased)
    var hash = ByteHash()
    for byte in key.reversed() { hash.add(byte) }
    if Self.value(of: key.span, from: 0, hash.value(), in: table) == nil {
      table.insert(key, hash: hash.value(), value: value)
    }
    return key.count
  }

  /// The value of the pattern that means `host`, which has no port; nil when none does.
  ///
  /// - Complexity: O(*n*) in the bytes of the host, with no allocation.
  public func value(for host: Span<UInt8>) -> Int? {
    // From the end, so that the hash of every suffix is met on the way.
    var hash = ByteHash()
    var wildcard: Int?
    let count = host.count
    let lengths = suffixLengths.span
    for length in 0..<count {
      if length < lengths.count, lengths[length] {
        let found = Self.value(of: host, from: count &- length, hash.value(), in: suffixes)
        wildcard = found ?? wildcard
      }
      hash.add(lowercased(host[count &- 1 &- length]))
    }
    return Self.value(of: host, from: 0, hash.value(), in: names) ?? wildcard
  }

  private static func value(
    of host: Span<UInt8>,
    from start: Int,
    _ hash: UInt64,
    in table: KeyTable
  ) -> Int? {
    table.value(hash: hash, count: host.count &- start) { key in
      for index in key.indices where key[index] != lowercased(host[start &+ index]) {
        return false
      }
      return true
    }
  }
}
