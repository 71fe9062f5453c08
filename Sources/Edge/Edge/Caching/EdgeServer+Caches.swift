import Cache
import HTTPCaching
import MartletLoop
import MartletSystem

/// A store of answers, as whoever looks at it sees it.
public struct CacheView: Hashable, Sendable {
  /// Its name.
  public var name: String
  /// How many answers are kept.
  public var objectCount: Int
  /// How many bytes they take.
  public var byteCount: Int
  /// How many bytes there may be.
  public var limit: Int
  /// How many had to make room.
  public var evictionCount: UInt64
  /// How many were not kept because what would have had to go is asked for more often.
  public var refusalCount: UInt64
  /// Its disk; nil: it has none.
  public var disk: CacheDiskView?
}

/// The disk of a store, as whoever looks at it sees it.
public struct CacheDiskView: Hashable, Sendable {
  /// Whether it can be used, or why not.
  public var state: String
  /// How many answers there are.
  public var objectCount: Int
  /// The bytes of its files.
  public var byteCount: Int
  /// How many there may be.
  public var limit: Int
}

/// An answer that is kept, as whoever looks at it sees it.
public struct CachedObjectView: Hashable, Sendable {
  /// The name of its store.
  public var cache: String
  /// What it answers.
  public var url: String
  /// What it depends on, as names of fields; empty: nothing.
  public var vary: String
  /// Its status.
  public var status: Int
  /// How long its body is.
  public var byteCount: Int
  /// How old it is, in seconds.
  public var age: Int64
  /// For how many seconds it is fresh; less than 0: since when it is stale.
  public var timeToLive: Int64
  /// How often it was asked for lately, at most 15.
  public var frequency: Int
  /// How long the whole is, of which perhaps only parts are there.
  public var length: Int
  /// Where its body is, or the parts of it that are there.
  public var place: Place

  /// Where bytes are kept.
  public enum Place: String, Hashable, Sendable {
    case memory, disk
    /// Some parts are here, and some are there.
    case both = "memory and disk"
  }
}

/// What is purged.
public enum CachePurge: Hashable, Sendable {
  /// One URL.
  case url(String)
  /// All URLs that begin so.
  case prefix(String)
  /// All URLs of this form, in which `*` stands for anything.
  case pattern(String)
  /// All answers with this tag.
  case tag(String)
  /// Everything.
  case everything
}

// What is kept, for whoever looks at it or wants it gone.
extension EdgeServer {
  /// All stores.
  public func caches() -> [CacheView] {
    generation.caches.map { plan in
      CacheView(
        name: plan.name,
        objectCount: plan.store.count,
        byteCount: plan.store.budget.storedByteCount,
        limit: plan.store.budget.limit,
        evictionCount: plan.store.evictionCount,
        refusalCount: plan.store.refusalCount,
        disk: plan.store.disk.map { disk in
          let figures = disk.figures
          return CacheDiskView(
            state: figures.phase.rawValue,
            objectCount: figures.objectCount,
            byteCount: figures.byteCount,
            limit: figures.limit
          )
        }
      )
    }
  }

  /// Forgets what is kept, or lets it be stale: no loop sends any of it as fresh when this returns.
  ///
  /// - Parameters:
  ///   - purge: What.
  ///   - name: The store; nil: all of them.
  ///   - softly: Whether it is only stale from now on.
  /// - Returns: How many stores that were: 0 where none has this name.
  /// - Complexity: O(1) in the answers.
  public func purge(_ purge: CachePurge, in name: String?, softly: Bool) -> Int {
    let plans = generation.caches.filter { name == nil || $0.name == name }
    let now = Self.moment
    for plan in plans {
      plan.store.purge(PurgeTarget(purge), softly: softly ? now : nil)
    }
    return plans.count
  }

  /// Waits until what was purged stays so when this process ends.
  ///
  /// - Returns: Whether it does: not where a disk cannot be written.
  public func settlePurges(in name: String?) async -> Bool {
    let names = generation.caches.map(\.name).filter { name == nil || $0 == name }
    return await workers[0].perform { await $0.settleDisks(of: names) }
  }

  /// The answers that are kept for a URL, or those that are asked for most; of what is only on a disk the newest.
  ///
  /// - Complexity: O(*n* log *n*) in the answers.
  public func cachedObjects(
    in name: String?,
    url: String?,
    limit: Int
  ) async -> [CachedObjectView] {
    let wanted = url.map { Self.keyText($0) }
    var views = keptObjects(in: name, url: url, limit: limit)
    views += await workers[0].perform { await $0.objectsOnDisk(in: name, url: wanted) }
    Self.keepMostWanted(&views, limit)
    return views
  }

  private func keptObjects(in name: String?, url: String?, limit: Int) -> [CachedObjectView] {
    let now = Self.moment
    let wanted = url.map { Self.keyText($0) }
    var views: [CachedObjectView] = []
    for plan in generation.caches where name == nil || plan.name == name {
      plan.store.forEach { key, answer, frequency in
        if let wanted, !key.elementsEqual(wanted) { return }
        views.append(CachedObjectView(answer, of: key, in: plan.name, at: now, frequency))
        // Enough to choose from, and not all of a large store at once.
        if views.count >= 4 * limit + 4096 { Self.keepMostWanted(&views, limit) }
      }
    }
    Self.keepMostWanted(&views, limit)
    return views
  }

  private static func keepMostWanted(_ views: inout [CachedObjectView], _ limit: Int) {
    views.sort { ($0.frequency, $0.byteCount) > ($1.frequency, $1.byteCount) }
    if views.count > limit { views.removeLast(views.count - limit) }
  }

  private static var moment: Moment {
    Moment(milliseconds: SteadyTime.nanoseconds / 1_000_000)
  }

  /// A URL as keys have it: scheme and host in small letters, and a path.
  fileprivate static func keyText(_ url: String, addsPath: Bool = true) -> [UInt8] {
    let bytes = Array(url.utf8)
    let colon = bytes.indices.first { bytes[$0...].starts(with: [0x3A, 0x2F, 0x2F]) }
    guard let colon else { return bytes }
    let slash = bytes[(colon + 3)...].firstIndex(of: 0x2F)
    let end = slash ?? bytes.count
    let origin = bytes[..<end].map { (0x41...0x5A).contains($0) ? $0 + 0x20 : $0 }
    return origin + (slash == nil && addsPath ? [0x2F] : bytes[end...])
  }
}

extension CachedObjectView {
  init(
    _ answer: CachedAnswer,
    of url: ArraySlice<UInt8>,
    in cache: String,
    at now: Moment,
    _ frequency: Int
  ) {
    self.cache = cache
    self.url = String(decoding: url, as: UTF8.self)
    vary = answer.vary.map { String(decoding: $0.encoded, as: UTF8.self) } ?? ""
    status = Int(answer.head.status)
    byteCount = answer.parts?.byteCount ?? answer.body.count
    age = answer.terms.age(at: now)
    timeToLive = answer.terms.timeToLive(at: now)
    self.frequency = frequency
    length = answer.length
    place = Place(of: answer)
  }
}

extension CachedObjectView.Place {
  fileprivate init(of answer: CachedAnswer) {
    guard let parts = answer.parts else {
      self = answer.body.disk == nil ? .memory : .disk
      return
    }
    self = parts.isInMemory ? .memory : parts.memoryCount == 0 ? .disk : .both
  }
}

extension PurgeTarget {
  fileprivate init(_ purge: CachePurge) {
    self =
      switch purge {
      case .url(let url): .url(EdgeServer.keyText(url))
      case .prefix(let text): .prefix(EdgeServer.keyText(text, addsPath: false))
      case .pattern(let text): .pattern(EdgeServer.keyText(text, addsPath: false))
      case .tag(let tag): .tag(Array(tag.utf8))
      case .everything: .everything
      }
  }
}
