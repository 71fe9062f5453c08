/// Sessions: what is remembered of a client between its requests, on this side alone.
///
/// The client has a sealed cookie with the number of its session and nothing else; a store has the rest, in
/// memory, in files or in Redis, so that what is remembered is bounded, ends when it is to end, and cannot be
/// changed by the client. The one difficulty is that requests of one client come side by side: each notes what
/// it changes, and the changes are applied to what the store has then, so that none undoes another's.
///
/// ```swift
/// let keeper = SessionKeeper(terms, store, keys: keys, on: loop)
/// let session = try await keeper.open(cookieField, at: now)
/// session["cart"] = "3"
/// session.signIn(as: "alice")
/// if let line = try await keeper.commit(session, overTLS: true, at: now) { head += line }
/// ```
public import HTTPMessage

/// How sessions are kept.
public struct SessionTerms: Hashable, Sendable {
  /// The name of the cookie.
  public var cookieName = "session"
  /// The paths that it is sent for.
  public var path = "/"
  /// The hosts that it is sent to; nil: the one that gave it.
  public var domain: String?
  /// Which requests from other sites carry it.
  public var sameSite = SetCookie.SameSite.lax
  /// Whether it is sent over TLS alone, also where it was not given over TLS.
  public var isSecure = false
  /// Whether browsers keep it when they are closed.
  public var isPersistent = false
  /// The seconds after its last request at which a session ends.
  public var idleSeconds: Int64 = 1800
  /// The seconds after its begin at which it ends in any case.
  public var absoluteSeconds: Int64 = 43_200
  /// The most bytes of what is remembered in one session.
  public var byteLimit = 4096

  /// The most values of one session.
  public static let valueLimit = 64

  /// Creates the terms of sessions that nothing is said of.
  public init() {}

  /// What stands behind the cookie's value, or why browsers would not take it.
  ///
  /// Over TLS it is always for TLS alone.
  public func attributes(overTLS: Bool, lifetime: Int64?) throws(SetCookie.Problem) -> String {
    var attributes: [SetCookie.Attribute] = [.path(path)]
    if let domain { attributes.append(.domain(domain)) }
    if let lifetime { attributes.append(.maxAge(Int(clamping: lifetime))) }
    if isSecure || overTLS { attributes.append(.secure) }
    attributes += [.httpOnly, .sameSite(sameSite)]
    return try SetCookie.text(of: attributes, for: cookieName)
  }
}

/// Why a session cannot be had or kept.
public enum SessionFault: Error, Hashable, Sendable {
  /// The store does not answer, or what it says cannot be understood.
  case store(String)
  /// What is to be remembered is more than ``SessionTerms/byteLimit`` or ``SessionTerms/valueLimit``.
  case tooLarge
}
