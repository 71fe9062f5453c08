import COpenSSL
import MartletSystem

// Invariant of this file: a class here owns what it points to and frees it once; OpenSSL counts references
// to certificates and keys by itself, and what is read of them is copied before the call returns.

/// Why certificates, keys or settings cannot be used.
public struct TLSError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What is wrong, as a clause.
  public var description: String

  /// Creates an error.
  public init(_ description: String) { self.description = description }

  /// The error that OpenSSL has noted last, with what was tried.
  static func noted(_ what: String) -> TLSError {
    let text = TLSFailure.taken().text
    return TLSError(text.isEmpty ? what : "\(what): \(text)")
  }
}

// @unchecked: nothing changes after the initialiser, and OpenSSL reads certificates from any thread.
/// A certificate with those that vouch for it.
@safe
public final class TLSCertificates: @unchecked Sendable {
  let pointer: OpaquePointer

  /// Reads one or more certificates in PEM form, of which the first is the one that names its owner.
  ///
  /// - Throws: ``TLSError``.
  public init(pem: [UInt8]) throws(TLSError) {
    guard let read = unsafe martlet_certificates_read(pem, pem.count) else {
      throw .noted("there is no certificate in PEM form")
    }
    unsafe pointer = read
  }

  init(adopting pointer: OpaquePointer) { unsafe self.pointer = pointer }

  deinit { unsafe martlet_certificates_free(pointer) }

  /// How many there are.
  public var count: Int { Int(unsafe martlet_certificates_count(pointer)) }

  /// The names that the first one is good for, in lower case: hosts, some with `*.` in front, and
  /// addresses.
  public var names: [String] {
    final class Found { var names: [String] = [] }
    let found = Found()
    let visit: martlet_name_visitor = { context, _, name, count in
      guard let context = unsafe context, let name = unsafe name else { return }
      let bytes = unsafe UnsafeRawBufferPointer(start: name, count: count)
      let text = unsafe String(decoding: bytes, as: UTF8.self).lowercased()
      unsafe Unmanaged<Found>.fromOpaque(context).takeUnretainedValue().names.append(text)
    }
    unsafe martlet_certificates_names(pointer, visit, Unmanaged.passUnretained(found).toOpaque())
    return withExtendedLifetime(found) { found.names }
  }

  /// Whether one of `names`, as certificates have them, means `name`, which may be a pattern itself.
  ///
  /// - Source: RFC 9525, section 6.3.
  public static func names(_ names: some Collection<String>, cover name: String) -> Bool {
    if names.contains(name) { return true }
    guard let dot = name.firstIndex(of: "."), !name.hasPrefix("*.") else { return false }
    return names.contains("*" + name[dot...])
  }

  /// When the first one begins and ends to be good, in seconds since 1970.
  public var validity: ClosedRange<Int64> {
    var from: Int64 = 0
    var until: Int64 = 0
    unsafe martlet_certificates_times(pointer, &from, &until)
    return from...max(from, until)
  }

  /// A number for the kind of its key: certificates with different ones go together in a context.
  public var keyKind: Int32 { unsafe martlet_certificates_key_kind(pointer) }

  /// Whom the first one names, as RFC 2253 writes it.
  public var subject: String { text(martlet_text_subject) }
  /// Who has signed it, as RFC 2253 writes it.
  public var issuer: String { text(martlet_text_issuer) }
  /// Its number in hexadecimal digits.
  public var serial: String { text(martlet_text_serial) }
  /// The common name in its subject; empty: there is none.
  public var commonName: String { text(martlet_text_common_name) }
  /// The SHA-256 of the first one, in hexadecimal digits.
  public var fingerprint: String { text(martlet_text_fingerprint) }

  private func text(_ what: Int) -> String {
    unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 1024) { out in
      let count = unsafe martlet_certificates_text(
        pointer,
        Int32(what),
        out.baseAddress,
        out.count
      )
      guard count > 0 else { return "" }
      return unsafe String(decoding: UnsafeRawBufferPointer(out)[..<Int(count)], as: UTF8.self)
    }
  }
}

// @unchecked: as for certificates.
/// A certificate and the key that proves who has it.
@safe
public final class TLSIdentity: @unchecked Sendable {
  /// The certificate, with those that vouch for it.
  public let certificates: TLSCertificates
  let key: OpaquePointer

  /// Reads certificates and the key of the first of them, both in PEM form.
  ///
  /// `issuer` has signed the first one, and is known to those who are shown it: it is not shown to them.
  ///
  /// - Throws: ``TLSError``: one of them cannot be read, or they do not belong together.
  public init(
    certificates pem: [UInt8],
    key keyPEM: [UInt8],
    issuer: TLSCertificates? = nil
  ) throws(TLSError) {
    certificates = try TLSCertificates(pem: pem)
    if let issuer {
      _ = unsafe martlet_certificates_vouch(certificates.pointer, issuer.pointer)
    }
    guard let read = unsafe martlet_key_read(keyPEM, keyPEM.count) else {
      throw TLSError("there is no private key in PEM form without a pass phrase")
    }
    unsafe key = read
    guard unsafe martlet_key_fits(certificates.pointer, key) == 1 else {
      throw TLSError("the key is not that of the certificate")
    }
    _ = unsafe martlet_staple_prepare(certificates.pointer)
  }

  /// Puts a key beside its certificates, in PEM form; `issuer` is as above.
  ///
  /// - Throws: ``TLSError``: the certificates cannot be read, or are not those of the key.
  public convenience init(
    certificates pem: [UInt8],
    of key: TLSKey,
    issuer: TLSCertificates? = nil
  ) throws(TLSError) {
    let keyPEM = try key.pem()
    defer { Secret.forget(keyPEM) }
    try self.init(certificates: pem, key: keyPEM, issuer: issuer)
  }

  deinit { unsafe martlet_key_free(key) }
}

// @unchecked: as for certificates.
/// Authorities whose certificates are believed, with the lists of those that were revoked.
@safe
public final class TLSAuthorities: @unchecked Sendable {
  let pointer: OpaquePointer
  /// The authorities as they were read; empty for those of the system.
  let pem: [UInt8]

  /// Reads authorities in PEM form, and lists of what they have revoked.
  ///
  /// - Throws: ``TLSError``.
  public init(pem: [UInt8], revoked: [UInt8] = []) throws(TLSError) {
    guard !pem.isEmpty, let read = unsafe martlet_authorities_read(pem, pem.count) else {
      throw .noted("there is no certificate of an authority in PEM form")
    }
    unsafe pointer = read
    self.pem = pem
    guard !revoked.isEmpty else { return }
    guard unsafe martlet_authorities_revoke(pointer, revoked, revoked.count) == 1 else {
      throw .noted("there is no revocation list in PEM form")
    }
  }

  /// The authorities that the system believes.
  ///
  /// - Throws: ``TLSError``.
  public init(ofSystem: Void) throws(TLSError) {
    guard let read = unsafe martlet_authorities_read(nil, 0) else {
      throw .noted("the authorities of the system cannot be read")
    }
    unsafe pointer = read
    pem = []
  }

  deinit { unsafe martlet_authorities_free(pointer) }
}

// @unchecked: the keys are behind a lock of their own.
/// The keys of session tickets: derived from one secret, another one for each span of some hours.
///
/// All that share the secret, on whichever loop, process or machine, open each other's tickets.
@safe
public final class TicketKeys: @unchecked Sendable {
  /// For how many seconds a key seals tickets if nothing else is said; for two further spans it opens them.
  public static let usualSpan: Int64 = 9 * 3600

  let pointer: OpaquePointer
  private let span: Int64

  /// Creates the keys of a secret of 1 to 256 bytes.
  ///
  /// - Returns: nil for another secret, or without memory.
  public init?(secret: [UInt8]) {
    let span = UInt64(Self.usualSpan)
    guard let made = unsafe martlet_ticket_keys_new(secret, secret.count, span) else {
      return nil
    }
    unsafe pointer = made
    self.span = Self.usualSpan
  }

  private init(_ keys: TicketKeys, span: Int64) throws(TLSError) {
    guard let made = unsafe martlet_ticket_keys_every(keys.pointer, UInt64(clamping: span)) else {
      throw TLSError("there are no keys for tickets that last for \(span) seconds")
    }
    unsafe pointer = made
    self.span = span
  }

  /// The keys of the same secret when each seals for so many seconds, at least one.
  ///
  /// - Throws: ``TLSError`` without memory.
  public func sealing(for seconds: Int64) throws(TLSError) -> TicketKeys {
    seconds == span ? self : try TicketKeys(self, span: seconds)
  }

  deinit { unsafe martlet_ticket_keys_free(pointer) }
}
