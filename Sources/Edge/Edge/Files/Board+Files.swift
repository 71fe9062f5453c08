import MartletLoop
import MartletTelemetry
import StaticFiles

/// What is counted of uploads.
struct UploadMetrics: Sendable {
  /// What may come of uploads.
  enum Outcome: String, CaseIterable {
    /// One has begun.
    case begun
    /// A later request has sent more of one.
    case resumed
    /// The file is in place.
    case completed
    /// The client has said that it will not go on.
    case cancelled
    /// Its time was over.
    case expired
    /// It is longer than it may be, or its file could not be put in place.
    case failed
  }

  private let begun: Counter
  private let resumed: Counter
  private let completed: Counter
  private let cancelled: Counter
  private let expired: Counter
  private let failed: Counter

  init(_ layout: inout MetricLayout.Builder) {
    let counters = layout.counters(
      EdgeMetrics.uploads,
      each: Outcome.allCases.map(\.rawValue)
    )
    (begun, resumed, completed) = (counters[0], counters[1], counters[2])
    (cancelled, expired, failed) = (counters[3], counters[4], counters[5])
  }

  subscript(outcome: Outcome) -> Counter {
    switch outcome {
    case .begun: begun
    case .resumed: resumed
    case .completed: completed
    case .cancelled: cancelled
    case .expired: expired
    case .failed: failed
    }
  }
}

extension Worker {
  /// Has a thread remove the uploads whose time is over, now and then.
  func sweepUploads() {
    for plan in generation.filePlans {
      guard let uploads = plan.uploads, uploads.takeSweep(at: clock.seconds) else { continue }
      let worker = self
      loop.spawn(named: "sweep uploads that were left") { await worker.sweep(uploads, plan) }
    }
  }

  private func sweep(_ uploads: UploadStore, _ plan: FilesPlan) async {
    guard let threads = FileThreads.shared, let metrics = plan.uploadMetrics else { return }
    let now = clock.seconds
    do {
      let expired = try await threads.run(on: loop) { uploads.sweep(at: now) }
      counters.add(UInt64(expired), to: metrics[.expired])
    } catch {
      // The next one is not far.
    }
  }
}

extension Board {
  /// Appends what uploads show beside their counters.
  static func appendUploads(_ generation: Generation, to text: inout PrometheusText) {
    let stores = generation.uploadStores
    guard !stores.isEmpty else { return }
    let counts = stores.map(\.openCounts)
    let sum = (count: counts.reduce(0) { $0 + $1.count }, bytes: counts.reduce(0) { $0 + $1.bytes })
    text.append(EdgeMetrics.uploadsOpen, [MetricSample([], Double(sum.count))])
    text.append(EdgeMetrics.uploadBytesOpen, [MetricSample([], Double(sum.bytes))])
  }

  /// Writes the files of a status: what all loops keep of all routes, and the uploads below each root.
  static func writeFiles(
    _ generation: Generation,
    _ tables: [CounterTable],
    _ json: inout JSONWriter
  ) {
    guard let metrics = generation.filePlans.first?.metrics else { return }
    json.key("files")
    json.object { json in
      json.member("routes", generation.filePlans.count)
      json.member("kept", Int(tables.value(of: metrics.kept)))
      json.member("kept_bytes", Int(tables.value(of: metrics.keptBytes)))
      for outcome in FileStore.Outcome.allCases {
        json.member(outcome.statusName, tables.value(of: metrics[outcome]))
      }
    }
    let stores = generation.uploadStores
    guard !stores.isEmpty else { return }
    json.array("uploads") { json in
      for store in stores {
        let counts = store.openCounts
        json.object { json in
          json.member("root", store.root)
          json.member("open", counts.count)
          json.member("bytes", Int(counts.bytes))
          json.member("limit", store.countLimit)
        }
      }
    }
  }
}

extension FileStore.Outcome {
  /// The outcome's name in the status.
  fileprivate var statusName: String {
    switch self {
    case .hit: "hits"
    case .checked: "checks"
    case .opened: "opens"
    case .missing: "misses"
    }
  }
}

extension Generation {
  /// The uploads of all routes, each root once.
  fileprivate var uploadStores: [UploadStore] {
    var roots: Set<String> = []
    return filePlans.compactMap(\.uploads).filter { roots.insert($0.root).inserted }
  }
}
