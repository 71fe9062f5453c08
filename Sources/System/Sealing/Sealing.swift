/// Small values that strangers keep for us, and can neither read nor make.
///
/// Its one difficulty is that a nonce must not come twice under one key, though many processes on many
/// machines seal with the same secret and do not know of each other. Nonces are random, and each
/// ``Sealer`` has a key of its own for every ``Sealer/epoch(of:)``, so that a key is used for some
/// hours only: 2³² values may be sealed in that time before two nonces meet with a probability that
/// counts (NIST SP 800-38D, section 8.3).
///
/// ```swift
/// let sealer = Sealer(secrets: [Array("a long secret".utf8)], purpose: "cookie of api")
/// let sealed = sealer?.seal(value.span, at: now)
/// let opened = sealer?.open(bytes, at: now, lifetime: 86_400)
/// ```
