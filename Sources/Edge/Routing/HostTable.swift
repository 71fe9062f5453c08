public import Configuration
import MartletBytes

/// Finds what belongs to a host: the exact name, else the longest wildcard.
///
/// The case of ASCII letters does not matter, nor does a dot at the end of a host, that of the root. An
/// exact name costs one look-up; only where there is none the name is passed from its end, with one
/// look-up for each length that a wildcard has. Neither costs more because there are more names.
public struct HostTable: Sendable {
  private var names = NameTable()
  private var suffixes = KeyTable()
  // Whether there is a wildcard whose suffix has this many bytes.
  private var suffixLengths: [Bool] = []

  /// Compiles the table; of several entries of the same pattern the first counts.
  public init(_ entries: [(pattern: HostPattern, value: Int)]) {
    for (pattern, value) in entries {
      switch pattern {
      case .exact(let name): names.insert(Array(name.utf8).span, value: value)
      case .wildcard(let suffix): insert(suffix.utf8.map(lowercased), value)
      }
    }
  }

  private mutating func insert(_ suffix: [UInt8], _ value: Int) {
    var hash = ByteHash()
    for byte in suffix.reversed() { hash.add(byte) }
    while suffixLengths.count <= suffix.count { suffixLengths.append(false) }
    suffixLengths[suffix.count] = true
    if self.value(ofSuffix: suffix.span, from: 0, hash.value()) == nil {
      suffixes.insert(suffix, hash: hash.value(), value: value)
    }
  }

  /// The value of the pattern that means `host`, which has no port; nil when none does.
  ///
  /// - Complexity: O(*n*) in the bytes of the host, with no allocation.
  public func value(for host: Span<UInt8>) -> Int? {
    if let value = names.value(of: host) { return value }
    guard host.count > 1, host[host.count &- 1] == 0x2E else { return wildcard(for: host) }
    let name = host.extracting(first: host.count &- 1)
    return names.value(of: name) ?? wildcard(for: name)
  }

  private func wildcard(for host: Span<UInt8>) -> Int? {
    if suffixLengths.isEmpty { return nil }
    // From the end, so that the hash of every suffix is met on the way, the longest one last.
    var hash = ByteHash()
    var longest: Int?
    let count = host.count
    let lengths = suffixLengths.span
    for length in 0..<min(count, lengths.count) {
      if lengths[length] {
        longest = value(ofSuffix: host, from: count &- length, hash.value()) ?? longest
      }
      hash.add(lowercased(host[count &- 1 &- length]))
    }
    return longest
  }

  private func value(ofSuffix host: Span<UInt8>, from start: Int, _ hash: UInt64) -> Int? {
    suffixes.value(hash: hash, count: host.count &- start) { key in
      for index in key.indices where key[index] != lowercased(host[start &+ index]) {
        return false
      }
      return true
    }
  }
}
