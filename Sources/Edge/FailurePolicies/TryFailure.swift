/// The ways in which a try with a member fails.
public enum FailureClass: UInt8, CaseIterable, Hashable, Sendable {
  /// No connection could be opened.
  case connectFailed
  /// A connection was not open in time.
  case connectTimeout
  /// The connection ended before the answer began.
  case reset
  /// The answer did not begin in time.
  case firstByteTimeout
  /// What came is not an answer.
  case malformed
  /// The answer has a status that is listed.
  case status

  /// Its word in a configuration; a status is written as its number.
  public var word: String {
    switch self {
    case .connectFailed: "connect_failed"
    case .connectTimeout: "connect_timeout"
    case .reset: "reset"
    case .firstByteTimeout: "first_byte_timeout"
    case .malformed: "malformed"
    case .status: "status"
    }
  }
}

/// A try that has failed, as far as trying again goes.
public struct TryFailure: Hashable, Sendable {
  /// The way in which it failed.
  public var kind: FailureClass
  /// The status, for ``FailureClass/status``.
  public var status: UInt16
  /// Whether the member may have seen some of the request.
  public var mayBeSeen: Bool

  /// Creates a failure; a member to which there was no connection has seen nothing.
  public init(_ kind: FailureClass, status: UInt16 = 0, mayBeSeen: Bool = true) {
    self.kind = kind
    self.status = status
    self.mayBeSeen = mayBeSeen && kind != .connectFailed && kind != .connectTimeout
  }
}
