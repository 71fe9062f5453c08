/// A sequence that a function makes while it is read: the function stands still until the next element is asked for.
///
/// Each reader has a run of the function of its own, in a coroutine of the reader's loop, which begins with the first
/// element that is asked for. When the reader stops, the function is cancelled: its
/// ``Output/yield(_:)`` throws.
///
/// ```swift
/// let lines = Generator(on: loop) { output in
///   let connection = try await Connection.open(to: address, on: loop)
///   while let line = try await connection.line() { try await output.yield(line) }
/// }
/// for try await line in lines { if line.isEmpty { break } }
/// ```
public struct Generator<Element>: AsyncSequence {
  private let loop: EventLoop
  private let name: StaticString
  private let produce: (Output) async throws -> Void

  /// Creates a sequence of what `produce` yields.
  public init(
    on loop: EventLoop,
    named name: StaticString = #function,
    _ produce: @escaping (Output) async throws -> Void
  ) {
    self.loop = loop
    self.name = name
    self.produce = produce
  }

  /// Begins a run, when the first element is asked for.
  public func makeAsyncIterator() -> Iterator { Iterator(loop, name, produce) }

  /// Where a function hands over what it makes.
  public final class Output {
    private let loop: EventLoop
    /// Whether the reader waits for an element.
    fileprivate var isAwaited = false
    fileprivate private(set) var element: Element?
    /// Whether nobody reads any more, or the function has ended.
    fileprivate private(set) var isClosed = false
    /// What the function has thrown.
    fileprivate var failure: (any Error)?
    fileprivate var reader: Signal?
    /// Those who wait to be asked.
    private var line: [Signal] = []

    fileprivate init(on loop: EventLoop) { self.loop = loop }

    /// Hands an element over when it is asked for, and waits until the next one is.
    ///
    /// Several coroutines may do so; each element goes to the reader once.
    ///
    /// - Throws: ``WaitError/cancelled`` when nobody reads any more.
    public func yield(_ element: Element) async throws(WaitError) {
      while !isClosed, !isAwaited { try await untilAsked() }
      guard !isClosed else { throw .cancelled }
      self.element = element
      isAwaited = false
      reader?.set()
      while !isClosed, !isAwaited { try await untilAsked() }
    }

    private func untilAsked() async throws(WaitError) {
      guard let signal = Signal(on: loop) else { throw .cancelled }
      line.append(signal)
      defer { line.removeAll { $0 === signal } }
      try await signal.wait()
    }

    /// Lets those go on who wait to be asked.
    fileprivate func wakeAll() {
      for signal in line { signal.set() }
    }

    /// What was handed over; what the function has thrown is told once.
    fileprivate func taken() throws -> Element? {
      if let element {
        self.element = nil
        return element
      }
      if let failure {
        self.failure = nil
        throw failure
      }
      return nil
    }

    fileprivate func close() {
      isClosed = true
      reader?.set()
      wakeAll()
    }
  }

  /// Reads one run of the function, on its loop.
  public final class Iterator: AsyncIteratorProtocol {
    private let loop: EventLoop
    private let name: StaticString
    private let produce: (Output) async throws -> Void
    private let output: Output
    private var run: LoopTask<Void>?

    fileprivate init(
      _ loop: EventLoop,
      _ name: StaticString,
      _ produce: @escaping (Output) async throws -> Void
    ) {
      self.loop = loop
      self.name = name
      self.produce = produce
      output = Output(on: loop)
    }

    deinit {
      output.close()
      run?.cancel()
    }

    /// The next element; nil when the function has returned.
    ///
    /// - Throws: What the function throws, once; ``WaitError/cancelled`` when the reader is cancelled.
    public func next() async throws -> Element? { try await next(isolation: #isolation) }

    /// The next element, on the loop that the reader runs on.
    ///
    /// - Throws: What the function throws, once; ``WaitError/cancelled`` when the reader is cancelled.
    public func next(isolation actor: isolated (any Actor)?) async throws -> Element? {
      if !output.isClosed { try await ask() }
      return try output.taken()
    }

    private func ask() async throws(WaitError) {
      guard let signal = Signal(on: loop) else { throw .cancelled }
      output.reader = signal
      output.isAwaited = true
      defer {
        output.reader = nil
        output.isAwaited = false
      }
      if run == nil { begin() } else { output.wakeAll() }
      while output.element == nil, !output.isClosed { try await signal.wait() }
    }

    private func begin() {
      // Without the iterator, whose end is that of the run.
      let (output, produce) = (output, produce)
      run = loop.start(named: name) {
        do { try await produce(output) } catch { output.failure = error }
        output.close()
      }
    }
  }
}
