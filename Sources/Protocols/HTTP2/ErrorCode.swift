/// Why a stream or a connection ends, as its peer is told.
///
/// - Source: RFC 9113, section 7.
public struct ErrorCode: RawRepresentable, Hashable, Sendable {
  /// The number on the wire.
  public var rawValue: UInt32

  /// Takes any number: peers may send codes that nobody knows.
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// No error: a graceful end.
  public static let noError = ErrorCode(rawValue: 0)
  /// The peer breaks the protocol.
  public static let protocolError = ErrorCode(rawValue: 1)
  /// Something on this side has failed.
  public static let internalError = ErrorCode(rawValue: 2)
  /// The peer sends more than its windows allow.
  public static let flowControlError = ErrorCode(rawValue: 3)
  /// The peer does not acknowledge settings.
  public static let settingsTimeout = ErrorCode(rawValue: 4)
  /// A frame came for a stream that has ended.
  public static let streamClosed = ErrorCode(rawValue: 5)
  /// A frame has a length that it may not have.
  public static let frameSizeError = ErrorCode(rawValue: 6)
  /// The request was not looked at, and may be sent again.
  public static let refusedStream = ErrorCode(rawValue: 7)
  /// The stream is not needed any more.
  public static let cancel = ErrorCode(rawValue: 8)
  /// Fields cannot be decompressed: the connection is lost.
  public static let compressionError = ErrorCode(rawValue: 9)
  /// The connection behind a CONNECT has failed.
  public static let connectError = ErrorCode(rawValue: 10)
  /// The peer behaves in a way that costs too much.
  public static let enhanceYourCalm = ErrorCode(rawValue: 11)
  /// The transport is not as secure as it must be.
  public static let inadequateSecurity = ErrorCode(rawValue: 12)
  /// The request is to be sent with HTTP/1.1.
  public static let http11Required = ErrorCode(rawValue: 13)
}

/// What a peer can do too much of; each has a budget of its own.
public enum Excess: String, Hashable, Sendable, CaseIterable {
  /// It opens streams and resets them before they were answered (CVE-2023-44487).
  case rapidReset = "rapid_reset"
  /// It makes us reset streams by faults of its own (CVE-2025-8671), or opens more than it may.
  case madeYouReset = "made_you_reset"
  /// It spreads a head over too many CONTINUATION frames (CVE-2024-27316).
  case continuation
  /// It sends settings, each of which has to be acknowledged (CVE-2019-9515).
  case settings
  /// It sends pings, each of which has to be answered (CVE-2019-9512).
  case ping
  /// It sends frames that carry nothing, or that nobody knows (CVE-2019-9518).
  case emptyFrames = "empty_frames"
  /// Its heads become many times as large when they are decompressed (CVE-2016-6581).
  case headerBomb = "header_bomb"
  /// It opens windows in tiny steps.
  case windowUpdates = "window_updates"
  /// It asks for answers and keeps its windows closed until they time out (CVE-2019-9517).
  case windowStall = "window_stall"
  /// It changes priorities again and again (CVE-2019-9513).
  case priorityChurn = "priority_churn"
}

/// Why a connection has ended: the bytes still to be sent say so in a GOAWAY.
public struct ConnectionFault: Error, Hashable, Sendable {
  /// What the peer is told.
  public var code: ErrorCode
  /// A name for logs and counters.
  public var reason: String
  /// What there was too much of, if that is why.
  public var excess: Excess?

  /// A breach of the protocol.
  public init(_ code: ErrorCode, _ reason: String) {
    self.code = code
    self.reason = reason
  }

  /// Too much of something: ENHANCE_YOUR_CALM.
  public init(_ excess: Excess) {
    code = .enhanceYourCalm
    reason = excess.rawValue
    self.excess = excess
  }
}
