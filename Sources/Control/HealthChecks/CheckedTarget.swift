import Configuration
import Edge
import MartletLoop
import MartletSystem
import Probes

/// How often a target is asked and what its answers mean, in numbers: what each check needs.
private struct Pace {
  let interval: Int64
  let downInterval: Int64
  /// The interval while its state changes; nil: that of the state.
  let fastInterval: Int64?
  let jitterPercent: Int
  let rise: Int
  let fall: Int

  /// The shortest of the intervals.
  var shortest: Int64 { min(interval, downInterval, fastInterval ?? interval) }

  init(_ settings: CheckSettings) {
    interval = settings.interval.nanoseconds
    downInterval = (settings.downInterval ?? settings.interval).nanoseconds
    fastInterval = settings.fastInterval?.nanoseconds
    jitterPercent = settings.jitterPercent
    rise = settings.rise
    fall = settings.fall
  }
}

/// One target that is asked again and again, when its turn comes.
final class CheckedTarget {
  private let loop: EventLoop
  private let turns: CheckTurns
  private let makeQuestion: (MemberCheck) -> any CheckQuestion
  private let tell: (CheckedTarget, ProbeVerdict) -> Void
  private var schedule: CheckSchedule
  private var question: any CheckQuestion
  private let pace: Pace
  /// The moment on the schedule of the present check or the next one.
  private var planned: Int64 = 0
  /// When the present check began.
  private var began: Int64 = 0
  private(set) var isStopped = false
  /// Whether the last check was made, and not only tried.
  private var wasMade = true
  private(set) var check: MemberCheck
  private(set) var history: CheckHistory
  private(set) var report: CheckReport

  init(
    _ check: MemberCheck,
    _ known: KeptHealth.Entry?,
    _ schedule: CheckSchedule,
    on loop: EventLoop,
    turns: CheckTurns,
    makeQuestion: @escaping (MemberCheck) -> any CheckQuestion,
    tell: @escaping (CheckedTarget, ProbeVerdict) -> Void
  ) {
    self.check = check
    self.loop = loop
    self.turns = turns
    self.schedule = schedule
    self.makeQuestion = makeQuestion
    pace = Pace(check.settings)
    self.tell = tell
    history = known?.history ?? CheckHistory()
    // The figures go on where another check of the same member has left them.
    report = check.report
    if known == nil { report.last = nil }
    report.health = history.health
    report.since = known?.since
    question = makeQuestion(check)
  }

  /// Goes on with the same target of a later generation.
  func take(_ check: MemberCheck) {
    self.check = check
    question = makeQuestion(check)
    check.publish(report, at: turns.clock)
  }

  /// What is to be remembered.
  var entry: KeptHealth.Entry {
    KeptHealth.Entry(history: history, since: report.since ?? 0)
  }

  /// Asks no more.
  func stop() { isStopped = true }

  /// Shows what is known, and asks from now on.
  func start() {
    let now = turns.clock
    check.publish(report, at: now)
    planned = schedule.first(from: now, interval: pace.interval)
    wait()
  }

  private func wait() {
    turns.add(self, at: CheckSchedule.together(planned, interval: pace.shortest))
  }

  /// Asks once, now that it has its turn.
  func ask() {
    guard !isStopped else { return }
    began = turns.clock
    switch question.begin(for: self) {
    case .answered(let verdict): conclude(verdict)
    case .asked: return
    case .waits: askPatiently()
    }
  }

  /// Asks by a coroutine.
  func askPatiently() {
    guard !isStopped else { return }
    let (target, question) = (self, question)
    loop.spawn(named: "check a member") { target.conclude(await question.ask()) }
  }

  /// Takes note of an answer, and waits for the next turn.
  func conclude(_ verdict: ProbeVerdict) {
    guard !isStopped else { return }
    let ended = turns.clock
    take(verdict, ended)
    planned = next(after: planned, now: ended)
    wait()
  }

  private func next(after planned: Int64, now: Int64) -> Int64 {
    if history.isChanging, let fast = pace.fastInterval {
      return schedule.soon(
        after: planned,
        now: now,
        interval: fast,
        jitterPercent: pace.jitterPercent
      )
    }
    return schedule.next(
      after: planned,
      now: now,
      interval: history.health == .down ? pace.downInterval : pace.interval,
      jitterPercent: pace.jitterPercent
    )
  }

  private func take(_ verdict: ProbeVerdict, _ ended: Int64) {
    let now = (ended + turns.wallAhead) / 1000
    var last = CheckReport.Last(isPassed: verdict.isPassed, nanoseconds: ended - began, time: now)
    var isMade = true
    switch verdict {
    case .passed(let detail): last.detail = detail
    case .failed(let failure):
      last.reason = failure.reason.rawValue
      last.detail = failure.detail
      // What this machine could not do says nothing about the member.
      isMade = failure.reason != .local
    }
    let isFirstFailure = !isMade && wasMade
    wasMade = isMade
    report.last = last
    var isChange = false
    if isMade {
      if last.isPassed { report.passedCount &+= 1 } else { report.failedCount &+= 1 }
      isChange = history.take(passed: last.isPassed, rise: pace.rise, fall: pace.fall)
    }
    if isChange {
      report.health = history.health
      report.since = now
      if last.isPassed { report.upCount &+= 1 } else { report.downCount &+= 1 }
    }
    check.publish(report, at: ended)
    if isChange || isFirstFailure { tell(self, verdict) }
  }
}

extension Duration {
  /// The nanoseconds of a duration that a configuration allows.
  var nanoseconds: Int64 {
    let (seconds, attoseconds) = components
    return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
  }
}
