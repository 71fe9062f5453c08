import Configuration
import Limiting
import MartletSystem
import MartletTelemetry
import Synchronization

/// Watches what the process may run short of, and says what is to be refused.
///
/// One for all loops. Each loop tells how late it is, and whichever comes first to the time for it looks
/// at the figures: so a loop that stands still is noticed by the others. Each loop takes ``floor`` over at
/// its tick, for its requests to ask.
final class OverloadController: Sendable {
  /// What is said to clients that are refused.
  struct Present {
    let level: Int
    let cause: OverloadCause
    let retryAfterSeconds: UInt32
  }

  /// One cause as it was seen last.
  struct Figure: Sendable {
    let cause: OverloadCause
    let value: Double
    let limit: Double
  }

  private let lowest = Atomic<Int>(0)
  private let closed = Atomic<Bool>(false)
  private let watching = Atomic<Bool>(false)
  /// The level, the place of the cause among all, and the seconds to wait, as one word.
  private let word = Atomic<UInt64>(0)
  private let loops: [LoopLag]
  private let inner = Mutex(Inner())

  /// How late one loop is.
  private final class LoopLag: Sendable {
    let last = Atomic<Int64>(0)
    let before = Atomic<Int64>(0)
    let seenAt = Atomic<Int64>(0)
  }

  private struct Inner: Sendable {
    var settings: OverloadSettings?
    var memoryLimit: Int?
    var state = OverloadState()
    var figures: [Figure] = []
    var nextAt: Int64 = 0
  }

  init(loopCount: Int) { loops = (0..<loopCount).map { _ in LoopLag() } }

  /// The priority below which requests are refused; 0: none is.
  var floor: Int { lowest.load(ordering: .relaxed) }

  /// Whether no connections are accepted.
  var isClosed: Bool { closed.load(ordering: .relaxed) }

  /// Whether anything is watched.
  var isWatching: Bool { watching.load(ordering: .relaxed) }

  /// Watches as `settings` say from now on; nil: nothing is.
  func configure(_ settings: OverloadSettings?) {
    let limit: Int? =
      switch settings?.memory {
      case .automatic: Resources.memoryLimit()
      case .fixed(let bytes): bytes
      case .off, nil: nil
      }
    inner.withLock { inner in
      inner.settings = settings
      inner.memoryLimit = limit
      guard settings == nil else { return }
      inner.state = OverloadState()
      inner.figures = []
      show(inner)
    }
    watching.store(settings != nil, ordering: .relaxed)
  }

  /// What is said to a client that is refused now.
  var present: Present {
    let word = word.load(ordering: .relaxed)
    let causes = OverloadCause.allCases
    return Present(
      level: Int(word & 0xFF),
      cause: causes[min(Int(word >> 8 & 0xFF), causes.count - 1)],
      retryAfterSeconds: UInt32(truncatingIfNeeded: max(1, word >> 16))
    )
  }

  /// The level, and the figures as they were seen last.
  var shown: (level: Int, cause: OverloadCause?, figures: [Figure]) {
    inner.withLock { ($0.state.level, $0.state.cause, $0.figures) }
  }

  /// Notes by how many nanoseconds a loop was late.
  func note(lag: Int64, ofLoop index: Int, at now: Int64) {
    let loop = loops[index]
    loop.before.store(loop.last.load(ordering: .relaxed), ordering: .relaxed)
    loop.last.store(lag, ordering: .relaxed)
    loop.seenAt.store(now, ordering: .relaxed)
  }

  /// Looks at the figures if it is time for it.
  func look(at now: Int64, _ log: LogWriter) {
    let change = inner.withLock { inner -> (level: Int, before: Int, figures: [Figure])? in
      guard let settings = inner.settings, now >= inner.nextAt else { return nil }
      inner.nextAt = now + Self.pause
      inner.figures = figures(settings, inner.memoryLimit, now)
      var update: [OverloadCause: (figure: Double, thresholds: OverloadState.Thresholds)] = [:]
      for figure in inner.figures {
        let isLag = figure.cause == .loopLag
        update[figure.cause] = (
          figure.value, isLag ? .multiples(of: figure.limit) : .shares(of: figure.limit)
        )
      }
      let before = inner.state.level
      guard inner.state.update(update, at: UInt64(max(0, now))) else {
        // The cause may be another one.
        if before > 0 { show(inner) }
        return nil
      }
      show(inner)
      return (inner.state.level, before, inner.figures)
    }
    if let change { note(change.level, change.before, change.figures, log) }
  }

  // Less than the time between two ticks of a loop, so that one loop alone looks at each tick.
  private static let pause: Int64 = 200_000_000
  /// The time between two ticks of a loop, and what a timer may be late by itself.
  private static let tick: Int64 = 250_000_000 + 50_000_000

  private func show(_ inner: borrowing Inner) {
    let level = inner.state.level
    let place = inner.state.cause.flatMap { OverloadCause.allCases.firstIndex(of: $0) } ?? 0
    let seconds = inner.settings?.retryAfter.components.seconds ?? 1
    word.store(
      UInt64(level) | UInt64(place) << 8 | UInt64(max(1, seconds)) << 16,
      ordering: .relaxed
    )
    lowest.store(OverloadState.floor(of: level), ordering: .relaxed)
    closed.store(level >= OverloadState.closing, ordering: .relaxed)
  }

  private func figures(
    _ settings: OverloadSettings,
    _ memoryLimit: Int?,
    _ now: Int64
  ) -> [Figure] {
    var figures: [Figure] = []
    if let limit = settings.loopLag {
      let late = loops.map { loop in
        let seen = loop.seenAt.load(ordering: .relaxed)
        // One turn that is long says little: the lower one of two looks. A loop that does not come is
        // late for as long as it does not.
        let lag = min(loop.last.load(ordering: .relaxed), loop.before.load(ordering: .relaxed))
        return max(lag, seen == 0 ? 0 : now - seen - Self.tick)
      }.max()
      figures.append(
        Figure(cause: .loopLag, value: Double(late ?? 0), limit: Double(limit.nanoseconds))
      )
    }
    if let memoryLimit, let bytes = Resources.residentBytes() {
      figures.append(Figure(cause: .memory, value: Double(bytes), limit: Double(memoryLimit)))
    }
    let descriptorLimit: Int? =
      switch settings.descriptors {
      case .automatic: Resources.descriptorLimit()
      case .fixed(let count): count
      case .off: nil
      }
    if let descriptorLimit, let count = Resources.openDescriptorCount() {
      figures.append(
        Figure(cause: .descriptors, value: Double(count), limit: Double(descriptorLimit))
      )
    }
    return figures
  }

  private func note(_ level: Int, _ before: Int, _ figures: [Figure], _ log: LogWriter) {
    var fields = [LogLine.Field("level", level), LogLine.Field("before", before)]
    for figure in figures {
      let percent = Int((figure.value / figure.limit * 100).rounded())
      fields.append(LogLine.Field(figure.cause.percentName, percent))
    }
    if level > 0 {
      log.note(.warning, "the process is overloaded", fields)
    } else {
      log.note(.notice, "the process is no longer overloaded", fields)
    }
  }
}

extension OverloadCause {
  /// What logs and the status call its figure.
  var percentName: StaticString {
    switch self {
    case .loopLag: "loop_lag_percent"
    case .memory: "memory_percent"
    case .descriptors: "descriptors_percent"
    }
  }
}
