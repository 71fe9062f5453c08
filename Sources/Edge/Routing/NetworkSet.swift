public import Directives

/// Whether an address lies in one of many networks.
public struct NetworkSet: Sendable {
  // The networks as ranges of addresses that are sorted and do not touch.
  private var firsts: [UInt128] = []
  private var lasts: [UInt128] = []

  /// Compiles the set; IPv4 networks are those of `::ffff:0:0/96`.
  public init(_ networks: [Network]) {
    let ranges = networks.map { network in
      let (high, low) = network.address.words
      let first = UInt128(high) << 64 | UInt128(low)
      let bits =
        if case .ipv4 = network.address { network.prefixBits + 96 } else { network.prefixBits }
      return (first: first, last: first | UInt128.max >> UInt128(bits))
    }
    for range in ranges.sorted(by: { $0.first < $1.first }) {
      if let last = lasts.last, last == .max || range.first <= last + 1 {
        lasts[lasts.count - 1] = max(last, range.last)
      } else {
        firsts.append(range.first)
        lasts.append(range.last)
      }
    }
  }

  /// Whether the address with these words (see ``IPAddress/words``) lies in one of the networks.
  ///
  /// - Complexity: O(log *n*) in the networks, with no allocation.
  public func contains(_ words: (UInt64, UInt64)) -> Bool {
    let address = UInt128(words.0) << 64 | UInt128(words.1)
    // The number of ranges that begin at the address or before it.
    var low = 0
    var high = firsts.count
    while low < high {
      let middle = (low &+ high) &>> 1
      if firsts[middle] <= address { low = middle &+ 1 } else { high = middle }
    }
    return low > 0 && address <= lasts[low &- 1]
  }
}
