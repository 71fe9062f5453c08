public import Directives

/// What is different from a configuration, because somebody said so while the edge ran.
///
/// It is no record of what was said but the difference itself, so it does not grow with time. What
/// was added stands in it in the words of the configuration.
public struct RuntimeChanges: Hashable, Sendable {
  /// What is different in one upstream.
  public struct Upstream: Hashable, Sendable {
    /// Its name.
    public var name: String
    /// The lines of its block, if it was added, and what they say.
    public var added: Added<UpstreamSettings>?
    /// Whether it was removed; nothing else is said then.
    public var isRemoved = false
    /// What its members are wanted for, each of them at most.
    public var mode: MemberMode?
    /// What is different in its members; those that were added in their order.
    public var members: [Member] = []

    /// Creates the difference of an upstream that is as configured.
    public init(_ name: String) { self.name = name }

    var isEmpty: Bool { added == nil && !isRemoved && mode == nil && members.isEmpty }
  }

  /// What was added: as it was written, and as it was read then.
  public struct Added<Settings: Hashable & Sendable>: Hashable, Sendable {
    /// The text, in the language of the configuration.
    public let text: String
    let settings: Settings
  }

  /// What is different in one member.
  public struct Member: Hashable, Sendable {
    /// Where it is.
    public var address: Address
    /// The words behind `member`, if it was added, and what they say.
    public var added: Added<MemberSettings>?
    /// Whether it was removed; nothing else is said then.
    public var isRemoved = false
    /// Its share.
    public var weight: Int?
    /// What it is wanted for.
    public var mode: MemberMode?

    /// Creates the difference of a member that is as configured.
    public init(_ address: Address) { self.address = address }

    var isEmpty: Bool { added == nil && !isRemoved && weight == nil && mode == nil }
  }

  /// The most upstreams and members that one can name.
  public static let entryLimit = 10_000

  /// What is different in upstreams, in the order in which they were changed first.
  public var upstreams: [Upstream] = []

  /// Creates the changes of a configuration that is as it was read.
  public init() {}

  /// Whether nothing is different.
  public var isEmpty: Bool { upstreams.isEmpty }

  /// How many upstreams and members are named.
  public var entryCount: Int { upstreams.reduce(upstreams.count) { $0 + $1.members.count } }

  /// The difference of an upstream.
  subscript(name: String) -> Upstream {
    get { upstreams.first { $0.name == name } ?? Upstream(name) }
    set {
      let index = upstreams.firstIndex { $0.name == name }
      switch (index, newValue.isEmpty) {
      case (let index?, true): upstreams.remove(at: index)
      case (let index?, false): upstreams[index] = newValue
      case (nil, false): upstreams.append(newValue)
      case (nil, true): break
      }
    }
  }
}

extension RuntimeChanges.Upstream {
  /// The difference of a member.
  subscript(address: Address) -> RuntimeChanges.Member {
    get { members.first { $0.address == address } ?? RuntimeChanges.Member(address) }
    set {
      let index = members.firstIndex { $0.address == address }
      switch (index, newValue.isEmpty) {
      case (let index?, true): members.remove(at: index)
      case (let index?, false): members[index] = newValue
      case (nil, false): members.append(newValue)
      case (nil, true): break
      }
    }
  }
}

// MARK: What it makes of a configuration

extension EdgeConfiguration {
  /// The configuration with changes, later ones on top of earlier ones.
  ///
  /// What is no longer there to be changed is passed over, and an upstream stays as long as a route
  /// names it: a configuration that was read anew may know nothing of an earlier change.
  public func applying(_ layers: [RuntimeChanges]) -> EdgeConfiguration {
    var result = self
    var modes: [String: MemberMode] = [:]
    for change in layers.lazy.flatMap(\.upstreams) {
      if change.isRemoved, !isRouted(change.name) {
        result.upstreams.removeAll { $0.name == change.name }
        modes[change.name] = nil
      }
      if let added = change.added?.settings {
        result.upstreams.removeAll { $0.name == change.name }
        result.upstreams.append(added)
        modes[change.name] = nil
      }
      guard let index = result.upstreams.firstIndex(where: { $0.name == change.name }) else {
        continue
      }
      if let mode = change.mode { modes[change.name] = mode }
      for member in change.members { result.upstreams[index].apply(member) }
    }
    for (index, upstream) in result.upstreams.enumerated() {
      guard let mode = modes[upstream.name] else { continue }
      for place in upstream.members.indices where upstream.members[place].mode < mode {
        result.upstreams[index].members[place].mode = mode
      }
    }
    return result
  }

  /// Whether a route of a server, or a block of layer 4, names the upstream.
  public func isRouted(_ upstream: String) -> Bool {
    servers.contains { $0.routes.contains { $0.handler == .proxy(upstream: upstream) } }
      || tcp.contains { block in
        block.upstream == upstream || block.routes.contains { $0.upstream == upstream }
      }
      || udp.contains { $0.upstream == upstream }
  }
}

extension UpstreamSettings {
  fileprivate mutating func apply(_ change: RuntimeChanges.Member) {
    if change.isRemoved || change.added != nil {
      members.removeAll { $0.address == change.address }
    }
    if let added = change.added?.settings { members.append(added) }
    for index in members.indices where members[index].address == change.address {
      if let weight = change.weight { members[index].weight = weight }
      if let mode = change.mode { members[index].mode = mode }
    }
  }
}

extension RuntimeChanges.Added where Settings == UpstreamSettings {
  /// Reads the lines of the block of an upstream.
  ///
  /// - Throws: ``ChangeError`` with what is wrong and the mend.
  init(_ name: String, lines: String) throws(ChangeError) {
    settings = try UpstreamSettings.reading(name, lines)
    text = lines
  }
}

extension RuntimeChanges.Added where Settings == MemberSettings {
  /// Reads the words behind `member`.
  ///
  /// - Throws: ``ChangeError`` with what is wrong and the mend.
  init(line: String) throws(ChangeError) {
    settings = try MemberSettings.reading(line)
    text = line
  }
}
