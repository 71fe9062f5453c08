import HTTPMessage
import MartletBytes
public import MartletLoop
import Sealing

/// The sessions of some routes, on one loop.
public final class SessionKeeper {
  /// How sessions are kept.
  public let terms: SessionTerms
  /// Who keeps them.
  public let store: SessionStore
  private let loop: EventLoop
  private let sealer: Sealer?
  private let redis: RedisClient?

  /// Seals cookies with the first of the keys, and opens them with each.
  public init(_ terms: SessionTerms, _ store: SessionStore, keys: [String], on loop: EventLoop) {
    (self.terms, self.store, self.loop) = (terms, store, loop)
    sealer = Sealer(
      secrets: keys.map { Array($0.utf8) },
      purpose: "session\u{0}\(terms.cookieName)"
    )
    if case .redis(let place) = store {
      redis = RedisClient(place, on: loop)
    } else {
      redis = nil
    }
  }

  /// Whether nothing is waited for: what is in memory is there at once.
  public var isImmediate: Bool {
    if case .memory = store { true } else { false }
  }

  // MARK: The cookie

  /// The number in the value of a client's cookie; nil: it was not made by us, or long ago.
  func number(in value: Span<UInt8>, at seconds: Int64) -> SessionNumber? {
    guard value.count <= Self.valueByteLimit, let sealed = Base64URL.decoded(value),
      let plain = sealer?.open(sealed.span, at: seconds, lifetime: terms.absoluteSeconds)
    else { return nil }
    return SessionNumber(plain.span)
  }

  private static let valueByteLimit = 128

  private func line(
    for number: SessionNumber?,
    overTLS: Bool,
    lifetime: Int64,
    at seconds: Int64
  ) throws(SessionFault) -> [UInt8] {
    var value = ""
    if let number {
      guard let sealed = sealer?.seal(number.bytes.span, at: seconds) else {
        throw .store("the system gives no random bytes")
      }
      value = String(decoding: Base64URL.encoded(sealed.span), as: UTF8.self)
    }
    let age = number == nil ? 0 : terms.isPersistent ? lifetime : nil
    do throws(SetCookie.Problem) {
      let attributes = try terms.attributes(overTLS: overTLS, lifetime: age)
      return Array("Set-Cookie: \(terms.cookieName)=\(value)\(attributes)\r\n".utf8)
    } catch {
      // `__Host-` and `__Secure-` promise TLS.
      throw .store("the cookie `\(terms.cookieName)` cannot be given without TLS")
    }
  }

  // MARK: Sessions

  /// The session that a store in memory has for the value of a client's cookie, or a new one.
  public func openNow(_ value: Span<UInt8>?, at seconds: Int64) -> Session {
    guard let value else { return begin(at: seconds, hasStaleCookie: false) }
    guard case .memory(let memory) = store, let number = number(in: value, at: seconds) else {
      return begin(at: seconds, hasStaleCookie: true)
    }
    return session(number, memory.bytes(of: number, at: seconds), at: seconds)
  }

  /// The session for the value of a client's cookie, or a new one.
  ///
  /// - Throws: ``SessionFault`` when the store does not answer.
  public func open(_ value: [UInt8]?, at seconds: Int64) async throws(SessionFault) -> Session {
    guard let value else { return begin(at: seconds, hasStaleCookie: false) }
    guard let number = number(in: value.span, at: seconds) else {
      return begin(at: seconds, hasStaleCookie: true)
    }
    return session(number, try await load(number, at: seconds), at: seconds)
  }

  private func begin(at seconds: Int64, hasStaleCookie: Bool) -> Session {
    let name = SessionNumber.random().text
    return Session(nil, SessionRecord(name: name, at: seconds), hasStaleCookie: hasStaleCookie)
  }

  private func session(
    _ number: SessionNumber,
    _ bytes: [UInt8]?,
    at seconds: Int64
  ) -> Session {
    guard let bytes, let record = SessionRecord(bytes), record.end(terms) > seconds else {
      return begin(at: seconds, hasStaleCookie: true)
    }
    return Session(number, record)
  }

  /// Keeps what was changed.
  ///
  /// - Returns: The `Set-Cookie` line that the answer gets, with its end; nil: the client's cookie stays.
  /// - Throws: ``SessionFault`` when the store does not answer, or it is too much.
  public func commit(
    _ session: Session,
    overTLS: Bool,
    at seconds: Int64
  ) async throws(SessionFault) -> [UInt8]? {
    if session.fate == .ends {
      guard let number = session.number else { return try stale(session, overTLS, seconds) }
      try await remove(number)
      return try line(for: nil, overTLS: overTLS, lifetime: 0, at: seconds)
    }
    guard let old = session.number else {
      guard session.isChanged else { return try stale(session, overTLS, seconds) }
      let record = session.applied(to: session.record)
      let number = SessionNumber.random()
      try await save(record, as: number, at: seconds)
      return try line(for: number, overTLS: overTLS, lifetime: terms.absoluteSeconds, at: seconds)
    }
    let isOld = seconds - session.record.usedAt >= max(1, terms.idleSeconds / 16)
    guard session.isChanged || session.fate == .changes || isOld else { return nil }
    // Another request of the client may have changed it, or ended it: then it stays so.
    guard let bytes = try await load(old, at: seconds), let stored = SessionRecord(bytes) else {
      return nil
    }
    var record = session.applied(to: stored)
    record.usedAt = max(record.usedAt, seconds)
    guard session.fate == .changes else {
      try await save(record, as: old, at: seconds)
      return nil
    }
    let number = SessionNumber.random()
    try await save(record, as: number, at: seconds)
    try await remove(old)
    let lifetime = record.beganAt + terms.absoluteSeconds - seconds
    return try line(for: number, overTLS: overTLS, lifetime: lifetime, at: seconds)
  }

  /// The line that takes a cookie back which is good for nothing.
  private func stale(
    _ session: Session,
    _ overTLS: Bool,
    _ seconds: Int64
  ) throws(SessionFault) -> [UInt8]? {
    guard session.hasStaleCookie else { return nil }
    return try line(for: nil, overTLS: overTLS, lifetime: 0, at: seconds)
  }

  // MARK: The store

  private func load(
    _ number: SessionNumber,
    at seconds: Int64
  ) async throws(SessionFault) -> [UInt8]? {
    switch store {
    case .memory(let memory): memory.bytes(of: number, at: seconds)
    case .files(let files): try await files.load(number, at: seconds, on: loop)
    case .redis: try await redis?.load(number)
    }
  }

  private func save(
    _ record: SessionRecord,
    as number: SessionNumber,
    at seconds: Int64
  ) async throws(SessionFault) {
    guard record.fits(terms) else { throw .tooLarge }
    let end = record.end(terms)
    guard end > seconds else { return }
    switch store {
    case .memory(let memory): memory.keep(record.bytes, as: number, until: end, at: seconds)
    case .files(let files): try await files.save(record.bytes, as: number, until: end, on: loop)
    case .redis: try await redis?.save(record.bytes, as: number, seconds: end - seconds)
    }
  }

  private func remove(_ number: SessionNumber) async throws(SessionFault) {
    switch store {
    case .memory(let memory): memory.remove(number)
    case .files(let files): try await files.remove(number, on: loop)
    case .redis: try await redis?.remove(number)
    }
  }
}
