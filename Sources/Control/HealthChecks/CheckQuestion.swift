import MartletLoop
import MartletNet
import Probes

/// What asks a target, and gives the verdict within the time that its settings allow.
protocol CheckQuestion: AnyObject {
  /// Begins to ask, as far as that needs no coroutine.
  func begin(for target: CheckedTarget) -> QuestionState
  /// Asks, and waits for the answer.
  func ask() async -> ProbeVerdict
}

/// How far a question has come that was begun.
enum QuestionState {
  /// It is answered.
  case answered(ProbeVerdict)
  /// It was asked; the target is told of the answer.
  case asked
  /// It is to be asked by a coroutine.
  case waits
}

extension CheckQuestion {
  func begin(for target: CheckedTarget) -> QuestionState { .waits }
}

extension DatagramQuestion: CheckQuestion {}
extension EchoQuestion: CheckQuestion {}
extension ScriptQuestion: CheckQuestion {}

/// A question that somebody else has thought of.
final class OtherQuestion: CheckQuestion {
  private let body: () async -> ProbeVerdict

  init(_ body: @escaping () async -> ProbeVerdict) { self.body = body }

  func ask() async -> ProbeVerdict { await body() }
}

/// The questions that wait for an answer on a connection that was kept: no coroutine does.
final class RestingQuestions: RestingKeeper {
  private struct Resting {
    var question: StreamQuestion
    var target: CheckedTarget
  }

  private var all: [Int32: Resting] = [:]

  /// Lets a question rest until its answer comes, or until the deadline.
  func rest(
    _ question: StreamQuestion,
    over stream: MartletNet.Stream,
    until deadline: Deadline,
    for target: CheckedTarget
  ) {
    all[stream.descriptor] = Resting(question: question, target: target)
    stream.rest(until: deadline)
  }

  func descriptorWoke(_ descriptor: Int32, hasInput: Bool) {
    guard let resting = all.removeValue(forKey: descriptor) else { return }
    resting.question.woke(hasInput: hasInput, for: resting.target)
  }
}
