public import Compression

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
  /// The files that answers are compressed against, for clients that have them.
  public var dictionaries: [DictionarySettings] = []
  /// Which earlier answers are kept for the same; nil: none.
  public var remembered: RememberedAnswerSettings?

  /// Creates the usual settings.
  public init() {}

  /// How much a coding tries.
  public func level(of coding: Coding) -> Int { levels[coding] ?? coding.usualLevel }
}

/// A file that answers are compressed against.
public struct DictionarySettings: Hashable, Sendable {
  /// Where it is.
  public var path: String
  /// What is in it; empty where only the text of a configuration is at hand.
  public var bytes: [UInt8]
  /// What clients are told of it.
  public var use: DictionaryUse

  /// Creates settings of a file.
  public init(path: String, bytes: [UInt8], use: DictionaryUse) {
    self.path = path
    self.bytes = bytes
    self.use = use
  }

  /// The value of `Use-As-Dictionary`.
  public var fieldValue: String { use.text }
}

/// Which answers are kept so that later ones can be compressed against them.
public struct RememberedAnswerSettings: Hashable, Sendable {
  /// How many.
  public var count = 16
  /// How much memory they may take.
  public var memoryBytes = 16 << 20
  /// How large one may be.
  public var bodyBytes = 1 << 20

  /// Creates the usual settings.
  public init() {}
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
