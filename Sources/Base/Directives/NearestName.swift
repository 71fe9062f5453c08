/// The name that was most likely meant, or nil when none is near.
///
/// - Complexity: O(*n* · *m*) in the length of `name` and of all `candidates`; names longer than 64
///   bytes have no neighbour.
public func nearestName(to name: String, among candidates: some Sequence<String>) -> String? {
  let written = letters(of: name)
  guard !written.isEmpty, written.count <= 64 else { return nil }
  // Two slips in a long word, one in a short one.
  let limit = written.count > 4 ? 2 : 1
  var best: (distance: Int, name: String)?
  for candidate in candidates {
    let other = letters(of: candidate)
    var distance = abs(other.count - written.count) > limit + 1 ? limit + 1 : slips(written, other)
    // `head` for `head_limit`: what was left out is worth a guess too.
    if distance > limit, written.count > 2, other.starts(with: written) { distance = limit }
    guard distance <= limit, distance < best?.distance ?? .max else { continue }
    best = (distance, candidate)
  }
  return best?.name
}

/// The letters that count: `leastConnections` and `least-connections` are `least_connections`.
private func letters(of name: String) -> [UInt8] {
  name.lowercased().utf8.filter { $0 != UInt8(ascii: "_") && $0 != UInt8(ascii: "-") }
}

/// How many letters must be changed, put in, left out or swapped with their neighbour.
private func slips(_ left: [UInt8], _ right: [UInt8]) -> Int {
  guard !left.isEmpty, !right.isEmpty else { return max(left.count, right.count) }
  var before: [Int] = []
  var last = Array(0...right.count)
  for row in 1...left.count {
    var current = [row]
    for column in 1...right.count {
      var cost = min(
        last[column] + 1,
        current[column - 1] + 1,
        last[column - 1] + (left[row - 1] == right[column - 1] ? 0 : 1)
      )
      if row > 1, column > 1, left[row - 1] == right[column - 2], left[row - 2] == right[column - 1]
      {
        cost = min(cost, before[column - 2] + 1)
      }
      current.append(cost)
    }
    before = last
    last = current
  }
  return last[right.count]
}
