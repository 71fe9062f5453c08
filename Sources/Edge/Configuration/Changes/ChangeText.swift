import Directives

/// Why something cannot be changed: one sentence, with the mend.
public struct ChangeError: Error, Hashable, Sendable {
  /// What kind of refusal it is.
  public enum Kind: String, Hashable, Sendable, CaseIterable {
    /// There is no such upstream.
    case noUpstream
    /// There is no such member.
    case noMember
    /// What is to be added is there.
    case exists
    /// What is to be removed is in use.
    case inUse
    /// What was written is not in the language of the configuration.
    case wrongText
    /// There are as many changes as may be.
    case tooMany
  }

  /// What kind of refusal it is.
  public var kind: Kind
  /// What is wrong, and what to do.
  public var message: String

  /// Creates an error.
  public init(_ kind: Kind, _ message: String) {
    self.kind = kind
    self.message = message
  }
}

// What is added at run time is written in the words of the configuration, so that every option there
// is has the same name, bounds and errors here.

extension MemberSettings {
  /// Reads the words behind `member`: `127.0.0.1:9001 weight 2`.
  ///
  /// - Throws: ``ChangeError`` with what is wrong and the mend.
  public static func reading(_ line: String) throws(ChangeError) -> MemberSettings {
    let settings = try UpstreamSettings.reading("added", "member \(line)", onlyMember: true)
    guard settings.members.count == 1 else {
      throw ChangeError(.wrongText, "`\(line)` is not one member")
    }
    return settings.members[0]
  }
}

extension UpstreamSettings {
  /// The longest text that is added, in bytes.
  public static let addedBytes = 64 << 10

  /// Reads the lines of the block of an upstream.
  ///
  /// - Throws: ``ChangeError`` with what is wrong and the mend.
  public static func reading(
    _ name: String,
    _ lines: String
  ) throws(ChangeError) -> UpstreamSettings {
    try reading(name, lines, onlyMember: false)
  }

  fileprivate static func reading(
    _ name: String,
    _ lines: String,
    onlyMember: Bool
  ) throws(ChangeError) -> UpstreamSettings {
    guard lines.utf8.count <= addedBytes else {
      throw ChangeError(.wrongText, "what is added has at most \(addedBytes / 1024) KiB")
    }
    // Nothing that is written may end the block that it is to stand in.
    var alone = Reading(SourceBundle(name: name, text: lines))
    let statements = alone.statements()
    try check(alone.diagnostics)
    let titles = statements.map(\.title)
    if onlyMember, titles != ["member"] || statements[0].block != nil {
      throw ChangeError(.wrongText, "write an address and the options of one member, on one line")
    }
    let quoted = "\"\(name.replacing("\\", with: "\\\\").replacing("\"", with: "\\\""))\""
    let text = """
      upstream \(quoted) {
      \(lines)
      }
      server { route / { proxy \(quoted) } }

      """
    let loaded = ConfigurationLoader.load(name: name, text: text)
    try check(loaded.diagnostics)
    guard let settings = loaded.configuration?.upstream(named: name) else {
      throw ChangeError(.wrongText, "`\(name)` cannot be the name of an upstream")
    }
    return settings
  }

  private static func check(_ diagnostics: [Diagnostic]) throws(ChangeError) {
    guard let first = diagnostics.first(where: { $0.severity == .error }) else { return }
    let mend = first.mend.map { ": \($0)" } ?? ""
    throw ChangeError(.wrongText, first.problem + mend)
  }
}
