import MartletSync

/// Why nothing was put in or taken out.
public enum QueueFailure: Error, Hashable, Sendable {
  /// The limit came first.
  case timedOut
  /// The task that waited was cancelled.
  case cancelled
  /// The queue is closed; for takers also: and empty.
  case closed
}

/// What came of one try to take something.
enum Taken<Element> {
  case element(Element)
  case empty
  case closed
}

/// What came of one try to put something in.
enum Putting: Hashable {
  case done
  case full
  case closed
}

/// Where the elements of a queue are.
protocol QueueStore<Element>: Sendable {
  associatedtype Element: Sendable

  func put(_ element: Element) -> Putting
  func take() -> Taken<Element>
  /// Lets nothing in any more.
  func close()
  var isClosed: Bool { get }
  /// How many elements are there.
  var count: Int { get }
  /// How many were ever put in.
  var putCount: Int { get }
}
