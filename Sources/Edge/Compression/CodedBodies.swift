/// Bodies that were coded before, of sources that do not change: they need not be coded again.
///
/// It belongs to one loop. What was not asked for in a while makes room: there are two halves, and when the young one
/// is full, what stands in the old one goes and the young one becomes old.
public final class CodedBodies<Body> {
  private struct Key: Hashable {
    let source: ObjectIdentifier
    let kind: BodyCoder.Kind
    let dictionary: DictionaryDigest?
  }

  private struct Entry {
    weak var source: AnyObject?
    let body: Body
    let byteCount: Int
    let plainCount: UInt64
  }

  /// How many bytes both halves may hold together.
  public var limit: Int {
    didSet { if byteCount > limit { removeAll() } }
  }
  private var young: [Key: Entry] = [:]
  private var old: [Key: Entry] = [:]
  private var youngBytes = 0
  private var oldBytes = 0

  // What an entry takes besides its bytes, rather more than less.
  private static var overhead: Int { 256 }

  /// Creates an empty one that may hold so many bytes.
  public init(limit: Int) { self.limit = limit }

  /// How many bytes it holds.
  public var byteCount: Int { youngBytes + oldBytes }

  /// How large a body may be that is kept.
  public var bodyLimit: Int { limit / 8 }

  /// What was made of a source by a coder of this kind, and how long that was before.
  public func body(
    of source: AnyObject,
    _ kind: BodyCoder.Kind,
    against dictionary: DictionaryDigest? = nil
  ) -> (body: Body, plainCount: UInt64)? {
    let key = Key(source: ObjectIdentifier(source), kind: kind, dictionary: dictionary)
    if let entry = young[key] {
      // The place of an object that is gone may be another's by now.
      return entry.source === source ? (entry.body, entry.plainCount) : nil
    }
    guard let entry = old.removeValue(forKey: key) else { return nil }
    oldBytes -= entry.byteCount
    guard entry.source === source else { return nil }
    insert(entry, key)
    return (entry.body, entry.plainCount)
  }

  /// Keeps what was made of a source.
  public func keep(
    _ body: Body,
    of source: AnyObject,
    _ kind: BodyCoder.Kind,
    against dictionary: DictionaryDigest? = nil,
    byteCount: Int,
    plainCount: UInt64
  ) {
    guard byteCount <= bodyLimit else { return }
    let key = Key(source: ObjectIdentifier(source), kind: kind, dictionary: dictionary)
    if let before = old.removeValue(forKey: key) { oldBytes -= before.byteCount }
    insert(
      Entry(
        source: source,
        body: body,
        byteCount: byteCount + Self.overhead,
        plainCount: plainCount
      ),
      key
    )
  }

  private func insert(_ entry: Entry, _ key: Key) {
    if youngBytes + entry.byteCount > limit / 2 {
      (old, oldBytes) = (young, youngBytes)
      (young, youngBytes) = ([:], 0)
    }
    if let before = young.updateValue(entry, forKey: key) { youngBytes -= before.byteCount }
    youngBytes += entry.byteCount
  }

  /// Forgets everything.
  public func removeAll() {
    (young, old) = ([:], [:])
    (youngBytes, oldBytes) = (0, 0)
  }
}
