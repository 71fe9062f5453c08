import Synchronization

/// A call on something shared: when it began and ended, and what came of it.
struct Call<Operation: Sendable, Answer: Sendable>: Sendable {
  var operation: Operation
  var answer: Answer
  var began: Int
  var ended: Int
}

/// What happened to something shared, told by those who did it.
final class History<Operation: Sendable, Answer: Sendable>: Sendable {
  private let clock = Atomic<Int>(0)
  private let calls = Mutex<[Call<Operation, Answer>]>([])

  var all: [Call<Operation, Answer>] { calls.withLock(\.self) }

  func call(_ operation: Operation, _ body: () -> Answer) {
    let began = clock.add(1, ordering: .sequentiallyConsistent).newValue
    let answer = body()
    let ended = clock.add(1, ordering: .sequentiallyConsistent).newValue
    calls.withLock {
      $0.append(Call(operation: operation, answer: answer, began: began, ended: ended))
    }
  }
}

/// What was done, and the state that it has led to.
private struct Visit<Model: Hashable>: Hashable {
  var done: Set<Int>
  var model: Model
}

/// Whether the calls could have happened one by one, each at a moment between its beginning and its end, on
/// the model.
///
/// Tries every order that the times allow, and none twice from the same state (Wing and Gong's search).
func isLinearizable<Model: Hashable, Operation, Answer: Equatable>(
  _ calls: [Call<Operation, Answer>],
  on model: Model,
  _ apply: (inout Model, Operation) -> Answer
) -> Bool {
  var visited: Set<Visit<Model>> = []
  func search(_ done: Set<Int>, _ model: Model) -> Bool {
    if done.count == calls.count { return true }
    guard visited.insert(Visit(done: done, model: model)).inserted else { return false }
    let rest = calls.indices.filter { !done.contains($0) }
    guard let firstEnd = rest.map({ calls[$0].ended }).min() else { return true }
    // Only what began before the first of the rest ended can be next.
    for index in rest where calls[index].began < firstEnd {
      var next = model
      if apply(&next, calls[index].operation) == calls[index].answer,
        search(done.union([index]), next)
      {
        return true
      }
    }
    return false
  }
  return search([], model)
}
