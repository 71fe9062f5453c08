/// Which files of a folder answer the requests of a route, and how.
public struct FilesSettings: Hashable, Sendable {
  /// The folder, by an absolute path.
  public var root: String
  /// What stands for a folder, the first that is there.
  public var indexNames: [String] = ["index.html"]
  /// What is looked for, in this order; none means the path that was asked for, a file or a folder.
  public var candidates: [FileCandidate] = []
  /// Whether a folder without an index is shown.
  public var listing = Listing.off
  /// Which symbolic links paths may go through.
  public var links = FileLinks.inside
  /// Whether names that begin with a dot are served.
  public var showsHidden = false
  /// What texts are written in; nil: it is not said.
  public var charset: String? = "utf-8"
  /// Types of endings that are not known, or are something else here.
  public var types: [FileType] = []
  /// The type of everything whose ending is not known; nil: it is not said.
  public var fallbackType: String? = "application/octet-stream"
  /// What versions of a file are told apart by.
  public var tags = FileTags.strong
  /// The codings of which there may be files beside those that are asked for.
  public var codings: [FileCoding] = []
  /// What caches are told, the first rule that takes a path.
  public var cacheRules: [FileCacheRule] = []
  /// What each loop keeps.
  public var cache = FileCacheSettings()
  /// How clients may change files.
  public var changes: [FileChange] = []
  /// What uploads may be that go on after an interruption; nil: none does.
  public var uploads: UploadSettings?

  /// Creates the settings of a folder.
  public init(root: String) { self.root = root }

  /// Whether folders are shown.
  public enum Listing: String, Hashable, Sendable, CaseIterable {
    /// They are not.
    case off
    /// As a page, or as JSON for who asks for that.
    case on
    /// As JSON alone.
    case json
  }
}

/// Which symbolic links paths may go through.
public enum FileLinks: String, Hashable, Sendable, CaseIterable {
  /// None.
  case never
  /// Relative ones that stay below the root.
  case inside
  /// Any, if each belongs to the owner of what it points to.
  case owner
  /// Any.
  case all
}

/// How clients may change files.
public enum FileChange: String, Hashable, Sendable, CaseIterable {
  /// They may write them.
  case put
  /// They may make those that are not there.
  case post
  /// They may remove them.
  case delete
}

/// What versions of a file are told apart by.
public enum FileTags: String, Hashable, Sendable, CaseIterable {
  /// A tag that stands for the very bytes.
  case strong
  /// A tag that stands for the meaning.
  case weak
  /// Their dates alone.
  case off
}

/// A coding of which files are kept beside the plain ones.
public enum FileCoding: String, Hashable, Sendable, CaseIterable {
  /// Brotli: `.br`.
  case brotli = "br"
  /// Zstandard: `.zst`.
  case zstandard = "zstd"
  /// gzip: `.gz`.
  case gzip
}

/// One thing that is looked for.
public enum FileCandidate: Hashable, Sendable {
  /// A file whose path is the one asked for, with something behind it.
  case file(after: String)
  /// The folder that was asked for.
  case folder
  /// This file.
  case fixed(String)
  /// Nothing: the answer is this status.
  case status(Int)
}

/// The type of files with an ending.
public struct FileType: Hashable, Sendable {
  /// The ending without its dot.
  public var ending: String
  /// The type.
  public var type: String

  /// Creates a rule.
  public init(ending: String, type: String) {
    self.ending = ending
    self.type = type
  }
}

/// What caches are told of files whose paths one of the patterns takes.
public struct FileCacheRule: Hashable, Sendable {
  /// Patterns of paths that begin with a slash; one without a slash is one of names.
  public var patterns: [TextPattern]
  /// The value of `Cache-Control`.
  public var value: String

  /// Creates a rule.
  public init(patterns: [TextPattern], value: String) {
    self.patterns = patterns
    self.value = value
  }
}

/// What each loop keeps of a folder.
public struct FileCacheSettings: Hashable, Sendable {
  /// How many files, and how many paths where there is none.
  public var count = 1000
  /// How long it is believed without looking again.
  public var valid = Duration.seconds(1)
  /// How many bytes of small files are kept in memory.
  public var memoryBytes = 16 << 20
  /// How large a file may be whose bytes are kept.
  public var fileBytes = 64 << 10

  /// Creates the settings that suit most folders.
  public init() {}
}

/// What uploads may be that go on after an interruption.
public struct UploadSettings: Hashable, Sendable {
  /// How many there may be that are not complete.
  public var count = 100
  /// How many bytes one may have.
  public var byteCount = 1 << 30
  /// How long one is kept from its beginning.
  public var age = Duration.seconds(86_400)

  /// Creates the settings that suit most folders.
  public init() {}
}
