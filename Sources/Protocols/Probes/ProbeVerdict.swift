/// What a check has found.
public enum ProbeVerdict: Hashable, Sendable {
  /// The server serves; a word or two about how it answered, for people.
  case passed(String)
  /// It does not.
  case failed(ProbeFailure)

  /// Whether the server serves.
  public var isPassed: Bool { if case .passed = self { true } else { false } }

  /// A failed verdict.
  public static func failed(_ reason: ProbeFailure.Reason, _ detail: String) -> ProbeVerdict {
    .failed(ProbeFailure(reason, detail))
  }
}

/// Why a check has failed.
public struct ProbeFailure: Error, Hashable, Sendable {
  /// The kinds of failure; logs and commands name them.
  public enum Reason: String, Hashable, Sendable, CaseIterable {
    /// Nobody listens there, or it cannot be reached.
    case unreachable
    /// No answer, or not all of it, came in time.
    case timeout
    /// The connection was reset.
    case reset
    /// The server closed the connection before it had answered.
    case closed
    /// The answer is not in the form of its protocol.
    case malformed
    /// The answer is longer than a check reads.
    case tooLong = "too_long"
    /// The answer says that the server cannot serve now.
    case refused
    /// The answer has another status than those allowed.
    case status
    /// The answer does not have the text that is expected.
    case content
    /// The command ended otherwise than with code 0.
    case command
    /// This machine could not make the check: no descriptor, no right, no process.
    case local
  }

  /// Its kind.
  public var reason: Reason
  /// More about it, for people: at most ``detailBytes`` printable characters.
  public var detail: String

  /// The most characters of a detail.
  public static let detailBytes = 120

  /// Creates a failure.
  public init(_ reason: Reason, _ detail: String) {
    self.reason = reason
    self.detail = detail
  }
}

/// The beginning of what a server said as a text that can stand in a log: printable ASCII, bounded.
func printable(_ bytes: some Sequence<UInt8>) -> String {
  String(
    decoding: bytes.prefix(ProbeFailure.detailBytes).map { byte in
      (0x20...0x7E).contains(byte) ? byte : UInt8(ascii: "?")
    },
    as: UTF8.self
  )
}
