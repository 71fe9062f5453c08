public import MartletLoop
public import MartletSystem
public import Testing

/// How a loop of a test waits: whatever a loop can do, it can do in each of these ways.
public struct LoopKind: Hashable, Sendable, CustomTestStringConvertible {
  /// How coroutines wait.
  public var mode: EventLoop.WaitMode
  /// How the loop learns which descriptors are ready.
  public var polling: PollingModel

  /// Every model with parking, and the usual one with continuations too.
  public static let all =
    PollingModel.allCases.map { LoopKind(polling: $0) } + [LoopKind(mode: .continuation)]

  /// Creates a kind of loop: by parking and epoll where nothing else is said.
  public init(mode: EventLoop.WaitMode = .parking, polling: PollingModel = .epoll) {
    self.mode = mode
    self.polling = polling
  }

  /// What a failure is told with.
  public var testDescription: String { "\(polling.rawValue), \(mode)" }

  /// Creates a loop of this kind for the descriptors of a test.
  ///
  /// - Throws: ``SystemError`` when there is none on this machine.
  public func makeLoop() throws(SystemError) -> EventLoop {
    try EventLoop(descriptorLimit: 65_536, mode: mode, polling: polling)
  }
}
