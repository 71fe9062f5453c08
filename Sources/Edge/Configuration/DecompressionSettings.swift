/// Which bodies are taken out of their content coding.
public struct DecompressionSettings: Hashable, Sendable {
  /// Whose bodies.
  public enum Side: String, Hashable, Sendable, CaseIterable {
    /// Answers, for clients that do not take their coding.
    case answers
    /// Requests, for members that know no codings.
    case requests
  }

  /// Which are.
  public var sides = Side.allCases
  /// How many bytes may come of a body.
  public var byteLimit = 64 << 20
  /// How many bytes may come of one, of a body that becomes longer than a megabyte.
  public var ratioLimit = 200

  /// Creates the usual settings.
  public init() {}
}

/// Whether bodies are taken out of their content coding.
public enum DecompressionChoice: Hashable, Sendable {
  /// They are not.
  case off
  /// They are.
  case on(DecompressionSettings)
}
