/// Who may be chosen at all, in the order of the tiers: made when something changes, not for a choice.
///
/// A tier is in use while one of its members can be chosen. Where fewer of its members are well than
/// the panic threshold asks for, all of them are used: what is left would be overrun, and that so many
/// are unwell may be the fault of the checks.
public struct Tiers: Sendable {
  /// One tier: members that are chosen among as long as one of them can be.
  public struct Tier: Sendable {
    /// The members, in the order given.
    public let candidates: [Candidate]
    /// Whether members are among them that checks or failures speak against.
    public let isPanicking: Bool
  }

  /// The tiers that have a member to choose, the first one first.
  public let tiers: [Tier]

  /// Sorts members into tiers.
  ///
  /// With fewer than `panicThreshold` percent of a tier's members usable all of them are used; 0
  /// means never, so that with nobody well nobody is chosen.
  ///
  /// - Complexity: O(*n* log *n*) in the members.
  public init(_ members: [BalancedMember], panicThreshold: Int = 0) {
    // Places rather than members, and a stable order: `first` goes by it.
    var places: [Int: [BalancedMember]] = [:]
    for member in members where member.weight > 0 && member.condition != .unavailable {
      places[member.isBackup ? Int.max : member.tier, default: []].append(member)
    }
    let wanted = places.sorted { $0.key < $1.key }.map(\.value)
    var tiers: [Tier] = []
    for members in wanted {
      let usable = members.filter { $0.condition == .usable }
      guard !usable.isEmpty else { continue }
      let panics = usable.count * 100 < panicThreshold * members.count
      tiers.append(
        Tier(candidates: Candidate.all(panics ? members : usable), isPanicking: panics)
      )
    }
    if tiers.isEmpty, panicThreshold > 0 {
      tiers = wanted.map { Tier(candidates: Candidate.all($0), isPanicking: true) }
    }
    self.tiers = tiers
  }
}

/// A member that may be chosen, with what it counts now.
public struct Candidate: Hashable, Sendable {
  /// What the answer is when it is chosen.
  public let number: Int
  /// Its share of the turns.
  public let weight: Int
  /// How much it can bear where only the number of requests counts: 1, or less than others while it
  /// starts slowly.
  public let strength: Int
  /// Which part of its configured weight it has, of ``BalancedMember/fullRamp``.
  public let ramp: Int

  /// Creates a candidate.
  public init(number: Int, weight: Int = 1, strength: Int = 1, ramp: Int = BalancedMember.fullRamp)
  {
    self.number = number
    self.weight = weight
    self.strength = strength
    self.ramp = ramp
  }

  /// The members as candidates; only while one starts slowly are weights finer than written.
  static func all(_ members: [BalancedMember]) -> [Candidate] {
    let full = BalancedMember.fullRamp
    let isSlow = members.contains { $0.ramp < full }
    return members.map { member in
      let weight = min(member.weight, BalancedMember.maxWeight)
      let ramp = max(1, min(member.ramp, full))
      return Candidate(
        number: member.number,
        weight: isSlow ? weight * ramp : weight,
        strength: isSlow ? ramp : 1,
        ramp: ramp
      )
    }
  }
}
