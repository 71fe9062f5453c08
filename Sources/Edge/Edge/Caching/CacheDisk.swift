import Cache
import Configuration
import MartletTelemetry
import Synchronization

/// What a store has of its disk, for its plan, its log and whoever ends the process.
extension CachePlan {
  /// The disk of a store; the one that it had so far where that is the same.
  static func disk(_ settings: CacheSettings, continuing previous: CachePlan?) -> DiskStore? {
    guard let wish = settings.disk, let threads = DiskStore.threads else { return nil }
    let path = "\(wish.path)/\(settings.name)"
    if let disk = previous?.store.disk, disk.path == path {
      disk.setLimit(wish.byteLimit)
      return disk
    }
    return DiskStore(path: path, limit: wish.byteLimit, threads: threads)
  }

  /// Does what is due for the disk, and tells of it.
  func tendDisk(_ log: LogWriter) {
    guard let disk = store.disk else { return }
    disk.tend()
    let fields = [LogLine.Field("cache", name), LogLine.Field("folder", disk.path)]
    for news in disk.takeNews() {
      switch news {
      case .opened(let count, let byteCount, let milliseconds):
        log.note(
          .notice,
          "the disk of a cache can be used",
          fields + [
            LogLine.Field("objects", "\(count)"), LogLine.Field("bytes", "\(byteCount)"),
            LogLine.Field("milliseconds", "\(milliseconds)"),
          ]
        )
      case .waiting:
        log.note(.notice, "another process has the disk of a cache: it is waited for", fields)
      case .failed(let reason):
        log.note(
          .error,
          "the disk of a cache failed: what it would keep is kept in memory alone",
          fields + [LogLine.Field("error", reason)]
        )
      case .recovered: log.note(.notice, "the disk of a cache can be written again", fields)
      case .damaged(let place):
        log.note(
          .warning,
          "the disk of a cache has something else than was written: it is not used",
          fields + [LogLine.Field("place", place)]
        )
      }
    }
  }
}

extension Worker {
  /// Leaves the disks of all stores to another process.
  func closeDisks() async {
    for cache in generation.caches {
      guard let disk = cache.store.disk else { continue }
      if await !disk.close(on: loop) {
        board.log.note(
          .warning,
          "not all was written to the disk of a cache",
          [LogLine.Field("cache", cache.name)]
        )
      }
    }
  }

  /// The answers that are only on a disk, for a URL or the newest.
  func objectsOnDisk(in name: String?, url: [UInt8]?) async -> [CachedObjectView] {
    var views: [CachedObjectView] = []
    for cache in generation.caches where name == nil || cache.name == name {
      guard let disk = cache.store.disk else { continue }
      let (spaces, hasMore) = cache.spaces.withLock { ($0.all, $0.hasMore) }
      let keys = url.map { url in spaces.map { $0 + url } } ?? []
      // Where more than the URL tells answers apart, it cannot be known what keys there are.
      let newest = url == nil || hasMore ? DiskStore.listingLimit : 0
      let found = await disk.list(keys, newest: newest, on: loop) { text in
        url.map { text.elementsEqual($0) } ?? true
      }
      for each in found {
        let (key, answer) = (each.key, each.answer)
        let (frequency, isKept) = cache.store.glance(at: key.span, moment) { kept in
          kept.vary == answer.vary && kept.variant == answer.variant
        }
        guard !isKept else { continue }
        views.append(CachedObjectView(answer, of: each.url, in: cache.name, at: moment, frequency))
      }
    }
    return views
  }

  /// Waits until purges outlive this process.
  ///
  /// - Returns: Whether they do.
  func settleDisks(of names: [String]) async -> Bool {
    var isSettled = true
    for cache in generation.caches where names.contains(cache.name) {
      if let disk = cache.store.disk, await !disk.settle(on: loop) { isSettled = false }
    }
    return isSettled
  }
}
