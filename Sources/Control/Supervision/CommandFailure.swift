/// What the code says with which a command ends.
public enum ExitStatus: Int32, CaseIterable, Sendable {
  /// It did what it was asked to.
  case success = 0
  /// It could not, for a reason that has no code of its own.
  case failure = 1
  /// The arguments are wrong.
  case usage = 2
  /// The configuration has errors.
  case configuration = 3
  /// A listener could not be opened, most often because its port is in use.
  case cannotListen = 4
  /// A right is missing.
  case noRight = 5
  /// Another instance runs with the same state directory.
  case alreadyRunning = 6
  /// No instance runs with this state directory.
  case notRunning = 7
}

/// Why a command ends without success: one message for people, one code for scripts.
public struct CommandFailure: Error, Hashable, Sendable {
  /// The code.
  public var status: ExitStatus
  /// What went wrong, where, and what to do about it.
  public var message: String

  /// Creates a failure.
  public init(_ status: ExitStatus, _ message: String) {
    self.status = status
    self.message = message
  }
}
