/// Which answers are sent in a content coding, and in which.
public struct CompressionSettings: Hashable, Sendable {
  /// A content coding, by its name.
  public enum Coding: String, Hashable, Sendable, CaseIterable {
    /// Zstandard.
    case zstandard = "zstd"
    /// Brotli.
    case brotli = "br"
    /// gzip.
    case gzip

    /// How much it tries where nothing is said.
    public var usualLevel: Int {
      switch self {
      case .zstandard: 3
      case .brotli: 4
      case .gzip: 5
      }
    }

    /// How much it can try.
    public var levels: ClosedRange<Int> {
      switch self {
      case .zstandard: 1...15
      case .brotli: 1...9
      case .gzip: 1...9
      }
    }
  }

  /// The codings, the one first that is taken where a client likes several as much.
  public var codings = Coding.allCases
  /// How much they try, where that is said.
  public var levels: [Coding: Int] = [:]
  /// The media types, as patterns; none: those that become smaller.
  public var types: [String] = []
  /// Shorter bodies are sent as they are.
  public var leastBytes = 1024
  /// What becomes of answers that pages of other sites ask for in the name of their user.
  public var crossSite = CrossSiteRule.refuse

  /// Creates the usual settings.
  public init() {}

  /// How much a coding tries.
  public func level(of coding: Coding) -> Int { levels[coding] ?? coding.usualLevel }
}

/// What becomes of answers that pages of other sites ask for in the name of their user.
public enum CrossSiteRule: String, Hashable, Sendable, CaseIterable {
  /// They are sent as they are, so that nobody learns from their length what stands in them.
  case refuse
  /// They are compressed as all others.
  case allow
}

/// Whether answers are compressed.
public enum CompressionChoice: Hashable, Sendable {
  /// They are not.
  case off
  /// They are.
  case on(CompressionSettings)
}
