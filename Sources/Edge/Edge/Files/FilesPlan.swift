import Configuration
import HTTPMessage
import MartletBytes
import MartletLoop
import MartletTelemetry
import StaticFiles

/// The files that answer a route, compiled.
final class FilesPlan: Sendable {
  let rules: FileRules
  /// Its place among those of its generation.
  let index: Int
  let metrics: FileMetrics
  /// The methods with which clients change files.
  private let changes: [Method]
  /// The methods that are answered, as `Allow` lists them.
  let allowed: [UInt8]
  /// The uploads that go on after an interruption; nil: none does.
  let uploads: UploadStore?
  let uploadMetrics: UploadMetrics?

  init(
    _ settings: FilesSettings,
    index: Int,
    response: Route.FieldRules,
    dictionaries: [DictionarySettings],
    _ layout: inout MetricLayout.Builder
  ) {
    let omitted = FileRules.Field.allCases.filter { response.leavesOut($0.rawValue) }
    rules = FileRules(settings, omitting: Set(omitted), dictionaries: dictionaries)
    self.index = index
    metrics = FileMetrics(&layout)
    changes = settings.changes.map(\.method)
    uploads = UploadStore(rules)
    uploadMetrics = uploads == nil ? nil : UploadMetrics(&layout)
    var words = ["GET", "HEAD", "OPTIONS"] + settings.changes.map { $0.rawValue.uppercased() }
    if uploads != nil { words.append("PATCH") }
    allowed = Array(words.joined(separator: ", ").utf8)
  }

  /// Whether a request changes files, or is about an upload.
  func isChange(_ request: RequestHead, in head: Span<UInt8>) -> Bool {
    if changes.contains(request.method) { return true }
    return uploads != nil && isAboutUpload(request, in: head)
  }

  /// Whether a request is about an upload that has begun.
  func isAboutUpload(_ request: RequestHead, in head: Span<UInt8>) -> Bool {
    switch request.method {
    case .head, .patch, .delete:
      UploadName.isQuery(head.extracting(request.query.range))
    default: false
    }
  }
}

extension FileChange {
  fileprivate var method: Method {
    switch self {
    case .put: .put
    case .post: .post
    case .delete: .delete
    }
  }
}

extension Route.FieldRules {
  /// Whether fields of this name are left out.
  fileprivate func leavesOut(_ name: String) -> Bool {
    let bytes = Array(name.utf8)
    let line = FieldLine(
      name: FieldName(bytes.span),
      nameRange: ByteRange(0..<bytes.count),
      valueRange: ByteRange(),
      lineEnd: 0,
      isHopByHop: false
    )
    return dropped.contains(line, in: bytes.span)
  }
}

/// What is counted of files.
struct FileMetrics: Sendable {
  /// By the order of ``StaticFiles/FileStore/Outcome``.
  private let lookups: [Counter]
  let kept: Gauge
  let keptBytes: Gauge

  init(_ layout: inout MetricLayout.Builder) {
    lookups = layout.counters(
      EdgeMetrics.fileLookups,
      each: FileStore.Outcome.allCases.map(\.name)
    )
    kept = layout.gauge(EdgeMetrics.filesKept)
    keptBytes = layout.gauge(EdgeMetrics.fileBytesKept)
  }

  subscript(outcome: FileStore.Outcome) -> Counter { lookups[outcome.rawValue] }
}

/// What a loop keeps of the files of a plan.
final class FileShelf {
  let plan: FilesPlan
  private let store: FileStore
  /// What was counted of it as kept.
  private var countedFiles: Int64 = 0
  private var countedBytes: Int64 = 0

  /// Begins with what `other` has kept, if its files are found in the same way.
  init(_ plan: FilesPlan, continuing other: FileShelf?) {
    self.plan = plan
    if let other, other.plan.rules.isSame(as: plan.rules) {
      store = other.store
      countedFiles = other.countedFiles
      countedBytes = other.countedBytes
    } else {
      store = FileStore(plan.rules)
    }
  }

  /// What the path of a request means, which is counted.
  ///
  /// With `isFresh` it is looked at now, however lately that was done.
  func find(_ path: Span<UInt8>, for worker: Worker, isFresh: Bool = false) -> FileEntry {
    let now = worker.loop.now
    let (entry, outcome) = store.find(
      path,
      at: now,
      isFresh: isFresh,
      worker.clock.fileTime(of: now)
    )
    worker.counters.add(to: plan.metrics[outcome])
    if outcome != .hit { countKept(worker.counters) }
    return entry
  }

  private func countKept(_ counters: CounterTable) {
    let (files, bytes) = (Int64(store.fileCount), Int64(store.keptBytes))
    counters.add(files - countedFiles, to: plan.metrics.kept)
    counters.add(bytes - countedBytes, to: plan.metrics.keptBytes)
    countedFiles = files
    countedBytes = bytes
  }

  /// Counts nothing of it as kept any more.
  func retire(_ counters: CounterTable) {
    counters.add(-countedFiles, to: plan.metrics.kept)
    counters.add(-countedBytes, to: plan.metrics.keptBytes)
  }
}

extension Worker {
  /// Makes room for the files of a generation, which keeps what it has in common with the one before.
  func publishFiles(_ generation: Generation) {
    guard !generation.filePlans.isEmpty || !fileShelves.isEmpty else { return }
    var before: [FilesSettings: FileShelf] = [:]
    for shelf in fileShelves { before[shelf.plan.rules.settings] = shelf }
    fileShelves = generation.filePlans.map { plan in
      let other = before.removeValue(forKey: plan.rules.settings)
      let shelf = FileShelf(plan, continuing: other)
      if let other, !other.plan.rules.isSame(as: plan.rules) { other.retire(counters) }
      return shelf
    }
    for shelf in before.values { shelf.retire(counters) }
  }

  /// What is kept of the files of a plan, which may be of an earlier generation.
  func shelf(of plan: FilesPlan) -> FileShelf {
    if plan.index < fileShelves.count, fileShelves[plan.index].plan === plan {
      return fileShelves[plan.index]
    }
    return fileShelves.first { $0.plan.rules.isSame(as: plan.rules) }
      ?? FileShelf(plan, continuing: nil)
  }
}

extension WallClock {
  /// The time of day of a moment of the loop's clock, as files know it.
  fileprivate func fileTime(of moment: Int64) -> FileTime {
    FileTime(nanoseconds: Int64(clamping: timestamp(of: moment).unixNanoseconds))
  }
}
