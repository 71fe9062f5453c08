import Configuration
public import HTTPMessage
import KeyedTables
import MartletBytes
import MartletSystem

/// What a path of a request means, as it was when it was last looked at.
public final class FileEntry {
  /// What is there.
  public enum Content {
    /// A file.
    case file(ServedFile)
    /// A folder whose path lacks the slash at its end.
    case lacksSlash
    /// A folder that is to be shown.
    case listing(RelativePath)
    /// Nothing that is served.
    case nothing(FileAbsence)
  }

  /// What is there.
  public private(set) var content: Content
  let path: [UInt8]
  fileprivate let hash: UInt64
  fileprivate var validUntil: Int64
  /// Whether it was asked for since the hand of the clock went past it.
  fileprivate var wasUsed = false
  fileprivate var place = 0

  fileprivate init(_ content: Content, path: [UInt8], hash: UInt64, validUntil: Int64) {
    self.content = content
    self.path = path
    self.hash = hash
    self.validUntil = validUntil
  }

  fileprivate func update(_ content: Content, validUntil: Int64) {
    self.content = content
    self.validUntil = validUntil
  }

  fileprivate var keptBytes: Int {
    if case .file(let file) = content { file.keptBytes } else { 0 }
  }

  fileprivate var isNothing: Bool {
    if case .nothing = content { true } else { false }
  }

  fileprivate func isOf(_ other: Span<UInt8>) -> Bool {
    guard path.count == other.count else { return false }
    for index in other.indices where path[index] != other[index] { return false }
    return true
  }
}

/// Why a path has no file.
public struct FileAbsence: Hashable, Sendable {
  /// The kinds of reasons.
  public enum Kind: Hashable, Sendable {
    /// There is nothing of that name, or nothing that is shown.
    case missing
    /// It may not be read, or lies behind a link that is not allowed.
    case forbidden
    /// It could not be opened now.
    case failed
    /// The settings say this status.
    case status(UInt16)
  }

  /// The kind of reason.
  public var kind: Kind
  /// More about it, for the log.
  public var detail: String

  /// Creates a reason.
  public init(_ kind: Kind, _ detail: String) {
    self.kind = kind
    self.detail = detail
  }
}

/// The files of a folder, for one loop: found, opened, and kept for the next request.
///
/// What was seen is believed for as long as the settings say, and then looked at again. Files and paths
/// without one are kept apart, so that questions for what is not there drive nothing out. Where there is no
/// room, what was not asked for since the last time goes (the clock of Corbató).
///
/// A path is remembered as it was written: two spellings of one path are two entries.
public final class FileStore {
  /// What has come of a look-up.
  public enum Outcome: Int, CaseIterable, Sendable {
    /// It was known.
    case hit
    /// It was looked at again, and is the same.
    case checked
    /// It was opened.
    case opened
    /// There is none.
    case missing

    /// The outcome's name in metrics.
    public var name: String {
      switch self {
      case .hit: "hit"
      case .checked: "checked"
      case .opened: "opened"
      case .missing: "missing"
      }
    }
  }

  /// How the files are found.
  public let rules: FileRules
  let root: FileRoot
  private let hash = KeyHash.random()
  private var entries: [UInt64: FileEntry] = [:]
  private var found = EntryClock()
  private var missing = EntryClock()
  /// How many bytes of files it keeps in memory.
  public private(set) var keptBytes = 0

  /// Creates an empty store.
  public init(_ rules: FileRules) {
    self.rules = rules
    root = FileRoot(rules.settings.root)
  }

  /// How many files it knows.
  public var fileCount: Int { found.entries.count }

  /// What the path of a request means.
  ///
  /// - Parameters:
  ///   - path: The path as it was written, from its first slash on.
  ///   - now: The moment on the loop's clock.
  ///   - isFresh: Whether it is looked at now, however lately that was done.
  ///   - time: The time of day.
  /// - Returns: What is there, and what has come of the look-up.
  /// - Complexity: O(*n*) in the path's bytes, with no allocation, for what is known.
  public func find(
    _ path: Span<UInt8>,
    at now: Int64,
    isFresh: Bool = false,
    _ time: @autoclosure () -> FileTime
  ) -> (entry: FileEntry, outcome: Outcome) {
    let key = hash.key(of: path)
    if let entry = entries[key], entry.isOf(path) {
      entry.wasUsed = true
      if now < entry.validUntil, !isFresh { return (entry, entry.isNothing ? .missing : .hit) }
      return look(again: entry, at: now, time())
    }
    let time = time()
    let (content, _) = load(path, before: nil, at: now, time)
    let entry = FileEntry(
      content,
      path: Array(copying: path),
      hash: key,
      validUntil: validUntil(content, at: now)
    )
    keep(entry)
    return (entry, entry.isNothing ? .missing : .opened)
  }

  private func look(
    again entry: FileEntry,
    at now: Int64,
    _ time: FileTime
  ) -> (entry: FileEntry, outcome: Outcome) {
    var before: ServedFile?
    if case .file(let file) = entry.content { before = file }
    let path = entry.path
    let (content, isSame) = load(path.span, before: before, at: now, time)
    if isSame {
      entry.update(entry.content, validUntil: validUntil(content, at: now))
      return (entry, .checked)
    }
    let wasNothing = entry.isNothing
    let bytes = entry.keptBytes
    entry.update(content, validUntil: validUntil(content, at: now))
    if entry.isNothing, wasNothing { return (entry, .missing) }
    // It is another entry now, with other bytes and perhaps on the other clock.
    if wasNothing { missing.remove(entry) } else { found.remove(entry) }
    keptBytes -= bytes
    entries[entry.hash] = nil
    keep(entry)
    return (entry, entry.isNothing ? .missing : .opened)
  }

  /// What failed is tried again at once; what is young is looked at until it no longer is.
  private func validUntil(_ content: FileEntry.Content, at now: Int64) -> Int64 {
    if case .nothing(let absence) = content, absence.kind == .failed { return now }
    return now &+ rules.validNanoseconds
  }

  private func keep(_ entry: FileEntry) {
    let limit = rules.settings.cache.count
    guard limit > 0 else { return }
    if let other = entries[entry.hash] { drop(other) }
    if entry.isNothing {
      while missing.entries.count >= limit, let old = missing.oldest() { drop(old) }
      missing.add(entry)
    } else {
      let room = rules.settings.cache.memoryBytes
      let bytes = entry.keptBytes
      while found.entries.count >= limit || keptBytes + bytes > room && !found.entries.isEmpty,
        let old = found.oldest()
      {
        drop(old)
      }
      found.add(entry)
      keptBytes += bytes
    }
    entries[entry.hash] = entry
  }

  private func drop(_ entry: FileEntry) {
    entries[entry.hash] = nil
    if entry.isNothing {
      missing.remove(entry)
    } else {
      found.remove(entry)
      keptBytes -= entry.keptBytes
    }
  }
}

/// Entries in a ring, of which one is found that was not asked for lately.
private struct EntryClock {
  private(set) var entries: [FileEntry] = []
  private var hand = 0

  mutating func add(_ entry: FileEntry) {
    entry.place = entries.count
    entry.wasUsed = false
    entries.append(entry)
  }

  mutating func remove(_ entry: FileEntry) {
    guard entry.place < entries.count, entries[entry.place] === entry else { return }
    guard let last = entries.popLast(), last !== entry else { return }
    entries[entry.place] = last
    last.place = entry.place
  }

  /// The next entry that was not asked for since the hand went past it.
  ///
  /// - Complexity: amortised O(1): each step takes away what one look-up has left.
  mutating func oldest() -> FileEntry? {
    guard !entries.isEmpty else { return nil }
    while true {
      if hand >= entries.count { hand = 0 }
      let entry = entries[hand]
      guard entry.wasUsed else { return entry }
      entry.wasUsed = false
      hand += 1
    }
  }
}
