public import Directives

/// One change of what is configured.
public enum RuntimeChange: Hashable, Sendable {
  /// A new upstream with the lines of its block.
  case addUpstream(String, lines: String)
  /// An upstream is gone; no route may name it.
  case removeUpstream(String)
  /// All members of an upstream are wanted for this at most.
  case setUpstream(String, MemberMode)
  /// A new member, by the words behind `member`.
  case addMember(upstream: String, line: String)
  /// A member is gone.
  case removeMember(upstream: String, Address)
  /// A member has this share.
  case weigh(upstream: String, Address, Int)
  /// A member is wanted for this.
  case setMember(upstream: String, Address, MemberMode)
}

/// The changes that are in force on top of a configuration.
public struct ChangeSet: Hashable, Sendable {
  /// Those that outlive a reload.
  public var kept = RuntimeChanges()
  /// Those that hold until the next reload, on top of those that are kept.
  public var untilReload = RuntimeChanges()

  /// Creates a set without changes.
  public init() {}

  /// All, lower ones first.
  public var layers: [RuntimeChanges] { [kept, untilReload] }

  /// Makes a change, if it is possible.
  ///
  /// With `isKept` it outlives a reload; what was said of the same thing until the reload is dropped.
  ///
  /// - Returns: The configuration with all changes.
  /// - Throws: ``ChangeError``; nothing is different then.
  public mutating func make(
    _ change: RuntimeChange,
    keeping isKept: Bool,
    on configuration: EdgeConfiguration
  ) throws(ChangeError) -> EdgeConfiguration {
    let effective = configuration.applying(layers)
    try Self.check(change, effective)
    var next = self
    if isKept {
      try checkKept(change, configuration.applying([kept]))
      try Self.note(change, in: &next.kept, below: configuration)
      if next.untilReload.adds(what: change) {
        // It was taken away and came back: what came back is changed too.
        try Self.note(change, in: &next.untilReload, below: configuration.applying([next.kept]))
      } else {
        try next.untilReload.drop(change)
      }
    } else {
      try Self.note(change, in: &next.untilReload, below: configuration.applying([kept]))
    }
    guard next.kept.entryCount + next.untilReload.entryCount <= RuntimeChanges.entryLimit else {
      throw ChangeError(
        .tooMany,
        "at most \(RuntimeChanges.entryLimit) changes are possible: `martlet config write` makes "
          + "them a part of the configuration"
      )
    }
    self = next
    return configuration.applying(layers)
  }

  // MARK: What is possible

  private static func check(
    _ change: RuntimeChange,
    _ configuration: EdgeConfiguration
  ) throws(ChangeError) {
    switch change {
    case .addUpstream(let name, let lines):
      guard configuration.upstream(named: name) == nil else {
        throw ChangeError(.exists, "there is an upstream named `\(name)` already")
      }
      _ = try UpstreamSettings.reading(name, lines)
    case .removeUpstream(let name):
      _ = try configuration.existing(name)
      guard !configuration.isRouted(name) else {
        throw ChangeError(
          .inUse,
          "a route sends requests to the upstream `\(name)`: remove the route first, or disable "
            + "the upstream"
        )
      }
    case .setUpstream(let name, _): _ = try configuration.existing(name)
    case .addMember(let name, let line):
      let upstream = try configuration.existing(name)
      let member = try MemberSettings.reading(line)
      guard !upstream.members.contains(where: { $0.address == member.address }) else {
        throw ChangeError(.exists, "`\(member.address)` is a member of `\(name)` already")
      }
    case .removeMember(let name, let address), .setMember(let name, let address, _):
      try configuration.existing(name).checkMember(address)
    case .weigh(let name, let address, let weight):
      try configuration.existing(name).checkMember(address)
      // The bounds are those of the configuration, which has them once.
      _ = try MemberSettings.reading("127.0.0.1:1 weight \(weight)")
    }
  }

  /// What is there until the reload alone cannot be kept in parts.
  private func checkKept(
    _ change: RuntimeChange,
    _ configuration: EdgeConfiguration
  ) throws(ChangeError) {
    let name: String
    switch change {
    case .addUpstream, .removeUpstream, .removeMember: return
    case .setUpstream(let upstream, _), .addMember(let upstream, _): name = upstream
    case .weigh(let upstream, let address, _), .setMember(let upstream, let address, _):
      let known = configuration.upstream(named: upstream)?.members ?? []
      guard !known.contains(where: { $0.address == address }) else { return }
      throw ChangeError(
        .noMember,
        "`\(address)` is a member of `\(upstream)` until the next reload only: remove it, and add it "
          + "with --keep"
      )
    }
    guard configuration.upstream(named: name) == nil else { return }
    throw ChangeError(
      .noUpstream,
      "`\(name)` is there until the next reload only: remove it, and add it with --keep"
    )
  }

  // MARK: What becomes different

  private static func note(
    _ change: RuntimeChange,
    in changes: inout RuntimeChanges,
    below lower: EdgeConfiguration
  ) throws(ChangeError) {
    switch change {
    case .addUpstream(let name, let lines):
      var upstream = RuntimeChanges.Upstream(name)
      upstream.added = try RuntimeChanges.Added<UpstreamSettings>(name, lines: lines)
      changes[name] = upstream
    case .removeUpstream(let name):
      var upstream = RuntimeChanges.Upstream(name)
      upstream.isRemoved = lower.upstream(named: name) != nil
      changes[name] = upstream
    case .setUpstream(let name, let mode): changes[name].mode = mode
    case .addMember(let name, let line):
      let added = try RuntimeChanges.Added<MemberSettings>(line: line)
      var member = RuntimeChanges.Member(added.settings.address)
      member.added = added
      // It stands behind those that were added before.
      changes[name].members.removeAll { $0.address == member.address }
      changes[name][member.address] = member
    case .removeMember(let name, let address):
      var member = RuntimeChanges.Member(address)
      let below = lower.applying([changes.with(name) { $0.members = [] }]).upstream(named: name)
      member.isRemoved = below?.members.contains { $0.address == address } ?? false
      changes[name][address] = member
    case .weigh(let name, let address, let weight): changes[name][address].weight = weight
    case .setMember(let name, let address, let mode): changes[name][address].mode = mode
    }
  }
}

extension RuntimeChanges {
  /// The changes with another difference of one upstream.
  fileprivate func with(_ name: String, _ body: (inout Upstream) -> Void) -> RuntimeChanges {
    var changes = self
    body(&changes[name])
    return changes
  }

  /// Whether it adds the member, or the upstream, that a change is about.
  fileprivate func adds(what change: RuntimeChange) -> Bool {
    switch change {
    case .addUpstream, .removeUpstream, .addMember, .removeMember: false
    case .setUpstream(let name, _): self[name].added != nil
    case .weigh(let name, let address, _), .setMember(let name, let address, _):
      self[name].added != nil || self[name][address].added != nil
    }
  }

  /// Drops what says the same as `change`, or something else of the same thing.
  fileprivate mutating func drop(_ change: RuntimeChange) throws(ChangeError) {
    switch change {
    case .addUpstream(let name, _), .removeUpstream(let name): self[name] = Upstream(name)
    case .setUpstream(let name, _): self[name].mode = nil
    case .addMember(let name, let line):
      let address = try MemberSettings.reading(line).address
      self[name][address] = Member(address)
    case .removeMember(let name, let address): self[name][address] = Member(address)
    case .weigh(let name, let address, _): self[name][address].weight = nil
    case .setMember(let name, let address, _): self[name][address].mode = nil
    }
  }
}

extension EdgeConfiguration {
  /// The upstream of a name.
  ///
  /// - Throws: ``ChangeError`` with the name that may be meant.
  public func existing(_ name: String) throws(ChangeError) -> UpstreamSettings {
    if let upstream = upstream(named: name) { return upstream }
    let names = upstreams.map(\.name)
    let near = nearestName(to: name, among: names).map { "did you mean `\($0)`?" }
    let all = names.isEmpty ? "there is none" : "there are " + names.listed
    throw ChangeError(.noUpstream, "there is no upstream named `\(name)`: \(near ?? all)")
  }
}

extension UpstreamSettings {
  fileprivate func checkMember(_ address: Address) throws(ChangeError) {
    guard !members.contains(where: { $0.address == address }) else { return }
    let names = members.map(\.address.description)
    let near = nearestName(to: address.description, among: names).map { "did you mean `\($0)`?" }
    let all = names.isEmpty ? "it has none" : "it has " + names.listed
    throw ChangeError(.noMember, "`\(address)` is no member of `\(name)`: \(near ?? all)")
  }
}

extension [String] {
  /// The names in quotes; many are cut short.
  fileprivate var listed: String {
    prefix(10).map { "`\($0)`" }.joined(separator: ", ") + (count > 10 ? ", …" : "")
  }
}
