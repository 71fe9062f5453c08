public import HTTPCaching
import KeyedTables
import MartletBytes

/// A purge as a disk keeps it: with its number in the order of all purges, and the moment if it was a soft one.
public struct DiskPurge: Hashable, Sendable {
  /// What was purged.
  public var target: PurgeTarget
  /// Its number.
  public var number: UInt64
  /// Since when what is meant is stale; nil: it is gone.
  public var softly: Moment?

  /// The longest text.
  static let textLimit = 80 << 10

  /// Creates a purge.
  public init(_ target: PurgeTarget, number: UInt64, softly: Moment?) {
    self.target = target
    self.number = number
    self.softly = softly
  }

  private var kind: UInt64 {
    switch target {
    case .url: 1
    case .prefix: 2
    case .pattern: 3
    case .tag: 4
    case .everything: 5
    }
  }

  private var text: [UInt8] {
    switch target {
    case .url(let text), .prefix(let text), .pattern(let text), .tag(let text): text
    case .everything: []
    }
  }

  /// Its bytes, for one place.
  public func encoded(at place: UInt64) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(word: kind)
    bytes.append(word: number)
    bytes.append(word: softly == nil ? 0 : 1)
    bytes.append(word: UInt64(bitPattern: softly?.milliseconds ?? 0))
    bytes += text
    bytes.append(word: XXH64.sum(of: bytes.span, seed: place))
    return bytes
  }

  /// Reads what was written at a place; nil for anything else.
  public init?(encoded bytes: [UInt8], at place: UInt64) {
    guard bytes.count >= 40, bytes.count <= Self.textLimit + 40,
      bytes.word(at: bytes.count - 8)
        == XXH64.sum(of: bytes.span.extracting(0..<bytes.count - 8), seed: place),
      let kind = bytes.word(at: 0), let number = bytes.word(at: 8),
      let isSoft = bytes.word(at: 16), isSoft < 2, let moment = bytes.word(at: 24)
    else { return nil }
    let text = Array(bytes[32..<bytes.count - 8])
    switch kind {
    case 1: target = .url(text)
    case 2: target = .prefix(text)
    case 3: target = .pattern(text)
    case 4: target = .tag(text)
    case 5 where text.isEmpty: target = .everything
    default: return nil
    }
    self.number = number
    softly = isSoft == 1 ? Moment(milliseconds: Int64(bitPattern: moment)) : nil
  }
}

/// What was purged since the oldest answer on a disk was written.
struct DiskPurges: Sendable {
  private var everything = PurgeLog.Mark()
  private var tags: [UInt64: PurgeLog.Mark] = [:]
  private var urls: [UInt64: PurgeLog.Mark] = [:]
  private var others: [(target: PurgeTarget, mark: PurgeLog.Mark)] = []

  /// How many purges of prefixes and patterns are remembered.
  static let otherLimit = 4096
  /// How many purges of tags and URLs are remembered.
  static let markLimit = 1 << 20

  // Who chooses a tag, or a URL that is purged, gains nothing from two that share a word: one goes with the other.
  private static let hash = KeyHash(low: 0x6D61_7274_6C65_7431, high: 0x7075_7267_6573_2121)

  static func word(of text: Span<UInt8>) -> UInt64 { hash.key(of: text) }

  /// Remembers a purge; where there are too many, all that was written before is purged.
  mutating func add(_ purge: DiskPurge) {
    let (number, softly) = (purge.number, purge.softly)
    switch purge.target {
    case .everything: everything.set(number, softly: softly)
    case .tag(let text):
      tags[Self.word(of: text.span), default: PurgeLog.Mark()].set(number, softly: softly)
    case .url(let text):
      urls[Self.word(of: text.span), default: PurgeLog.Mark()].set(number, softly: softly)
    case .prefix, .pattern:
      if let index = others.firstIndex(where: { $0.target == purge.target }) {
        others[index].mark.set(number, softly: softly)
      } else {
        var mark = PurgeLog.Mark()
        mark.set(number, softly: softly)
        others.append((purge.target, mark))
      }
    }
    guard
      tags.count > Self.markLimit || urls.count > Self.markLimit || others.count > Self.otherLimit
    else { return }
    tags = [:]
    urls = [:]
    others = []
    everything.set(number, softly: nil)
  }

  /// What the purges since `seen` want of an answer with these tags.
  func judge(_ url: Span<UInt8>, _ answerTags: [UInt64], since seen: UInt64) -> PurgeLog.Verdict {
    var verdict = PurgeLog.Verdict.kept
    everything.judge(since: seen, &verdict)
    if !tags.isEmpty {
      for tag in answerTags { tags[tag]?.judge(since: seen, &verdict) }
    }
    if !urls.isEmpty { urls[Self.word(of: url)]?.judge(since: seen, &verdict) }
    for entry in others where entry.mark.last > seen {
      if PurgeLog.isMeant(url, by: entry.target) { entry.mark.judge(since: seen, &verdict) }
    }
    return verdict
  }

  /// Forgets purges that are older than all answers: those up to `number`.
  mutating func forget(upTo number: UInt64) {
    tags = tags.filter { $0.value.last > number }
    urls = urls.filter { $0.value.last > number }
    others.removeAll { $0.mark.last <= number }
  }

  /// How many are remembered.
  var count: Int { tags.count + urls.count + others.count }
}
