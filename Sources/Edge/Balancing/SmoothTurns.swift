/// Whose turn it is among members with weights.
///
/// Each turn, every eligible member earns its weight, the one with the most credit is chosen, and it
/// pays what all of them earned. Over a period every member is chosen exactly as often as its weight
/// says, and never a whole turn ahead of its share. A member that is not eligible neither earns nor
/// pays, so it comes back as it went.
struct SmoothTurns: Sendable {
  private struct Turn: Sendable {
    let weight: Int
    let isBackup: Bool
    var credit = 0
  }

  // How far into its period a sequence may begin.
  private static let startLimit = 1024

  private var turns: [Turn]

  /// The state after `start` turns without exclusion.
  init(_ members: [BalancedMember], start: Int) {
    turns = members.map {
      Turn(weight: max(0, min($0.weight, BalancedMember.maxWeight)), isBackup: $0.isBackup)
    }
    skip(start, backups: false)
    skip(start, backups: true)
  }

  /// The weight of a member, within its bounds.
  func weight(of index: Int) -> UInt64 { UInt64(turns[index].weight) }

  /// The members that may be chosen at all: the backups, or the others.
  func canChoose(_ index: Int, backups: Bool) -> Bool {
    turns[index].isBackup == backups && turns[index].weight > 0
  }

  var indices: Range<Int> { turns.indices }

  /// The member whose turn it is among the backups, or among the others; `isEligible` is asked with
  /// its index and its weight.
  mutating func next(backups: Bool, where isEligible: (Int, Int) -> Bool) -> Int? {
    var total = 0
    var best: Int?
    var most = Int.min
    for index in turns.indices where canChoose(index, backups: backups) {
      let weight = turns[index].weight
      guard isEligible(index, weight) else { continue }
      let credit = turns[index].credit + weight
      turns[index].credit = credit
      total += weight
      if credit > most {
        most = credit
        best = index
      }
    }
    if let best { turns[best].credit -= total }
    return best
  }

  private mutating func skip(_ start: Int, backups: Bool) {
    var total = 0
    var divisor = 0
    for index in turns.indices where canChoose(index, backups: backups) {
      total += turns[index].weight
      divisor = greatestCommonDivisor(divisor, turns[index].weight)
    }
    guard total > 0 else { return }
    let period = min(total / divisor, Self.startLimit)
    for _ in 0..<Int(start.magnitude % UInt(period)) { _ = next(backups: backups) { _, _ in true } }
  }
}

private func greatestCommonDivisor(_ left: Int, _ right: Int) -> Int {
  var (left, right) = (left, right)
  while right != 0 { (left, right) = (right, left % right) }
  return left
}
