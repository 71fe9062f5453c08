import COpenSSL

// Invariant of this file: a text of OpenSSL is copied before the next call to it.

/// Why a handshake came to nothing, or a session broke.
public struct TLSFailure: Error, Hashable, Sendable {
  /// The causes that are told apart.
  public enum Cause: String, Hashable, Sendable, CaseIterable {
    /// The other side closed or reset the connection.
    case closed
    /// It did not go on in time.
    case late
    /// It speaks HTTP without TLS.
    case plainHTTP = "plain_http"
    /// It speaks something else, or breaks the rules.
    case malformed
    /// No version of TLS is in common.
    case version
    /// No cipher, group or signature is in common.
    case cipher
    /// No protocol is in common that ALPN could choose.
    case alpn
    /// Its certificate is missing or not good.
    case certificate
    /// It ended the handshake with an alert: it does not like what it was shown.
    case refused
    /// Something failed here.
    case failed
  }

  /// The cause.
  public var cause: Cause
  /// OpenSSL's words for it; may be empty.
  public var text: String

  /// Creates a failure.
  public init(_ cause: Cause, _ text: String = "") {
    self.cause = cause
    self.text = text
  }

  /// The failure that OpenSSL has noted in this thread, which then holds none any more.
  static func taken() -> TLSFailure {
    let error = martlet_tls_error()
    guard error != 0 else { return TLSFailure(.failed) }
    let text = unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { out in
      guard let start = out.baseAddress else { return "" }
      unsafe martlet_tls_error_text(error, start, out.count)
      return unsafe String(cString: start)
    }
    return TLSFailure(cause(of: martlet_tls_error_cause(error)), text)
  }

  private static func cause(of number: Int32) -> Cause {
    switch Int(number) {
    case martlet_cause_closed: .closed
    case martlet_cause_plain_http: .plainHTTP
    case martlet_cause_malformed: .malformed
    case martlet_cause_version: .version
    case martlet_cause_cipher: .cipher
    case martlet_cause_alpn: .alpn
    case martlet_cause_certificate: .certificate
    case martlet_cause_refused: .refused
    default: .failed
    }
  }
}
