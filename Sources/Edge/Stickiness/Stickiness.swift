/// How a client is known again, so that its requests stay with one member of an upstream.
///
/// Its one difficulty is that a member has no number that all machines agree on: members come and go,
/// and each machine has its own list. A member is therefore named by ``MemberIdentity``, a number made
/// from the address as written; ``MemberSeal`` puts it into a cookie that nobody else can read or make,
/// and ``StickyTable`` remembers it for a key.
///
/// ```swift
/// let seal = MemberSeal(keys: keys, upstream: "api", cookie: "route", lifetime: 86_400)
/// let value = seal?.value(for: MemberIdentity("10.0.0.1:9001"), at: now)
/// ```
