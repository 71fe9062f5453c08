import Handover
import MartletLoop
import MartletProcess
import MartletSystem

/// What became of an offer to an edge.
enum OfferOutcome {
  /// It serves the generation.
  case ready
  /// It does not; it goes on with what it had.
  case refused(String)
  /// It ended before it answered.
  case ended(ProcessEnd)
  /// It did not answer in time.
  case silent
}

/// A value that one coroutine waits for and another gives.
final class Answer<Value> {
  private let signal: Signal
  private var value: Value?

  init?(on loop: EventLoop) {
    guard let signal = Signal(on: loop) else { return nil }
    self.signal = signal
  }

  func give(_ value: Value) {
    guard self.value == nil else { return }
    self.value = value
    signal.set()
  }

  func wait(by deadline: Deadline) async -> Value? {
    if value == nil {
      do throws(WaitError) { try await signal.wait(by: deadline) } catch { return nil }
    }
    return value
  }
}

/// What came of a call to an edge.
struct EdgeAnswer {
  /// The answer as JSON; empty: the process ended.
  var outcome: [UInt8]
  /// Whether something is different now.
  var isChange: Bool
  /// Why what is different could not be kept.
  var keeping: SystemError?
}

/// An edge process and what the supervisor knows of it.
final class SupervisedEdge {
  /// What it is at.
  enum State: String {
    case starting, serving, draining
  }

  let child: ChildProcess
  let channel: HandoverChannel
  let startedAt: Int64
  var state = State.starting
  /// The generation it serves; 0 before the first.
  var generation: UInt64 = 0
  /// Who waits for the answer to an offer, and for which generation.
  var offer: (number: UInt64, answer: Answer<OfferOutcome>)?
  var reports: [Answer<(json: String, text: String)>] = []
  /// Who waits for the answers to calls, by their number.
  var calls: [UInt32: Answer<EdgeAnswer>] = [:]
  /// What it understands: see ``HandoverLimits/callLevel``.
  let level: Int
  /// Takes what it says is different at run time.
  var changed: (RuntimeState) -> SystemError? = { _ in nil }
  /// Takes that a process of an application takes too long.
  var hangs: (String, Int32) -> Void = { _, _ in }
  /// Takes how many processes an application is to have.
  var wants: (String, Int) -> Void = { _, _ in }
  /// Whether it has said that its loops turn, since this was last looked at; nil: it never has.
  var isAlive: Bool?

  private init(_ child: ChildProcess, _ channel: HandoverChannel, level: Int) {
    self.level = level
    self.child = child
    self.channel = channel
    startedAt = SystemClock.monotonicNanoseconds()
  }

  /// Starts a process that has `memory` in common with those before it.
  ///
  /// - Throws: ``SystemError``.
  static func start(
    _ program: Program,
    memory: OpenFile,
    on loop: EventLoop
  ) throws(SystemError) -> SupervisedEdge {
    let (own, its) = try OpenFile.socketPair()
    let child = try ChildProcess.start(
      program,
      descriptors: [its.number, memory.number],
      on: loop
    )
    let channel = try HandoverChannel(adopting: own, on: loop)
    return SupervisedEdge(child, channel, level: HandoverLimits.callLevel)
  }

  /// Takes over a process that was started before this one executed its present binary.
  ///
  /// - Throws: ``SystemError``.
  static func adopt(
    _ process: Int32,
    channel: OpenFile,
    level: Int,
    on loop: EventLoop
  ) throws(SystemError) -> SupervisedEdge {
    let edge = SupervisedEdge(
      try ChildProcess(adopting: process, on: loop),
      try HandoverChannel(adopting: channel, on: loop),
      level: level
    )
    edge.state = .serving
    return edge
  }

  /// Takes in a message.
  func receive(_ message: HandoverMessage) {
    switch message {
    case .ready(let number):
      generation = number
      if state == .starting { state = .serving }
      settle(number, .ready)
    case .refused(let number, let reason): settle(number, .refused(Self.printable(reason)))
    case .report(let json, let text):
      for waiting in reports { waiting.give((Self.printable(json), Self.printable(text))) }
      reports = []
    case .alive: isAlive = true
    case .answer(let number, let outcome, let changes):
      // What is different is kept before anybody is told that it is.
      let failure = changes.flatMap { changed($0) }
      calls.removeValue(forKey: number)?.give(
        EdgeAnswer(outcome: outcome, isChange: changes != nil, keeping: failure)
      )
    case .workerHangs(let application, let process): hangs(application, process)
    case .workersWanted(let application, let count): wants(application, count)
    case .drained, .generation, .logs, .drain, .stop, .ask, .changes, .call, .worker,
      .retireWorker, .workerEnded:
      break
    }
  }

  /// The edge reads what strangers send: nothing that it says may command a terminal.
  private static func printable(_ text: String) -> String {
    String(
      String.UnicodeScalarView(
        text.unicodeScalars.map { scalar in
          scalar == "\n" || scalar.value >= 0x20 && !(0x7F...0x9F).contains(scalar.value)
            ? scalar : "?"
        }
      )
    )
  }

  private func settle(_ number: UInt64, _ outcome: OfferOutcome) {
    guard let offer, offer.number == number else { return }
    offer.answer.give(outcome)
    self.offer = nil
  }

  /// Answers whoever still waits for this process, which has ended.
  func settleAll(_ end: ProcessEnd) {
    offer?.answer.give(.ended(end))
    offer = nil
    for waiting in reports { waiting.give(("null", "")) }
    reports = []
    for waiting in calls.values {
      waiting.give(EdgeAnswer(outcome: [], isChange: false, keeping: nil))
    }
    calls = [:]
  }

  /// Posts a message unless the process has ended.
  func tellIfRunning(_ message: HandoverMessage) {
    if child.end == nil { tell(message) }
  }

  /// Posts a message whose loss the end of the process will show.
  func tell(_ message: HandoverMessage) {
    do throws(HandoverError) {
      try channel.post(message)
    } catch {
      // It does not read: it cannot be asked to do anything any more.
      child.send(.kill)
    }
  }
}
