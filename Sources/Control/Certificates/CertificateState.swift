import MartletBytes
import MartletTelemetry
import TLS

/// Whether a certificate is good by its time, and when that changes.
public struct CertificateState: Hashable, Sendable {
  /// What its time says.
  public enum Phase: Hashable, Sendable {
    /// It is good.
    case good
    /// It is, and not for long.
    case ending
    /// It is good no longer.
    case over
    /// It is not good yet.
    case early
  }

  /// How long before its end it is told of at most, in seconds: two weeks.
  private static let noticeSeconds: Int64 = 14 * 86_400

  /// What its time says.
  public var phase: Phase
  /// When that changes, in seconds since 1970; nil: never.
  public var next: Int64?
  /// When its time begins and ends.
  public var validity: ClosedRange<Int64>

  /// Looks at the time of a certificate, in seconds since 1970.
  ///
  /// Its end is near in its last two weeks, or the last quarter of a time that is shorter than eight of them.
  public init(_ validity: ClosedRange<Int64>, at now: Int64) {
    self.validity = validity
    let life = validity.upperBound - validity.lowerBound
    let notice = validity.upperBound - min(Self.noticeSeconds, life / 4)
    // X.509 counts the last second in; RFC 5280, section 4.1.2.5.
    if now > validity.upperBound || life == 0 {
      (phase, next) = (.over, nil)
    } else if now < validity.lowerBound {
      (phase, next) = (.early, validity.lowerBound)
    } else if now < notice {
      (phase, next) = (.good, notice)
    } else {
      (phase, next) = (.ending, validity.upperBound + 1)
    }
  }

  /// What is wrong, as a clause, for `others`, who are shown the certificate: `clients`, or `members`.
  public func problem(for others: String) -> String {
    let from = CertificateTime.text(validity.lowerBound)
    let until = CertificateTime.text(validity.upperBound)
    return switch phase {
    case .good: ""
    case .ending: "it is good until \(until): replace it"
    case .over: "it has expired at \(until), and \(others) refuse it: replace it"
    case .early: "it is good from \(from) on, and \(others) refuse it before"
    }
  }
}

/// Times as people read them.
public enum CertificateTime {
  /// A time in seconds since 1970 as `2026-01-02 04:05`, in UTC.
  public static func text(_ seconds: Int64) -> String {
    var text = TextBuffer()
    var writer = TimestampText(.rfc3339)
    writer.append(Timestamp(unixNanoseconds: UInt64(max(0, seconds)) * 1_000_000_000), to: &text)
    // Whole minutes are enough.
    let whole = String(decoding: Array(copying: text.bytes).prefix(16), as: UTF8.self)
    return whole.split(separator: "T").joined(separator: " ")
  }
}
