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
    return TLSFailure(cause(of: martlet_tls_error_cause(error)), text(of: error))
  }

  /// What OpenSSL calls an error.
  static func text(of error: UInt64) -> String {
    unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { out in
      guard let start = out.baseAddress else { return "" }
      unsafe martlet_tls_error_text(error, start, out.count)
      return unsafe String(cString: start)
    }
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

/// What the other side of a session has done, behind the handshake, that it may not.
public struct TLSFault: Hashable, Sendable {
  /// The kinds that are told apart.
  public enum Kind: String, Hashable, Sendable, CaseIterable {
    /// It wanted to begin a second handshake in the first one's session, which was refused.
    ///
    /// RFC 5246, section 7.4.1.
    case renegotiation
    /// It has changed its keys more often than what it sends is worth.
    ///
    /// RFC 8446, section 4.6.3.
    case newKeys = "new_keys"
    /// It has sent what is no record, or what cannot be decrypted.
    case malformed
    /// It has ended the session with an alert.
    case refused
  }

  /// The kind.
  public var kind: Kind
  /// OpenSSL's words for it; may be empty.
  public var text: String

  /// Creates a fault.
  public init(kind: Kind, text: String) {
    self.kind = kind
    self.text = text
  }
}
