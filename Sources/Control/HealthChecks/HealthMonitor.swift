public import Configuration
public import Edge
public import Handover
public import MartletLoop
import MartletSystem
public import Probes

/// Checks the members of the upstreams that are in force, on one loop.
public final class HealthMonitor {
  /// Makes what asks a target once, and gives the verdict within the time that its settings allow.
  public typealias MakeQuestion = (MemberCheck) -> (() async -> ProbeVerdict)

  private static let memoryName = "health"
  private static let pause = Duration.milliseconds(250)

  private let loop: EventLoop
  private let memory: EdgeMemory?
  private let note: (HealthChange) -> Void
  private let makeQuestion: (MemberCheck) -> any CheckQuestion
  private let turns: CheckTurns
  private var upstreams: [UpstreamPlan] = []
  /// The members that the upstreams had when they were looked at.
  private var memberships: [Membership] = []
  private var targets: [MemberCheck.Key: CheckedTarget] = [:]
  private var count: UInt32 = 0
  private var hasNews = false
  private var isKeeping = false
  private var isOver = false
  /// What is known of targets, those of an earlier process too.
  public private(set) var known = KeptHealth()

  /// Creates a monitor that checks nothing yet.
  ///
  /// - Parameters:
  ///   - loop: Where it runs; its members are used there alone.
  ///   - memory: Where it finds what an earlier process knew, and keeps it for a later one.
  ///   - makeQuestion: What asks; nil: the members themselves are asked.
  ///   - note: Told of each change of a member's health.
  public init(
    on loop: EventLoop,
    memory: EdgeMemory?,
    makeQuestion: MakeQuestion? = nil,
    note: @escaping (HealthChange) -> Void
  ) {
    self.loop = loop
    self.memory = memory
    self.note = note
    turns = CheckTurns(on: loop)
    if let makeQuestion {
      self.makeQuestion = { OtherQuestion(makeQuestion($0)) }
    } else {
      let scripts = ScriptPlaces(on: loop)
      let sockets = ScratchSockets()
      let resting = RestingQuestions()
      // Where the loop has another keeper, coroutines wait.
      if loop.keeper == nil { loop.keeper = resting }
      self.makeQuestion = { Self.question($0, scripts, sockets, resting, on: loop) }
    }
    if let bytes = memory?.bytes(of: Self.memoryName), let kept = KeptHealth(bytes) {
      known = kept
    }
  }

  /// Looks whether this process has the rights for the checks of a configuration.
  ///
  /// - Throws: ``CheckRefusal`` when it has not.
  public static func checkRights(_ configuration: EdgeConfiguration) throws(CheckRefusal) {
    for upstream in configuration.upstreams where upstream.check?.kind == .icmp {
      try EchoQuestion.checkRights(upstream)
    }
  }

  /// What asks a target by the means of its settings.
  private static func question(
    _ check: MemberCheck,
    _ scripts: ScriptPlaces,
    _ sockets: ScratchSockets,
    _ resting: RestingQuestions,
    on loop: EventLoop
  ) -> any CheckQuestion {
    switch check.settings.kind {
    case .tcp, .http, .tls, .redis, .postgresql, .mysql, .grpc:
      StreamQuestion(check, sockets, resting, on: loop)
    case .udp: DatagramQuestion(check, on: loop)
    case .icmp: EchoQuestion(check, on: loop)
    case .script: ScriptQuestion(check, scripts, on: loop)
    }
  }

  // MARK: What is checked

  /// Checks the members of these upstreams from now on, those that come later too, and no others.
  public func follow(_ upstreams: [UpstreamPlan]) {
    guard !isOver else { return }
    self.upstreams = upstreams
    memberships = upstreams.map(\.membership)
    rememberTargets()
    let checks = MemberCheck.all(of: upstreams)
    var next: [MemberCheck.Key: CheckedTarget] = [:]
    for check in checks {
      if let target = targets.removeValue(forKey: check.key) {
        target.take(check)
        next[check.key] = target
      } else if let target = start(check) {
        next[check.key] = target
      }
    }
    if !targets.isEmpty { forgetTargets() }
    targets = next
    MemberCheck.forgetUnchecked(of: upstreams)
    // What nobody asks any more need not be known.
    known.keep(checks)
    // At once: after a reload an upgrade may come, whose process looks before the next pause is over.
    store()
    guard !isKeeping else { return }
    isKeeping = true
    let monitor = self
    loop.spawn(named: "keep what is known of members") { await monitor.keep() }
  }

  private func forgetTargets() {
    for target in targets.values { target.stop() }
    turns.forgetStopped()
  }

  private func start(_ check: MemberCheck) -> CheckedTarget? {
    guard turns.canWait else {
      for subject in check.subjects {
        note(HealthChange(.unchecked, subject, reason: "local", detail: "no timer is left"))
      }
      return nil
    }
    let seed = UInt64.random(in: 0 ... .max)
    let monitor = self
    let target = CheckedTarget(
      check,
      known.entries[check.memory],
      CheckSchedule(number: count, seed: seed),
      on: loop,
      turns: turns,
      makeQuestion: makeQuestion,
      tell: { target, verdict in monitor.tell(target, verdict) }
    )
    count &+= 1
    target.start()
    return target
  }

  /// Checks nothing more, and leaves what is known to the process that comes next.
  public func end() {
    guard !isOver else { return }
    // An edge that serves already has perhaps written what is newer.
    if hasNews { store() }
    isOver = true
    forgetTargets()
    targets = [:]
    upstreams = []
  }

  // MARK: What goes on beside

  /// Looks from time to time whether members came or went, and writes what is known, if it is another.
  private func keep() async {
    while !isOver {
      do throws(WaitError) {
        try await loop.sleep(for: Self.pause)
      } catch {
        // No timer is left: the next generation begins anew.
        isKeeping = false
        return
      }
      if zip(upstreams, memberships).contains(where: { $0.membership !== $1 }) {
        follow(upstreams)
      }
      if hasNews { store() }
    }
  }

  private func rememberTargets() {
    for target in targets.values where target.history.health != .unknown {
      known.entries[target.check.memory] = target.entry
    }
  }

  private func store() {
    guard !isOver else { return }
    hasNews = false
    rememberTargets()
    memory?.store(known.encoded, as: Self.memoryName)
  }

  private func tell(_ target: CheckedTarget, _ verdict: ProbeVerdict) {
    hasNews = true
    let event: HealthChange.Event
    var reason = "passed"
    let detail: String
    switch verdict {
    case .passed(let text): (event, detail) = (.up, text)
    case .failed(let failure):
      event = failure.reason == .local ? .unchecked : .down
      reason = failure.reason.rawValue
      detail = failure.detail
    }
    for subject in target.check.subjects {
      note(HealthChange(event, subject, reason: reason, detail: detail))
    }
  }
}

/// Why the checks of a configuration cannot be made by this process.
public struct CheckRefusal: Error, Hashable, Sendable, CustomStringConvertible {
  /// What is missing, and the mend.
  public var description: String
}
