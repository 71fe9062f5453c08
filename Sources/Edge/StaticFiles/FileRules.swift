public import Configuration
import HTTPMessage
import MartletBytes
import MartletSystem
import Routing

/// How the files of a folder are found and what is said of them: settings, made ready.
///
/// All loops share it.
public final class FileRules: Sendable {
  /// What it was made of.
  public let settings: FilesSettings
  let links: LinkRule
  let indexNames: [[UInt8]]
  let candidates: [Candidate]
  let types: MediaTypes
  let variants: [Variant]
  private let cacheRules: [(patterns: [Pattern], value: String)]
  /// How long what was seen is believed, in nanoseconds.
  let validNanoseconds: Int64
  /// The fields that a rule of the route writes or leaves out.
  let omitted: Set<Field>
  /// What is said of files that are dictionaries, by their path from the root on.
  private let dictionaries: [[UInt8]: String]

  /// A field that is said of a file.
  public enum Field: String, Hashable, Sendable, CaseIterable {
    case contentType = "Content-Type"
    case lastModified = "Last-Modified"
    case tag = "ETag"
    case cacheControl = "Cache-Control"
    case ranges = "Accept-Ranges"
    case vary = "Vary"
    case dictionary = "Use-As-Dictionary"
  }

  /// One thing that is looked for.
  enum Candidate: Sendable {
    /// The path as it was asked for: a file or a folder.
    case path
    /// A file with an ending behind the path.
    case file(after: [UInt8])
    case folder
    case fixed(RelativePath)
    case status(UInt16)
  }

  /// A form of a file that may lie beside it.
  struct Variant: Sendable {
    let coding: AcceptedCodings.Coding
    let ending: [UInt8]
  }

  private struct Pattern: Sendable {
    let matcher: TextMatcher
    /// Whether it is asked with the name alone.
    let isOfName: Bool
  }

  /// Makes settings ready.
  ///
  /// `dictionaries` are files that clients may use as such, wherever they are.
  public init(
    _ settings: FilesSettings,
    omitting omitted: Set<Field> = [],
    dictionaries: [DictionarySettings] = []
  ) {
    self.settings = settings
    self.omitted = omitted
    let root = Self.names(settings.root)
    var uses: [[UInt8]: String] = [:]
    for dictionary in dictionaries {
      let names = Self.names(dictionary.path)
      guard names.starts(with: root) else { continue }
      uses[Array(names.dropFirst(root.count).joined(separator: [0x2F]))] = dictionary.fieldValue
    }
    self.dictionaries = uses
    links = LinkRule(rawValue: settings.links.rawValue) ?? .never
    indexNames = settings.indexNames.map { Array($0.utf8) }
    candidates =
      settings.candidates.isEmpty ? [.path] : settings.candidates.compactMap(Self.candidate)
    types = MediaTypes(
      adding: settings.types.map { ($0.ending, $0.type) },
      fallback: settings.fallbackType,
      charset: settings.charset
    )
    var variants: [Variant] = []
    for coding in settings.codings where !variants.contains(where: { $0.ending == coding.ending }) {
      variants.append(Variant(coding: coding.accepted, ending: coding.ending))
    }
    self.variants = variants
    cacheRules = settings.cacheRules.map { rule in
      let patterns = rule.patterns.map { pattern in
        Pattern(
          matcher: TextMatcher(pattern),
          isOfName: !pattern.description.contains("/")
        )
      }
      return (patterns, rule.value)
    }
    validNanoseconds = settings.cache.valid.nanoseconds
  }

  /// Whether both find the same files and say the same of them.
  public func isSame(as other: FileRules) -> Bool {
    self === other
      || settings == other.settings && omitted == other.omitted
        && dictionaries == other.dictionaries
  }

  /// The names that a path goes through.
  private static func names(_ path: String) -> [ArraySlice<UInt8>] {
    Array(path.utf8).split(separator: 0x2F).filter { $0 != [0x2E] }
  }

  /// The value of `Use-As-Dictionary` for a file; nil: none is sent.
  func dictionaryUse(of path: RelativePath) -> String? {
    dictionaries.isEmpty ? nil : dictionaries[path.bytes]
  }

  private static func candidate(_ candidate: FileCandidate) -> Candidate? {
    switch candidate {
    case .file(let after): return .file(after: Array(after.utf8))
    case .folder: return .folder
    case .status(let status): return .status(UInt16(clamping: status))
    case .fixed(let path):
      // What a configuration names is no path of a request: escapes are none, and dots may stand.
      let names = path.utf8.split(separator: 0x2F)
      let start = RelativePath()
      return .fixed(names.reduce(start) { $0.appending(Array($1)) })
    }
  }

  /// The value of `Cache-Control` for a file; nil: none is sent.
  func cacheControl(of path: RelativePath) -> String? {
    guard !cacheRules.isEmpty else { return nil }
    let whole = [0x2F] + path.bytes
    let name = Array(path.name)
    for rule in cacheRules {
      let takes = rule.patterns.contains { pattern in
        pattern.matcher.matches(pattern.isOfName ? name.span : whole.span)
      }
      if takes { return rule.value }
    }
    return nil
  }
}

extension FileCoding {
  fileprivate var accepted: AcceptedCodings.Coding {
    switch self {
    case .brotli: .brotli
    case .zstandard: .zstandard
    case .gzip: .gzip
    }
  }

  fileprivate var ending: [UInt8] {
    switch self {
    case .brotli: Array(".br".utf8)
    case .zstandard: Array(".zst".utf8)
    case .gzip: Array(".gz".utf8)
    }
  }
}

extension Duration {
  fileprivate var nanoseconds: Int64 {
    let (seconds, attoseconds) = components
    return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
  }
}
