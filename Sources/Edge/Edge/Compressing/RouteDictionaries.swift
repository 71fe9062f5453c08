import Compression
import Configuration
import HTTPMessage
import MartletBytes
import Synchronization
import TLS

/// What came of a dictionary that a client has named.
enum DictionaryOutcome: String, CaseIterable {
  /// The answer was coded against it.
  case used
  /// It is not known here.
  case unknown
  /// Whoever has asked may not read the answer.
  case crossSite = "cross_site"
  /// The client was not reached by TLS.
  case insecure
  /// An answer was noted, for later ones to be coded against.
  case remembered
}

/// What the answers of a route are coded against.
final class RouteDictionaries: Sendable {
  private let files: [DictionaryDigest: CompressionDictionary]
  /// Earlier answers; nil: none are noted.
  let remembered: RememberedDictionaries?

  /// Prepares what a route names; nil: it names nothing, or the libraries have no dictionaries.
  ///
  /// `place` tells routes apart over reloads.
  init?(_ settings: CompressionSettings, place: String) {
    let levels = Self.levels(of: settings)
    var files: [DictionaryDigest: CompressionDictionary] = [:]
    for file in settings.dictionaries {
      guard let digest = DictionaryDigest(digesting: file.bytes),
        let dictionary = Self.prepared(file.bytes, digest, levels)
      else { continue }
      files[digest] = dictionary
    }
    self.files = files
    remembered =
      levels.isEmpty
      ? nil : settings.remembered.map { RememberedDictionaries.shared(at: place, $0, levels) }
    if files.isEmpty, remembered == nil { return nil }
  }

  /// The codings with dictionaries that go with those of a route, the one first that is taken where a client likes
  /// several as much.
  static func levels(of settings: CompressionSettings) -> [(coding: ContentCoding, level: Int)] {
    settings.codings.compactMap { coding in
      let level = settings.level(of: coding)
      let own: ContentCoding
      switch coding {
      case .zstandard: own = .dictionaryZstandard
      case .brotli: own = .dictionaryBrotli
      case .gzip: return nil
      }
      guard CompressionDictionary.isSupported(own) else { return nil }
      return (own, max(level, Encoder.levels(of: own).lowerBound))
    }
  }

  /// The dictionary that a client names which is at an origin; nil: it is not known.
  func find(_ digest: DictionaryDigest, of origin: [UInt8]) -> CompressionDictionary? {
    files[digest] ?? remembered?.find(digest, of: origin)
  }

  // MARK: Files

  private struct Prepared: Hashable {
    let digest: DictionaryDigest
    let levels: [ContentCoding: Int]
  }

  private struct Holder {
    weak var dictionary: CompressionDictionary?
  }

  /// What routes and generations have in common is prepared once.
  private static let shared = Mutex<[Prepared: Holder]>([:])

  private static func prepared(
    _ bytes: [UInt8],
    _ digest: DictionaryDigest,
    _ levels: [(coding: ContentCoding, level: Int)]
  ) -> CompressionDictionary? {
    let key = Prepared(
      digest: digest,
      levels: Dictionary(uniqueKeysWithValues: levels.map { ($0.coding, $0.level) })
    )
    return shared.withLock { shared in
      if let known = shared[key]?.dictionary { return known }
      shared = shared.filter { $0.value.dictionary != nil }
      let new = CompressionDictionary(bytes, digest, for: levels)
      shared[key] = Holder(dictionary: new)
      return new
    }
  }
}

/// Answers of a route that clients have been told to keep as dictionaries: the newest ones, or rather those that
/// were of use most lately.
///
/// All loops share it.
final class RememberedDictionaries: Sendable {
  private struct Key: Hashable {
    let digest: DictionaryDigest
    let origin: [UInt8]
  }

  private struct Entry {
    let dictionary: CompressionDictionary
    /// Which answer it is, by its URL and its validator.
    let source: [UInt8]
    var use: UInt64
  }

  private struct State {
    var entries: [Key: Entry] = [:]
    var byteCount = 0
    var useCount: UInt64 = 0
    /// The answers that are on their way.
    var pending: Set<[UInt8]> = []
  }

  let settings: RememberedAnswerSettings
  private let levels: [(coding: ContentCoding, level: Int)]
  private let state = Mutex(State())

  init(_ settings: RememberedAnswerSettings, _ levels: [(coding: ContentCoding, level: Int)]) {
    self.settings = settings
    self.levels = levels
  }

  /// The dictionary with this digest that an origin has sent.
  func find(_ digest: DictionaryDigest, of origin: [UInt8]) -> CompressionDictionary? {
    state.withLock { state in
      state.useCount += 1
      let key = Key(digest: digest, origin: origin)
      state.entries[key]?.use = state.useCount
      return state.entries[key]?.dictionary
    }
  }

  /// Whether an answer is to be noted; who is told so says what has become of it.
  ///
  /// With `isVersion`, `source` names one row of bytes, which need not be noted twice.
  func begin(_ source: [UInt8], isVersion: Bool) -> Bool {
    state.withLock { state in
      guard !isVersion || !state.entries.values.contains(where: { $0.source == source }) else {
        return false
      }
      // More than this at once are no version of anything.
      guard state.pending.count < settings.count else { return false }
      return state.pending.insert(source).inserted
    }
  }

  /// Says that an answer will not be noted after all.
  func giveUp(_ source: [UInt8]) { state.withLock { _ = $0.pending.remove(source) } }

  /// Notes an answer, from any thread; takes milliseconds for a megabyte.
  ///
  /// - Returns: Whether it is one more.
  func note(_ bytes: [UInt8], _ source: [UInt8], of origin: [UInt8]) -> Bool {
    defer { giveUp(source) }
    guard let digest = DictionaryDigest(digesting: bytes), find(digest, of: origin) == nil,
      let dictionary = CompressionDictionary(bytes, digest, for: levels),
      dictionary.byteCount <= settings.memoryBytes
    else { return false }
    return state.withLock { state in
      state.useCount += 1
      let key = Key(digest: digest, origin: origin)
      let entry = Entry(dictionary: dictionary, source: source, use: state.useCount)
      let before = state.entries.updateValue(entry, forKey: key)
      state.byteCount += dictionary.byteCount - (before?.dictionary.byteCount ?? 0)
      while state.entries.count > settings.count || state.byteCount > settings.memoryBytes {
        guard let oldest = state.entries.min(by: { $0.value.use < $1.value.use }) else { break }
        state.entries[oldest.key] = nil
        state.byteCount -= oldest.value.dictionary.byteCount
      }
      return before == nil
    }
  }

  // MARK: Over reloads

  private struct Place: Hashable {
    let place: String
    let settings: RememberedAnswerSettings
    let levels: [ContentCoding: Int]
  }

  private struct Holder {
    weak var remembered: RememberedDictionaries?
  }

  private static let all = Mutex<[Place: Holder]>([:])

  /// Those of a route, which outlive a reload that leaves the route as it is.
  static func shared(
    at place: String,
    _ settings: RememberedAnswerSettings,
    _ levels: [(coding: ContentCoding, level: Int)]
  ) -> RememberedDictionaries {
    let key = Place(
      place: place,
      settings: settings,
      levels: Dictionary(uniqueKeysWithValues: levels.map { ($0.coding, $0.level) })
    )
    return all.withLock { all in
      if let known = all[key]?.remembered { return known }
      all = all.filter { $0.value.remembered != nil }
      let new = RememberedDictionaries(settings, levels)
      all[key] = Holder(remembered: new)
      return new
    }
  }
}

extension DictionaryDigest {
  /// The digest of bytes; nil: OpenSSL has no memory.
  init?(digesting bytes: [UInt8]) {
    do throws(TLSError) {
      self.init(try TLSDigest.sha256(bytes))
    } catch {
      return nil
    }
  }
}
